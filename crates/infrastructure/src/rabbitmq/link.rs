//! One connection to one of several addresses, made when it is needed and made anew when it broke. Whoever waits shares one
//! attempt; after all addresses failed there is a pause, with jitter, that grows up to a bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bus::{Fault, IdSource, Verdict, jittered};
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep_until, timeout};

use super::attempt;
use super::declaration::Declaration;
use super::limits::{ROUND_PAUSE_MAX, ROUND_PAUSE_MIN};
use super::refusal::{self, Refusal};
use super::settings::RabbitMqSettings;

/// A connection that heals.
pub(super) struct Link {
    addresses: Vec<AMQPUri>,
    name: String,
    connect_limit: Duration,
    more_roots: Option<Arc<str>>,
    declaration: Arc<Declaration>,
    ids: Arc<dyn IdSource>,
    state: Mutex<State>,
    /// Rounds over all addresses that failed so far.
    failures: AtomicU64,
    /// Raised when the broker turned out to lack what was declared; answered by declaring again.
    doubts: AtomicU64,
}

struct State {
    connection: Option<Connection>,
    /// Which connection it is, counted from the first.
    epoch: u64,
    /// The address to try next.
    next: usize,
    pause: Duration,
    not_before: Instant,
    failure: Failure,
    doubts_answered: u64,
}

/// Why the last round failed.
#[derive(Clone)]
struct Failure {
    verdict: Verdict,
    text: String,
}

/// A channel and the connection that it is of.
pub(super) struct Opened {
    pub(super) channel: Channel,
    /// Of the connection, counted from the first.
    pub(super) epoch: u64,
}

impl Link {
    pub(super) fn new(
        addresses: Vec<AMQPUri>,
        name: String,
        settings: &RabbitMqSettings,
        declaration: Arc<Declaration>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        let (connect_limit, more_roots) = (settings.connect_limit, settings.more_roots.clone());
        // Many processes that start together spread over the cluster.
        let next = usize::try_from(ids.below(addresses.len() as u64)).unwrap_or_default();
        let state = State {
            connection: None,
            epoch: 0,
            next,
            pause: ROUND_PAUSE_MIN,
            not_before: Instant::now(),
            failure: Failure { verdict: Verdict::Retry, text: String::new() },
            doubts_answered: 0,
        };
        let (state, failures, doubts) = (Mutex::new(state), AtomicU64::new(0), AtomicU64::new(0));
        Self { addresses, name, connect_limit, more_roots, declaration, ids, state, failures, doubts }
    }

    /// A fresh channel; over a fresh connection if there is none that works.
    pub(super) async fn open(&self) -> Result<Opened, Fault> {
        let failures_seen = self.failures.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        if !state.is_connected() {
            self.reconnect(&mut state, failures_seen).await?;
        }
        self.answer_doubts(&mut state).await?;
        let epoch = state.epoch;
        let connection = state.connection.as_ref().ok_or_else(|| away("the connection broke at once"))?;
        match timeout(self.connect_limit, connection.create_channel()).await {
            Ok(Ok(channel)) => Ok(Opened { channel, epoch }),
            Ok(Err(error)) => {
                state.connection = None;
                Err(refusal::fault(OPEN, error))
            }
            Err(_) => {
                state.connection = None;
                Err(away("the broker did not open a channel in time"))
            }
        }
    }

    /// The broker lacks something that was declared: declare it again before the next channel is used.
    pub(super) fn doubt(&self) {
        self.doubts.fetch_add(1, Ordering::AcqRel);
    }

    async fn answer_doubts(&self, state: &mut State) -> Result<(), Fault> {
        let doubts = self.doubts.load(Ordering::Acquire);
        if state.doubts_answered == doubts {
            return Ok(());
        }
        if let Some(connection) = &state.connection {
            self.declare(connection).await?;
        }
        state.doubts_answered = doubts;
        Ok(())
    }

    async fn reconnect(&self, state: &mut MutexGuard<'_, State>, failures_seen: u64) -> Result<(), Fault> {
        state.connection = None;
        if self.failures.load(Ordering::Acquire) > failures_seen {
            // Somebody tried while we waited for our turn.
            return Err(state.failure.fault());
        }
        sleep_until(state.not_before).await;
        let doubts = self.doubts.load(Ordering::Acquire);
        match self.round(state).await {
            Ok(connection) => {
                state.connection = Some(connection);
                state.epoch += 1;
                state.pause = ROUND_PAUSE_MIN;
                state.doubts_answered = doubts;
                Ok(())
            }
            Err(failure) => {
                state.not_before = Instant::now() + jittered(state.pause, self.ids.as_ref());
                state.pause = (state.pause * 2).min(ROUND_PAUSE_MAX);
                state.failure = failure;
                self.failures.fetch_add(1, Ordering::AcqRel);
                Err(state.failure.fault())
            }
        }
    }

    /// Tries each address once, beginning behind the one that was tried last.
    async fn round(&self, state: &mut State) -> Result<Connection, Failure> {
        let mut said = Vec::new();
        let mut verdict = Verdict::GiveUp;
        for _ in 0..self.addresses.len() {
            let address = &self.addresses[state.next % self.addresses.len()];
            state.next = (state.next + 1) % self.addresses.len();
            match self.connect(address).await {
                Ok(connection) => return Ok(connection),
                Err(failure) => {
                    if failure.verdict != Verdict::GiveUp {
                        verdict = Verdict::Retry;
                    }
                    let authority = &address.authority;
                    said.push(format!("{}:{}: {}", authority.host, authority.port, failure.text));
                }
            }
        }
        Err(Failure { verdict, text: said.join("; ") })
    }

    /// Connects and has everything declared, since the broker behind this address may never have seen us.
    async fn connect(&self, address: &AMQPUri) -> Result<Connection, Failure> {
        let properties =
            ConnectionProperties::default().with_connection_name(self.name.as_bytes().to_vec().into());
        let connection =
            match attempt::connect(address, properties, self.connect_limit, self.more_roots.clone()).await {
                Some(Ok(connection)) => connection,
                Some(Err(error)) => return Err(Failure::of(&error)),
                None => {
                    let text = format!("no answer within {:?}", self.connect_limit);
                    return Err(Failure { verdict: Verdict::Retry, text });
                }
            };
        self.declare(&connection)
            .await
            .map_err(|fault| Failure { verdict: fault.verdict, text: fault.to_string() })?;
        Ok(connection)
    }

    async fn declare(&self, connection: &Connection) -> Result<(), Fault> {
        timeout(self.connect_limit, self.declaration.declare(connection))
            .await
            .unwrap_or_else(|_| Err(away("the broker did not take the topology in time")))
    }
}

impl State {
    fn is_connected(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.status().connected())
    }
}

impl Failure {
    fn of(error: &lapin::Error) -> Self {
        let (verdict, text) = match refusal::read(error) {
            Refusal::Forbidden => (
                Verdict::GiveUp,
                format!("the broker does not let us in; check user, password and virtual host ({error})"),
            ),
            Refusal::Away | Refusal::Unknown | Refusal::Unfit => (Verdict::Retry, error.to_string()),
        };
        Self { verdict, text }
    }

    fn fault(&self) -> Fault {
        Fault::new(OPEN, self.verdict, format!("no RabbitMQ address can be used: {}", self.text))
    }
}

const OPEN: &str = "rabbitmq.connect";

fn away(text: &str) -> Fault {
    Fault::retry(OPEN, text.to_owned())
}
