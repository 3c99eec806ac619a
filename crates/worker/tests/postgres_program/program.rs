//! The program against a server of the test's own, with nothing from the environment of whoever runs the tests.

use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;
use testkit::servers::{Durability, Postgres};

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_orderwright");

/// The server that the tests here share; no test kills it.
pub(crate) fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start(Durability::None).expect("a server of our own"))
}

/// A database of its own.
pub(crate) fn database() -> String {
    server().database().expect("a database of our own")
}

fn run(database: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    for name in ["CONFIG", "DATABASE", "BROKER", "LISTEN", "PAYMENT_URL", "SHIPPING_URL", "WEBHOOK_SECRET"] {
        command.env_remove(format!("ORDERWRIGHT_{name}"));
    }
    command
        .args(arguments)
        .args(["--database", database])
        .env_remove("RUST_LOG")
        .current_dir(std::env::temp_dir());
    command.output().expect("the program can be started")
}

/// What it answers, as JSON; it must succeed.
#[track_caller]
pub(crate) fn json(database: &str, arguments: &[&str]) -> Value {
    let output = run(database, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).expect("the answer is JSON")
}

/// What it answers, as JSON, although not everything went as asked.
#[track_caller]
pub(crate) fn json_of_a_failure(database: &str, arguments: &[&str]) -> Value {
    let output = run(database, &[arguments, &["--json"]].concat());
    assert!(!output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).expect("the answer is JSON")
}

/// The one line with which it refuses; it must fail.
#[track_caller]
pub(crate) fn refusal(database: &str, arguments: &[&str]) -> String {
    let output = run(database, arguments);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert_eq!(told.lines().count(), 1, "a refusal is one line: {told}");
    told
}
