//! Holds a running service against its own OpenAPI document with Schemathesis, which is a Python program.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use clap::Args;

use crate::cargo::{self, Profile};
use crate::python::Package;
use crate::steps::Ran;

/// Who asks.
const SCHEMATHESIS: Package = Package { name: "schemathesis", release: "4.32.5", program: "schemathesis" };

/// What every answer must be. Left out is `positive_data_acceptance`, that whatever has the right form is accepted. It was tried: of
/// 29 operations 16 refuse something that has it, all rightly. Four kinds of sense have no form: goods must exist and be sold in
/// the currency named, a cursor must be one that was given out, a text is bounded in bytes where a schema counts characters, and
/// a sheet in CSV has no schema at all.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,negative_data_rejection,missing_required_header,\
    unsupported_method,ignored_auth";

/// An import answers for each of its orders: one that is wrong by its form is told of in an answer that is no refusal.
const SETTINGS: &str = r#"
[[operations]]
include-name = "POST /imports"
checks.negative_data_rejection.expected-statuses = ["2xx", "4xx", "503"]
"#;

/// A key for the service that is asked, which lives as long as this does.
const KEY: &str = "a key for as long as schemathesis asks";

/// How much to ask.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schemathesis {
    /// Requests for each operation and phase, at most.
    #[arg(long, default_value_t = 50)]
    pub(crate) examples: u32,
    /// The seed that everything asked derives from.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// A service in a folder of its own; both are gone with this value.
struct Service {
    process: Child,
    folder: PathBuf,
    address: String,
    watch: Watch,
}

/// The sandbox provider, which ends with its pipe.
struct Provider {
    process: Child,
    address: String,
}

/// Ends a group of processes and removes their folder, if we are killed and do not live to do so: a shell that waits for us to
/// let go of a pipe.
struct Watch(Child);

/// What it does, unless it is told that all is done.
const WATCH: &str = r#"
if read -r word; then exit 0; fi
kill -s KILL -- "-$1"
rm -rf "$2"
"#;

pub(crate) fn run(root: &Path, asked: &Schemathesis) -> Result<Ran> {
    if cargo::build_programs(root, Profile::Dev)? == Ran::Badly {
        return Ok(Ran::Badly);
    }
    let program = PathBuf::from(cargo::program_path(Profile::Dev, "orderwright")?);
    let schemathesis = SCHEMATHESIS.installed()?;
    let folder = std::env::temp_dir().join(format!("orderwright-schemathesis-{}", std::process::id()));
    let provider = Provider::start(&program)?;
    let service = Service::start(&program, folder, &provider.address)?;
    fs::write(service.folder.join("schemathesis.toml"), SETTINGS)
        .context("writing schemathesis's settings")?;
    let status = Command::new(schemathesis)
        .args(["run", &format!("{}/openapi.json", service.address), "--checks", CHECKS])
        .args(["--header", &format!("Authorization: Bearer {KEY}"), "--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", &asked.examples.to_string(), "--seed", &asked.seed.to_string()])
        .args(["--generation-database", "none", "--warnings", "off", "--continue-on-failure"])
        // It finds few requests that are wrong by their form for what takes almost any text.
        .args(["--suppress-health-check", "filter_too_much"])
        .current_dir(&service.folder)
        .process_group(service.group()?)
        .stdin(Stdio::null())
        .status()
        .context("cannot start schemathesis")?;
    Ok(if status.success() { Ran::Well } else { Ran::Badly })
}

impl Service {
    fn start(program: &Path, folder: PathBuf, provider: &str) -> Result<Self> {
        fs::create_dir_all(&folder).context("making a folder for the service")?;
        let mut process = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--database", "orders.db"])
            .env("ORDERWRIGHT__SECURITY__ADMIN_KEY", KEY)
            .env("ORDERWRIGHT__SECURITY__REQUESTS_PER_SECOND_MAX", "0")
            .env("ORDERWRIGHT__PROVIDERS__PAYMENT_URL", provider)
            .env("ORDERWRIGHT__PROVIDERS__SHIPPING_URL", provider)
            .env("RUST_LOG", "error")
            .current_dir(&folder)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the service")?;
        let watch = Watch::over(process.id(), &folder).inspect_err(|_| drop(process.kill()))?;
        let output = process.stdout.take().context("the service's output is piped")?;
        let mut service = Self { process, folder, address: String::new(), watch };
        service.address = address_said(output)?;
        Ok(service)
    }

    /// The group that is watched.
    fn group(&self) -> Result<i32> {
        i32::try_from(self.process.id()).context("an id of a process is a small number")
    }
}

impl Provider {
    fn start(program: &Path) -> Result<Self> {
        let mut process = Command::new(program)
            .args(["sandbox", "--listen", "127.0.0.1:0", "--until-stdin-ends"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("starting the provider")?;
        let output = process.stdout.take().context("the provider's output is piped")?;
        let mut provider = Self { process, address: String::new() };
        provider.address = address_said(output)?;
        Ok(provider)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The address in the first line that a program of ours prints.
fn address_said(output: ChildStdout) -> Result<String> {
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).context("reading what the program says")?;
    let address = line.split_whitespace().find(|word| word.starts_with("http://"));
    Ok(address.with_context(|| format!("the program did not start: {line}"))?.to_owned())
}

impl Watch {
    fn over(leader: u32, folder: &Path) -> Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCH, "watch", &leader.to_string()]).arg(folder);
        // Not of our group, or an interrupt of ours would end it too.
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(shell.spawn().context("starting what watches over the service")?))
    }

    /// All is done.
    fn end(&mut self) {
        if let Some(mut pipe) = self.0.stdin.take() {
            let _ = pipe.write_all(b"done\n");
        }
        let _ = self.0.wait();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
        self.watch.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says where it serves, and serves nothing; has a child as well.
    const SERVE: &str = "echo serves http://nowhere\nsleep 1000 &\nwait\n";

    fn service(name: &str) -> Service {
        let folder = std::env::temp_dir().join(format!("orderwright-watched-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the test");
        fs::write(folder.join("serve"), SERVE).expect("the folder is ours");
        Service::start(Path::new("sh"), folder, "http://nowhere").expect("it says where it serves")
    }

    #[test]
    fn a_service_and_its_folder_go_when_we_are_killed() {
        let mut service = service("killed");
        // What becomes of the pipe when we are killed.
        drop(service.watch.0.stdin.take());
        assert!(!service.process.wait().expect("it is our child").success());
        assert!(service.watch.0.wait().expect("it is our child").success());
        assert!(!service.folder.exists());
    }

    #[test]
    fn a_service_and_its_folder_go_when_all_is_done_and_nobody_watches_any_more() {
        let service = service("done");
        let (folder, shell) = (service.folder.clone(), service.watch.0.id());
        drop(service);
        assert!(!folder.exists());
        assert!(!Path::new(&format!("/proc/{shell}")).exists());
    }
}
