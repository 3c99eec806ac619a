//! Who sent a message: a process, in the terms of MassTransit's envelope. Never a secret.

use serde::Serialize;

/// The sending process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    /// The machine's name.
    pub machine_name: String,
    /// The program's name.
    pub process_name: String,
    /// The process's id.
    pub process_id: u32,
    /// The program, once more, as MassTransit has it.
    pub assembly: String,
    /// Its version.
    pub assembly_version: String,
    /// The operating system's name.
    pub operating_system_version: String,
}

impl Host {
    /// The same as headers.
    pub(super) fn headers(&self) -> Vec<(String, String)> {
        let headers = [
            ("MachineName", self.machine_name.clone()),
            ("ProcessName", self.process_name.clone()),
            ("ProcessId", self.process_id.to_string()),
            ("Assembly", self.assembly.clone()),
            ("AssemblyVersion", self.assembly_version.clone()),
            ("OperatingSystemVersion", self.operating_system_version.clone()),
        ];
        headers.into_iter().map(|(name, value)| (format!("MT-Host-{name}"), value)).collect()
    }

    /// This process, which runs this version of this program.
    #[must_use]
    pub fn current(program: &str, version: &str) -> Self {
        let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let machine = machine.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
        Self {
            machine_name: machine.trim().to_owned(),
            process_name: program.to_owned(),
            process_id: std::process::id(),
            assembly: program.to_owned(),
            assembly_version: version.to_owned(),
            operating_system_version: std::env::consts::OS.to_owned(),
        }
    }
}
