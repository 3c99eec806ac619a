//! `orderwright serve`: everything in one process, until a signal asks it to stop.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::{Context, Result};
use bus::Drained;
use clap::Args;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Format, Shared, log_risks};
use crate::config::{Config, Loaded, PageMode, Settings};
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
        let listen = self.listen.as_deref();
        let Loaded { config, settings, risks } = shared.loaded(listen)?;
        let listener = bind(&config.listen).await?;
        let service = Service::start(&config, listener).await?;
        log_risks(&risks);
        greet(&service, &config, shared.format());
        let last = RefCell::new(settings.clone());
        let in_force = InForce { service: &service, shared, listen, at_the_start: settings, last };
        self.life.end(signals, &|| in_force.read_anew()).await?;
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

/// The settings of a service that runs, as they were at its start and as they were last read.
struct InForce<'a> {
    service: &'a Service,
    shared: &'a Shared,
    listen: Option<&'a str>,
    at_the_start: Settings,
    last: RefCell<Settings>,
}

impl InForce<'_> {
    /// What can change while the service runs is read anew: the certificate, the secrets of webhooks, and what is logged. What else
    /// has changed is named.
    fn read_anew(&self) {
        match self.service.renew() {
            Ok(Renewal::Renewed) => tracing::info!("hang-up: the certificate was renewed"),
            Ok(Renewal::None) => {}
            Err(error) => {
                tracing::warn!(mistake = format!("{error:#}"), "hang-up: the certificate cannot be read");
            }
        }
        let read = self.shared.loaded(self.listen).and_then(|loaded| {
            self.service.verify_with(&loaded.config)?;
            Ok(loaded)
        });
        match read {
            Ok(loaded) => self.follow(loaded),
            Err(error) => {
                tracing::warn!(
                    mistake = format!("{error:#}"),
                    "hang-up: the configuration is wrong; what was in force stays"
                );
            }
        }
    }

    fn follow(&self, Loaded { config, settings, .. }: Loaded) {
        telemetry::log_anew(&config.telemetry);
        let changed = named(&settings.followed_since(&self.last.borrow()));
        tracing::info!(changed, "hang-up: configuration, certificate and webhook secrets were read anew");
        let waiting = settings.waiting_since(&self.at_the_start);
        if !waiting.is_empty() {
            let settings = named(&waiting);
            tracing::warn!(settings, "hang-up: these settings have changed and count only after a restart");
        }
        self.last.replace(settings);
    }
}

fn named(keys: &[&str]) -> String {
    if keys.is_empty() { "none".to_owned() } else { keys.join(", ") }
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
