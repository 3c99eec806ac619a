//! What is tried, and where its programs lie.

use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    PostgreSql,
    RabbitMq,
}

/// The folders with the programs of the engines on which something is tried. Of what is not named the tests find their own.
#[derive(Debug)]
pub(super) struct Engines {
    pub(super) postgres: PathBuf,
    pub(super) rabbitmq: Option<PathBuf>,
}
