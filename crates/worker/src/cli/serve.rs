//! `orderwright serve`: everything in one process, until a signal asks it to stop.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::{Context, Result};
use bus::Drained;
use clap::Args;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Format, Shared, log_risks};
use crate::config::{Config, Loaded, PageMode};
use crate::health::Uses;
use crate::say;
use crate::telemetry;
use crate::tls::Renewal;
use crate::wiring::Service;

/// Run API, pipeline and store in one process.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address that the API listens on. [env: ORDERWRIGHT_LISTEN]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    #[command(flatten)]
    life: Life,
}

/// How long a process goes on.
#[derive(Debug, Default, Args)]
pub(super) struct Life {
    /// Stop as well when standard input ends: with whoever started this and holds the other end.
    #[arg(long)]
    until_stdin_ends: bool,
}

impl Serve {
    pub(super) async fn run(self, shared: &Shared) -> Result<ExitCode> {
        let signals = Signals::catch()?;
        let Loaded { config, risks } = shared.loaded(self.listen.as_deref())?;
        let listener = bind(&config.listen).await?;
        let service = Service::start(&config, listener).await?;
        log_risks(&risks);
        greet(&service, &config, shared.format());
        let anew = || read_anew(&service, &config, shared, self.listen.as_deref());
        self.life.end(signals, &anew).await?;
        let words = Words(shared.format());
        words.say("stopping", "stopping: finishing what is in hand");
        match service.stop().await {
            Drained::Cleanly => words.say("stopped", "stopped"),
            Drained::ByForce => words.say(
                "stopped_by_force",
                "stopped before everything in hand was finished; it goes on at the next start",
            ),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The first line: whoever has started this waits for it.
fn greet(service: &Service, config: &Config, format: Format) {
    let uses = Uses::of(config);
    let address = format!("http://{}", service.addr);
    let broker = match config.rabbitmq.addresses.is_empty() {
        true => String::new(),
        false => format!(", broker: {}", uses.broker),
    };
    match format {
        Format::Json => say!("{}", json!({"state": "serving", "address": address, "uses": uses})),
        Format::Text => {
            let pages = match config.security.page {
                PageMode::On | PageMode::ReadOnly => "page: /ui, API: /docs",
                PageMode::Off => "API: /docs",
            };
            say!("orderwright serves {address}  ({pages}, data: {}{broker})", uses.database);
        }
    }
}

/// What can change while the service runs is read anew: the certificate, and what is logged. The rest takes a start.
fn read_anew(service: &Service, before: &Config, shared: &Shared, listen: Option<&str>) {
    match service.renew() {
        Ok(Renewal::Renewed) => tracing::info!("hang-up: the certificate was renewed"),
        Ok(Renewal::None) => {}
        Err(error) => {
            tracing::warn!(mistake = format!("{error:#}"), "hang-up: the certificate cannot be read");
        }
    }
    match shared.loaded(listen) {
        Err(error) => {
            tracing::warn!(
                mistake = format!("{error:#}"),
                "hang-up: the configuration is wrong; what was in force stays"
            );
        }
        Ok(Loaded { config: mut after, .. }) => {
            telemetry::log_anew(&after.telemetry);
            after.telemetry.order_events = before.telemetry.order_events;
            match after == *before {
                true => tracing::info!("hang-up: configuration and certificate were read anew"),
                false => tracing::warn!(
                    "hang-up: the configuration was read anew; what has changed beside the log counts after a start"
                ),
            }
        }
    }
}

/// Binds an address, or says in one line what to do.
pub(super) async fn bind(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; is it in use? choose another with --listen, such as 127.0.0.1:0 for any free port")
    })
}

/// The signals that are minded, from the moment on that they are caught: none of them is sudden death then.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn catch() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

impl Life {
    /// Waits for Ctrl-C, a polite kill, or the end of whoever this one goes with. A hang-up means that the terminal has gone, if
    /// there was one, and is a polite kill then; where there was none it asks to read the settings anew.
    pub(super) async fn end(&self, mut signals: Signals, anew: &dyn Fn()) -> Result<()> {
        let began_on_a_terminal = std::io::stdout().is_terminal();
        let ended = self.stdin_ended();
        tokio::pin!(ended);
        loop {
            tokio::select! {
                biased;
                _ = signals.hangup.recv() => match began_on_a_terminal {
                    true => return Ok(()),
                    false => anew(),
                },
                _ = signals.interrupt.recv() => return Ok(()),
                _ = signals.terminate.recv() => return Ok(()),
                () = &mut ended => return Ok(()),
            }
        }
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

/// What is said on the way, in the form that is wanted.
struct Words(Format);

impl Words {
    fn say(&self, state: &str, words: &str) {
        match self.0 {
            Format::Json => say!("{}", json!({"state": state})),
            Format::Text => say!("{words}"),
        }
    }
}
