//! The servers that the tests here share; no test kills them.

use std::process::Command;
use std::sync::OnceLock;

use testkit::servers::rabbitmq::RabbitMq;
use testkit::servers::{Durability, Postgres};

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_orderwright");

/// An empty database.
pub(crate) fn database() -> String {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    let server = SERVER.get_or_init(|| Postgres::start(Durability::None).expect("a server of our own"));
    server.database().expect("a database of our own")
}

/// An empty virtual host.
pub(crate) fn broker() -> String {
    static NODE: OnceLock<RabbitMq> = OnceLock::new();
    let node = NODE.get_or_init(|| RabbitMq::start().expect("a node of our own"));
    node.vhost().expect("there are as many virtual hosts as tests")
}

/// The one line with which the program refuses; it must fail.
#[track_caller]
pub(crate) fn refusal(arguments: &[&str]) -> String {
    let mut command = Command::new(PROGRAM);
    for name in ["CONFIG", "DATABASE", "BROKER", "LISTEN", "PAYMENT_URL", "SHIPPING_URL", "WEBHOOK_SECRET"] {
        command.env_remove(format!("ORDERWRIGHT_{name}"));
    }
    let output = command.args(arguments).env_remove("RUST_LOG").current_dir(std::env::temp_dir()).output();
    let output = output.expect("the program can be started");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert_eq!(told.lines().count(), 1, "a refusal is one line: {told}");
    told
}
