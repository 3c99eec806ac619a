//! Runs the program in a folder of its own, which is gone afterwards.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// The program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_orderwright");

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
        self.run_with(arguments, &[])
    }

    /// The same, with these variables.
    pub(crate) fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let mut command = self.command(arguments);
        Ran(command.envs(environment.iter().copied()).output().expect("the program can be started"))
    }

    /// The program with these arguments, to be run here.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        self.alone(&mut command).args(arguments);
        command
    }

    /// Has a shell run a line, in which `$0` is the program.
    pub(crate) fn shell(&self, line: &str) -> Ran {
        let mut command = Command::new("sh");
        self.alone(&mut command).args(["-c", line, PROGRAM]);
        Ran(command.output().expect("there is a shell"))
    }

    /// Starts the program here.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program can be started")
    }

    fn alone<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ORDERWRIGHT") {
                command.env_remove(name);
            }
        }
        command.current_dir(&self.0).env_remove("RUST_LOG")
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

    /// Whether it did not know what was wanted.
    pub(crate) fn is_usage(&self) -> bool {
        self.0.status.code() == Some(2)
    }

    /// Its exit code, and what it told on standard error.
    pub(crate) fn told(&self) -> (Option<i32>, String) {
        (self.0.status.code(), String::from_utf8_lossy(&self.0.stderr).trim().to_owned())
    }

    /// All that it has written anywhere.
    pub(crate) fn everything(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(&self.0.stdout), String::from_utf8_lossy(&self.0.stderr))
    }

    /// What it printed, though it failed.
    #[track_caller]
    pub(crate) fn failure(&self) -> String {
        assert!(!self.0.status.success(), "{self:?}");
        String::from_utf8(self.0.stdout.clone()).expect("it is text")
    }

    /// Everything that it said, to whomever.
    pub(crate) fn said(&self) -> String {
        [&self.0.stdout, &self.0.stderr].map(|said| String::from_utf8_lossy(said).into_owned()).concat()
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
