//! `orderwright serve`: everything in one process, until a signal asks it to stop.

use std::process::ExitCode;

use anyhow::{Context, Result};
use bus::Drained;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::Shared;
use crate::wiring::Service;

/// Run API, pipeline and store in one process.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address that the API listens on.
    #[arg(long, env = "ORDERWRIGHT_LISTEN", value_name = "IP:PORT")]
    listen: Option<String>,
}

impl Serve {
    pub(super) async fn run(self, shared: &Shared) -> Result<ExitCode> {
        let config = shared.config(self.listen.as_deref())?;
        let listener = bind(&config.listen).await?;
        let service = Service::start(&config, listener).await?;
        let broker = match config.rabbitmq.addresses.is_empty() {
            true => String::new(),
            false => format!(", broker: {}", config.rabbitmq.addresses),
        };
        println!(
            "orderwright serves http://{}  (API page: /docs, data: {}{broker})",
            service.addr, config.database
        );
        stop_signal().await?;
        println!("stopping: finishing what is in hand");
        match service.stop().await {
            Drained::Cleanly => println!("stopped"),
            Drained::ByForce => {
                println!("stopped before everything in hand was finished; it goes on at the next start");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Binds an address, or says in one line what to do.
pub(super) async fn bind(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; is it in use? choose another with --listen, such as 127.0.0.1:0 for any free port")
    })
}

/// Waits for Ctrl-C or a polite kill.
pub(super) async fn stop_signal() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
