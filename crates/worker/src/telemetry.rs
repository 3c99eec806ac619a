//! Logs: readable lines on a terminal, one JSON object a line elsewhere. Always to standard error, so that a command's
//! answer on standard output stays clean.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// What is logged when `RUST_LOG` says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// A server: what happens. What the broker's driver has to say is told by whoever used it.
    Serving,
    /// A command: only what goes wrong.
    Command,
}

/// Starts logging. Does nothing if it was started before.
pub fn start(verbosity: Verbosity) {
    let default = match verbosity {
        Verbosity::Serving => "info,refinery_core=warn,lapin=off",
        Verbosity::Command => "error,lapin=off",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started =
        if std::io::stderr().is_terminal() { builder.try_init() } else { builder.json().try_init() };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}
