//! Sees to it that a server does not outlive the test that started it, however that ends: a shell that waits for the test
//! to let go of a pipe.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Ends without doing anything if it is told so; if the pipe just breaks, ends the server and removes its folder.
const SCRIPT: &str = r#"
if read -r word; then exit 0; fi
kill -s "$3" -- "$1"
while kill -0 -- "$1" 2> /dev/null; do sleep 0.05; done
rm -rf "$2"
"#;

/// A shell that watches over one server.
#[derive(Debug)]
pub(super) struct Guard(Child);

impl Guard {
    /// Watches over the process `pid`, which ends its children itself, and its folder.
    pub(super) fn over(pid: u32, folder: &Path) -> Result<Self> {
        Self::start(&pid.to_string(), folder, "QUIT")
    }

    /// Watches over all processes of the group `leader` and their folder.
    pub(super) fn over_group(leader: u32, folder: &Path) -> Result<Self> {
        Self::start(&format!("-{leader}"), folder, "KILL")
    }

    fn start(target: &str, folder: &Path, signal: &str) -> Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "guard", target]).arg(folder).arg(signal);
        // Not of the test's group, or an interrupt of the test would end it too.
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(shell.spawn().context("starting the guard of a server")?))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut pipe) = self.0.stdin.take() {
            let _ = pipe.write_all(b"done\n");
        }
        let _ = self.0.wait();
    }
}
