//! Sees to it that nothing outlives the process that started it, however that one ends: a shell that waits for it to let go of
//! a pipe, and then ends a group of processes. It is there before the first of them, so that there is no moment to be killed in.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Ends without doing anything if it is told so; if the pipe just breaks, ends the group and removes its folder. It waits no
/// longer than ten seconds for those that are asked: where nobody buries orphans, they never seem to go.
const SCRIPT: &str = r#"
if read -r word; then exit 0; fi
looks=200
kill -s "$3" -- "$1"
while [ "$looks" -gt 0 ] && kill -0 -- "$1"; do
    looks=$((looks - 1))
    sleep 0.05
done
kill -s KILL -- "$1"
rm -rf "$2"
"#;

/// How processes end that are watched over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// At once.
    Killed,
    /// When they are asked to, because some have children in groups of their own, which only they can end.
    Asked,
}

/// A shell that watches over a group of processes and their folder.
#[derive(Debug)]
pub struct Guard {
    shell: Child,
    /// Holds the group until others join it, and ends with its input.
    leader: Child,
}

impl Guard {
    /// Watches over a group of which nobody is yet, and a folder that need not be there yet; an empty path for no folder.
    ///
    /// # Errors
    /// If there is no shell.
    pub fn over(folder: &Path, ends: Ends) -> Result<Self> {
        let mut leader = Command::new("cat");
        let leader = quiet(&mut leader).spawn().context("starting a group of processes")?;
        let signal = match ends {
            Ends::Killed => "KILL",
            Ends::Asked => "QUIT",
        };
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "guard", &format!("-{}", leader.id())]).arg(folder).arg(signal);
        let shell = quiet(&mut shell).spawn().context("starting the guard of a group of processes")?;
        Ok(Self { shell, leader })
    }

    /// The group; a process started in it goes with this one.
    ///
    /// # Panics
    /// Never: ids of processes fit.
    #[must_use]
    pub fn group(&self) -> i32 {
        i32::try_from(self.leader.id()).expect("ids of processes are small numbers")
    }
}

/// In a group of its own, or an interrupt of this process would end it too.
fn quiet(command: &mut Command) -> &mut Command {
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null())
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut pipe) = self.shell.stdin.take() {
            let _ = pipe.write_all(b"done\n");
        }
        let _ = self.shell.wait();
        // Waiting closes its input.
        let _ = self.leader.wait();
    }
}
