//! `orderwright serve`: everything in one process, until a signal asks it to stop.

use std::process::ExitCode;

use anyhow::{Context, Result};
use bus::Drained;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::Shared;
use crate::say;
use crate::wiring::Service;

/// Run API, pipeline and store in one process.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address that the API listens on.
    #[arg(long, env = "ORDERWRIGHT_LISTEN", value_name = "IP:PORT")]
    listen: Option<String>,
    #[command(flatten)]
    life: Life,
}

/// How long a process goes on.
#[derive(Debug, Args)]
pub(super) struct Life {
    /// Stop as well when standard input ends: with whoever started this and holds the other end.
    #[arg(long)]
    until_stdin_ends: bool,
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
        say!(
            "orderwright serves http://{}  (API page: /docs, data: {}{broker})",
            service.addr,
            config.database
        );
        self.life.end().await?;
        say!("stopping: finishing what is in hand");
        let how = match service.stop().await {
            Drained::Cleanly => "stopped",
            Drained::ByForce => {
                "stopped before everything in hand was finished; it goes on at the next start"
            }
        };
        say!("{how}");
        Ok(ExitCode::SUCCESS)
    }
}

/// Binds an address, or says in one line what to do.
pub(super) async fn bind(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; is it in use? choose another with --listen, such as 127.0.0.1:0 for any free port")
    })
}

impl Life {
    /// Waits for Ctrl-C, a polite kill, or the end of whoever this one goes with.
    pub(super) async fn end(&self) -> Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = terminate.recv() => {}
            () = self.stdin_ended() => {}
        }
        Ok(())
    }

    async fn stdin_ended(&self) {
        if !self.until_stdin_ends {
            return std::future::pending().await;
        }
        let (sender, ended) = tokio::sync::oneshot::channel();
        // On a thread of its own, because a runtime does not end before what it reads itself.
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            let _ = sender.send(());
        });
        let _ = ended.await;
    }
}
