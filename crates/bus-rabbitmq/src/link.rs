//! One connection to one of several addresses, made when it is needed and made anew when it broke. Whoever waits shares one
//! attempt; after all addresses failed there is a pause, with jitter, that grows up to a bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bus::{Fault, IdSource, Verdict, jittered};
use lapin::protocol::constants::{FRAME_MIN_SIZE as FRAME_BYTES_MIN, REPLY_SUCCESS};
use lapin::uri::AMQPUri;
use lapin::{Channel, ConnectionProperties, ConnectionStatus, ErrorKind};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep_until, timeout};

use super::attempt::{self, Connected};
use super::declaration::Declaration;
use super::limits::{
    AMISS_PAUSE_MAX, AMISS_PAUSE_MIN, BURIED_MAX, DECLARE_LIMIT, ROUND_PAUSE_MAX, ROUND_PAUSE_MIN,
};
use super::refusal::{self, Refusal};
use super::settings::RabbitMqSettings;

/// A connection that heals.
pub(super) struct Link {
    maker: Arc<Maker>,
    state: Arc<Mutex<State>>,
}

/// What it takes to make a connection.
struct Maker {
    addresses: Vec<AMQPUri>,
    name: String,
    connect_limit: Duration,
    more_roots: Option<Arc<str>>,
    declaration: Arc<Declaration>,
    ids: Arc<dyn IdSource>,
    /// Rounds over all addresses that failed so far.
    failures: AtomicU64,
    /// Channels that were given up and are not closed yet.
    buried: Arc<AtomicUsize>,
    /// Raised when the broker turned out to lack what was declared; answered by declaring again.
    doubts: AtomicU64,
    /// Whether that is to happen at once, whatever was found the last time.
    is_urgent: AtomicBool,
}

struct State {
    connected: Option<Connected>,
    /// Which connection it is, counted from the first.
    epoch: u64,
    /// The address to try next.
    next: usize,
    pause: Duration,
    not_before: Instant,
    failure: Failure,
    doubts_answered: u64,
    /// What is amiss at the broker is declared again then.
    again_at: Instant,
    again_pause: Duration,
    /// Whether the last connection was cut because it gave no more channels.
    was_spent: bool,
}

/// The state in the hands of whoever works on it, who need not be whoever waits for that.
type Turn = OwnedMutexGuard<State>;

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
    connection: ConnectionStatus,
}

impl Opened {
    pub(super) fn is_up(&self) -> bool {
        self.channel.status().connected()
    }

    /// Whether the broker reads nothing from its connection; see [`Connected::is_blocked`].
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.blocked()
    }
}

impl Link {
    pub(super) fn new(
        addresses: Vec<AMQPUri>,
        name: String,
        settings: &RabbitMqSettings,
        declaration: Arc<Declaration>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        let maker = Maker {
            addresses,
            name,
            connect_limit: settings.connect_limit,
            more_roots: settings.more_roots.clone(),
            declaration,
            ids,
            failures: AtomicU64::new(0),
            buried: Arc::default(),
            doubts: AtomicU64::new(0),
            is_urgent: AtomicBool::new(false),
        };
        Self::of(maker)
    }

    fn of(maker: Maker) -> Self {
        // Many processes that start together spread over the cluster.
        let next = usize::try_from(maker.ids.below(maker.addresses.len() as u64)).unwrap_or_default();
        let state = State {
            connected: None,
            epoch: 0,
            next,
            pause: ROUND_PAUSE_MIN,
            not_before: Instant::now(),
            failure: Failure { verdict: Verdict::Retry, text: String::new() },
            doubts_answered: 0,
            again_at: Instant::now(),
            again_pause: AMISS_PAUSE_MIN,
            was_spent: false,
        };
        Self { maker: Arc::new(maker), state: Arc::new(Mutex::new(state)) }
    }

    /// Another one like it, for one queue.
    pub(super) fn another(&self, queue: &str) -> Self {
        let maker = &self.maker;
        Self::of(Maker {
            addresses: maker.addresses.clone(),
            name: format!("{} of {queue}", maker.name),
            connect_limit: maker.connect_limit,
            more_roots: maker.more_roots.clone(),
            declaration: Arc::clone(&maker.declaration),
            ids: Arc::clone(&maker.ids),
            failures: AtomicU64::new(0),
            buried: Arc::default(),
            doubts: AtomicU64::new(0),
            is_urgent: AtomicBool::new(false),
        })
    }

    /// A fresh channel; over a fresh connection if there is none that works. None while the broker reads nothing from the
    /// connection: what was put on another one would only wait there as well, and be sent twice in the end.
    pub(super) async fn open(&self) -> Result<Opened, Fault> {
        let failures_seen = self.maker.failures.load(Ordering::Acquire);
        let mut turn = Arc::clone(&self.state).lock_owned().await;
        if turn.is_blocked() {
            return Err(alarm());
        }
        if self.maker.buried.load(Ordering::Acquire) >= BURIED_MAX {
            tracing::warn!(
                "the broker leaves {BURIED_MAX} channels unanswered; the connection is cut and made anew"
            );
            turn.cut();
        }
        let mut turn = self.made_ready(turn, failures_seen).await?;
        let opened = self.open_channel(&mut turn).await;
        if opened.is_err() && std::mem::take(&mut turn.was_spent) {
            turn = self.made_ready(turn, failures_seen).await?;
            return self.open_channel(&mut turn).await;
        }
        opened
    }

    /// Waits until there is a connection with everything declared on it. Whoever waits here may be dropped at any moment, and
    /// that for less than an attempt may take; what has begun comes to its end all the same.
    async fn made_ready(&self, turn: Turn, failures_seen: u64) -> Result<Turn, Fault> {
        if turn.is_up() && turn.doubts_answered == self.maker.doubts.load(Ordering::Acquire) {
            return Ok(turn);
        }
        let making = Arc::clone(&self.maker).make_ready(turn, failures_seen);
        tokio::spawn(making).await.map_err(|error| Fault::retry(OPEN, error))?
    }

    async fn open_channel(&self, state: &mut State) -> Result<Opened, Fault> {
        let epoch = state.epoch;
        let connected = state.connected.as_ref().ok_or_else(|| away("the connection broke at once"))?;
        let opening = timeout(self.maker.connect_limit, connected.open_channel());
        let fault = match opening.await {
            Ok(Ok(channel)) => {
                let connection = connected.connection.status().clone();
                return Ok(Opened { channel, epoch, connection });
            }
            Err(_) if connected.is_blocked() => return Err(alarm()),
            Err(_) => away("the broker did not open a channel in time"),
            Ok(Err(_)) if connected.is_spent() => {
                state.was_spent = true;
                away("the connection gives no more channels; it is made anew")
            }
            // The others of this connection go on.
            Ok(Err(error)) if matches!(error.kind(), ErrorKind::ChannelsLimitReached) => {
                return Err(away(&too_few_channels(connected, self.maker.declaration.channels())));
            }
            Ok(Err(error)) => refusal::fault(OPEN, error),
        };
        state.cut();
        Err(fault)
    }

    /// Closes a channel on which the broker owes an answer. It may hear of that only much later, or never; then nothing waits here.
    pub(super) fn bury(&self, opened: Opened) {
        let buried = Arc::clone(&self.maker.buried);
        buried.fetch_add(1, Ordering::AcqRel);
        tokio::spawn(async move {
            let _ = opened.channel.close(REPLY_SUCCESS, "given up".into()).await;
            buried.fetch_sub(1, Ordering::AcqRel);
        });
    }

    /// The broker lacks something that was declared: declare it again before the next channel is used.
    /// If the last time something was amiss that declaring does not mend, it is declared again after a pause that grows.
    pub(super) fn doubt(&self) {
        self.maker.doubts.fetch_add(1, Ordering::AcqRel);
    }

    /// How often everything turned out to be as it should be after something was not.
    pub(super) fn mendings(&self) -> u64 {
        self.maker.declaration.mendings()
    }

    /// Has everything declared again without a pause: what is to be declared has changed.
    pub(super) fn redeclare(&self) {
        self.maker.is_urgent.store(true, Ordering::Release);
        self.doubt();
    }
}

impl Maker {
    async fn make_ready(self: Arc<Self>, mut turn: Turn, failures_seen: u64) -> Result<Turn, Fault> {
        if !turn.is_up() {
            self.reconnect(&mut turn, failures_seen).await?;
        }
        match self.answer_doubts(&mut turn).await {
            // A new connection has everything declared too.
            Err(_) if !turn.is_up() => self.reconnect(&mut turn, failures_seen).await?,
            answered => answered?,
        }
        Ok(turn)
    }

    async fn answer_doubts(&self, state: &mut State) -> Result<(), Fault> {
        let doubts = self.doubts.load(Ordering::Acquire);
        if state.doubts_answered == doubts {
            return Ok(());
        }
        if !self.is_urgent.swap(false, Ordering::AcqRel) && Instant::now() < state.again_at {
            return Ok(());
        }
        if let Some(connected) = &state.connected {
            self.declare(connected).await?;
        }
        state.doubts_answered = doubts;
        state.pace(self.declaration.is_settled());
        Ok(())
    }

    async fn reconnect(&self, state: &mut State, failures_seen: u64) -> Result<(), Fault> {
        state.cut();
        if self.failures.load(Ordering::Acquire) > failures_seen {
            // Somebody tried while we waited for our turn.
            return Err(state.failure.fault());
        }
        sleep_until(state.not_before).await;
        let doubts = self.doubts.load(Ordering::Acquire);
        match self.round(state).await {
            Ok(connected) => {
                state.connected = Some(connected);
                state.epoch += 1;
                state.pause = ROUND_PAUSE_MIN;
                state.doubts_answered = doubts;
                state.pace(self.declaration.is_settled());
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
    async fn round(&self, state: &mut State) -> Result<Connected, Failure> {
        let mut said = Vec::new();
        let mut verdict = Verdict::GiveUp;
        for _ in 0..self.addresses.len() {
            let address = &self.addresses[state.next % self.addresses.len()];
            state.next = (state.next + 1) % self.addresses.len();
            match self.connect(address).await {
                Ok(connected) => return Ok(connected),
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
    async fn connect(&self, address: &AMQPUri) -> Result<Connected, Failure> {
        let properties =
            ConnectionProperties::default().with_connection_name(self.name.as_bytes().to_vec().into());
        let connected =
            match attempt::connect(address, properties, self.connect_limit, self.more_roots.clone()).await {
                Some(Ok(connected)) => connected,
                Some(Err(error)) => return Err(Failure::of(&error)),
                None => {
                    let text = format!("no answer within {:?}", self.connect_limit);
                    return Err(Failure { verdict: Verdict::Retry, text });
                }
            };
        let needed = self.declaration.channels();
        if usize::from(connected.connection.configuration().channel_max()) < needed {
            let text = too_few_channels(&connected, needed);
            connected.cut();
            return Err(Failure { verdict: Verdict::GiveUp, text });
        }
        match self.declare(&connected).await {
            Ok(()) => Ok(connected),
            Err(fault) => {
                connected.cut();
                Err(Failure { verdict: fault.verdict, text: fault.to_string() })
            }
        }
    }

    async fn declare(&self, connected: &Connected) -> Result<(), Fault> {
        timeout(DECLARE_LIMIT, self.declaration.declare(connected))
            .await
            .unwrap_or_else(|_| Err(away("the broker did not take the topology in time")))
    }
}

impl State {
    fn is_up(&self) -> bool {
        self.connected.as_ref().is_some_and(Connected::is_up)
    }

    fn is_blocked(&self) -> bool {
        self.connected.as_ref().is_some_and(|connected| connected.is_up() && connected.is_blocked())
    }

    /// Sets the pause before everything is declared again.
    fn pace(&mut self, is_settled: bool) {
        if is_settled {
            (self.again_at, self.again_pause) = (Instant::now(), AMISS_PAUSE_MIN);
        } else {
            self.again_at = Instant::now() + self.again_pause;
            self.again_pause = (self.again_pause * 2).min(AMISS_PAUSE_MAX);
        }
    }

    /// Does away with a connection that is of no more use.
    fn cut(&mut self) {
        if let Some(connected) = self.connected.take() {
            connected.cut();
        }
    }
}

impl Failure {
    fn of(error: &lapin::Error) -> Self {
        let (verdict, text) = match refusal::read(error) {
            Refusal::Forbidden => (
                Verdict::GiveUp,
                format!("the broker does not let us in; check user, password and virtual host ({error})"),
            ),
            Refusal::Away | Refusal::Unknown | Refusal::Unfit if refusal::is_hung_up(error) => (
                Verdict::Retry,
                format!(
                    "the broker hung up while the connection was opened; if that goes on, its log says why: frame_max must be at least {FRAME_BYTES_MIN} ({error})"
                ),
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

fn too_few_channels(connected: &Connected, needed: usize) -> String {
    let allowed = connected.connection.configuration().channel_max();
    format!(
        "the broker allows {allowed} channels on a connection, and this service needs {needed}; raise channel_max there"
    )
}

/// The broker reads nothing at the moment.
pub(super) fn alarm() -> Fault {
    away("the broker takes nothing, because it is short of memory or disk; it goes on when its alarm is over")
}

fn away(text: &str) -> Fault {
    Fault::retry(OPEN, text.to_owned())
}
