//! Runs the program in a folder of its own, which is gone afterwards.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A folder to run the program in.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("orderwright-cli-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("a file for the test");
        path
    }

    /// Runs the program here, with nothing from the environment of whoever runs the tests.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran(self.command(arguments).output().expect("the program can be started"))
    }

    /// The program with these arguments, to be run here.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orderwright"));
        for name in [
            "PROFILE",
            "CONFIG",
            "DATABASE",
            "BROKER",
            "LISTEN",
            "PAYMENT_URL",
            "SHIPPING_URL",
            "WEBHOOK_SECRET",
        ] {
            command.env_remove(format!("ORDERWRIGHT_{name}"));
        }
        command.args(arguments).current_dir(&self.0).env_remove("RUST_LOG");
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Ran(Output);

impl Ran {
    /// What it answered; it must have succeeded.
    #[track_caller]
    pub(crate) fn answer(&self) -> String {
        assert!(self.0.status.success(), "{self:?}");
        String::from_utf8(self.0.stdout.clone()).expect("the answer is text")
    }

    /// The same, as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.answer()).expect("the answer is JSON")
    }

    /// What it printed, though it failed.
    #[track_caller]
    pub(crate) fn failure(&self) -> String {
        assert!(!self.0.status.success(), "{self:?}");
        String::from_utf8(self.0.stdout.clone()).expect("it is text")
    }

    /// The one line with which it refused; it must have failed.
    #[track_caller]
    pub(crate) fn refusal(&self) -> String {
        let told = String::from_utf8_lossy(&self.0.stderr).into_owned();
        assert!(!self.0.status.success() && self.0.stdout.is_empty(), "{self:?}");
        assert_eq!(told.lines().count(), 1, "a refusal is one line: {told}");
        assert!(told.starts_with("error: "), "{told}");
        told
    }
}
