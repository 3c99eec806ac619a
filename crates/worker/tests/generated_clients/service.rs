//! The program as a client meets it: `serve` on a database, with the sandbox for its providers.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::tools::Tools;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orderwright");

/// The key that clients show.
pub(crate) const KEY: &str = "a key of the test's own, long enough to be one";

/// A folder that goes with its test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("orderwright-clients-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("a file for the test");
        path.into_os_string().into_string().expect("a path in UTF-8")
    }

    /// The document of the API, as the program prints it.
    pub(crate) fn document(&self) -> String {
        let output = command(&["openapi"]).output().expect("the program can be started");
        assert!(output.status.success(), "{output:?}");
        self.file("openapi.json", output.stdout)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A program of ours that serves; ended with the test.
pub(crate) struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program can be started");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let first = lines.next().expect("it greets").expect("it is text");
        let address = first.split_whitespace().find(|word| word.starts_with("http://")).expect("an address");
        let address = address.trim_end_matches(['/', ',', ';', '"']).to_owned();
        // So that it never stands before a full pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { child, address }
    }

    /// A provider, which ends with this process.
    fn sandbox() -> Self {
        let mut command = command(&["sandbox", "--listen", "127.0.0.1:0", "--until-stdin-ends"]);
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        Self::start(command)
    }

    fn worker(folder: &Folder, database: &str, sandbox: &Self) -> Self {
        let mut command = command(&["serve", "--listen", "127.0.0.1:0", "--database", database]);
        command.env("ORDERWRIGHT__SECURITY__ADMIN_KEY", KEY);
        command.env("ORDERWRIGHT__PROVIDERS__PAYMENT_URL", &sandbox.address);
        command.env("ORDERWRIGHT__PROVIDERS__SHIPPING_URL", &sandbox.address);
        command.env("RUST_LOG", "error").current_dir(folder.path()).stdin(Stdio::null());
        Self::start(command)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ORDERWRIGHT") {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

/// Two workers of one database, or the same worker twice.
pub(crate) struct Shop {
    workers: Vec<Running>,
    _sandbox: Running,
}

impl Shop {
    /// On a file, which only one worker can work on.
    pub(crate) fn on_a_file(folder: &Folder) -> Self {
        let sandbox = Running::sandbox();
        Self { workers: vec![Running::worker(folder, "orders.db", &sandbox)], _sandbox: sandbox }
    }

    /// On a database of a server, which two workers share.
    pub(crate) fn on_a_server(folder: &Folder, database: &str) -> Self {
        let sandbox = Running::sandbox();
        let workers = [(); 2].map(|()| Running::worker(folder, database, &sandbox));
        Self { workers: workers.into(), _sandbox: sandbox }
    }

    /// Runs a client, which is told the key, where to place orders and where to look for them.
    pub(crate) fn serve(&self, tools: &Tools, folder: &Folder, program: &str, script: Option<&str>) {
        let [first, last] =
            [self.workers.first(), self.workers.last()].map(|worker| &worker.expect("one").address);
        let arguments: Vec<&str> = script.into_iter().chain([KEY, first, last]).collect();
        let told = tools.run(folder.path(), program, &arguments);
        assert!(told.contains("all is well"), "{told}");
    }
}
