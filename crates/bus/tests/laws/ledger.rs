//! The neutral trade of these tests: a ledger of counters, and messages that carry their own misconduct. Decides nothing
//! about the bus.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use orderwright_bus as bus;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use bus::harness::{Harness, MemoryUnit};
use bus::{
    Consumer, CorrelationId, EffectConsumer, EndpointPolicy, Envelope, Fault, Message, MessageId, Topology,
    Unit, Work,
};

/// Runs a test body on virtual time.
pub(crate) fn on_virtual_time<R>(body: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O can always be made").block_on(body)
}

/// A harness over a ledger.
pub(crate) fn harness() -> Harness<Ledger> {
    Harness::new(topology())
}

pub(crate) fn topology() -> Topology {
    Topology::default().subscribe("bookkeeper", Add::KINDS)
}

/// The tables of these tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) totals: BTreeMap<String, i64>,
    /// How often each message was applied, counted in the very transaction that applied it.
    pub(crate) applied: BTreeMap<MessageId, u32>,
}

/// What goes wrong with a message, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Conduct {
    Good,
    /// Handling it fails, so often; it is known from the attempt count.
    FailsFirst(u32),
    /// It takes a newer program.
    NeedsNewer,
    FailsAlways,
    PanicsInHandle,
    FailsInPerform,
    PanicsInPerform,
    PanicsInDecode,
    /// Its effect takes so many milliseconds.
    TakesMs(u64),
}

impl Conduct {
    pub(crate) fn is_poison(self) -> bool {
        match self {
            Self::Good | Self::FailsFirst(_) | Self::NeedsNewer | Self::TakesMs(_) => false,
            Self::FailsAlways
            | Self::PanicsInHandle
            | Self::FailsInPerform
            | Self::PanicsInPerform
            | Self::PanicsInDecode => true,
        }
    }
}

/// Asks to add to a counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Add {
    pub(crate) counter: String,
    pub(crate) by: i64,
    pub(crate) conduct: Conduct,
}

/// Tells that it was added.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Added {
    pub(crate) counter: String,
    pub(crate) by: i64,
}

pub(crate) fn add(by: i64) -> Add {
    with_conduct(by, Conduct::Good)
}

pub(crate) fn with_conduct(by: i64, conduct: Conduct) -> Add {
    Add { counter: "rain".into(), by, conduct }
}

impl Message for Add {
    const KINDS: &'static [&'static str] = &["add"];

    fn kind(&self) -> &'static str {
        "add"
    }

    fn encode(&self) -> Bytes {
        bus::to_json(self)
    }

    fn decode(_kind: &str, body: &[u8]) -> Result<Self, Fault> {
        let message: Self = bus::from_json(body)?;
        assert!(message.conduct != Conduct::PanicsInDecode, "decode fell");
        Ok(message)
    }
}

impl Message for Added {
    const KINDS: &'static [&'static str] = &["added"];

    fn kind(&self) -> &'static str {
        "added"
    }

    fn encode(&self) -> Bytes {
        bus::to_json(self)
    }

    fn decode(_kind: &str, body: &[u8]) -> Result<Self, Fault> {
        bus::from_json(body)
    }
}

/// What a test may look at from outside while the bookkeeper works.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    pub(crate) performed: AtomicUsize,
    pub(crate) under_way: AtomicUsize,
    pub(crate) under_way_max: AtomicUsize,
}

/// Adds to the ledger what it is asked to add.
#[derive(Default)]
pub(crate) struct Bookkeeper;

/// The same, but it calls the outside about each message first.
#[derive(Default)]
pub(crate) struct AskingBookkeeper {
    pub(crate) gauge: Arc<Gauge>,
}

/// A policy with so many effects at once.
pub(crate) fn effects(effects_max: usize) -> EndpointPolicy {
    EndpointPolicy { effects_max, ..EndpointPolicy::default() }
}

/// Has a bookkeeper work that calls the outside about so many messages at once.
pub(crate) fn asking(harness: &mut Harness<Ledger>, effects_max: usize) -> Arc<Gauge> {
    let bookkeeper = AskingBookkeeper::default();
    let gauge = Arc::clone(&bookkeeper.gauge);
    harness.consume_effects(bookkeeper, effects(effects_max));
    gauge
}

#[async_trait]
impl Consumer<MemoryUnit<Ledger>> for Bookkeeper {
    const QUEUE: &'static str = "bookkeeper";
    type Message = Add;

    async fn handle(&self, unit: &mut MemoryUnit<Ledger>, batch: &mut [Work<Add>]) -> Result<(), Fault> {
        book(unit, batch).await
    }
}

#[async_trait]
impl EffectConsumer<MemoryUnit<Ledger>> for AskingBookkeeper {
    const QUEUE: &'static str = "bookkeeper";
    type Message = Add;
    type Answer = ();

    async fn perform(&self, message: &Add, _envelope: &Envelope) -> Result<(), Fault> {
        let under_way = self.gauge.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.gauge.under_way_max.fetch_max(under_way, Ordering::SeqCst);
        let result = conduct_effect(message).await;
        self.gauge.under_way.fetch_sub(1, Ordering::SeqCst);
        self.gauge.performed.fetch_add(1, Ordering::SeqCst);
        result
    }

    async fn handle(&self, unit: &mut MemoryUnit<Ledger>, batch: &mut [Work<Add>]) -> Result<(), Fault> {
        book(unit, batch).await
    }
}

async fn book(unit: &mut MemoryUnit<Ledger>, batch: &mut [Work<Add>]) -> Result<(), Fault> {
    for work in batch {
        let envelope = work.envelope().clone();
        // The change comes first, so that a failure has something to undo.
        *unit.data.totals.entry(work.message.counter.clone()).or_default() += work.message.by;
        *unit.data.applied.entry(envelope.id).or_default() += 1;
        let added = Added { counter: work.message.counter.clone(), by: work.message.by };
        unit.publish(vec![added.caused_by(&envelope, 0, envelope.sent_at)]).await?;
        conduct_handling(&work.message, &envelope)?;
    }
    Ok(())
}

async fn conduct_effect(message: &Add) -> Result<(), Fault> {
    match message.conduct {
        Conduct::FailsInPerform => Err(Fault::give_up("counter.ask", "no answer")),
        Conduct::PanicsInPerform => panic!("perform fell"),
        Conduct::TakesMs(ms) => {
            until(Instant::now() + Duration::from_millis(ms)).await;
            Ok(())
        }
        Conduct::Good
        | Conduct::FailsFirst(_)
        | Conduct::NeedsNewer
        | Conduct::FailsAlways
        | Conduct::PanicsInHandle
        | Conduct::PanicsInDecode => Ok(()),
    }
}

fn conduct_handling(message: &Add, envelope: &Envelope) -> Result<(), Fault> {
    match message.conduct {
        Conduct::FailsAlways => Err(Fault::give_up("ledger.add", "refused")),
        Conduct::FailsFirst(times) if envelope.attempt < times => {
            Err(Fault::give_up("ledger.add", "not yet"))
        }
        Conduct::NeedsNewer => Err(Fault::leave_to_others("ledger.add", "of a later release")),
        Conduct::PanicsInHandle => panic!("handle fell"),
        Conduct::Good
        | Conduct::FailsFirst(_)
        | Conduct::FailsInPerform
        | Conduct::PanicsInPerform
        | Conduct::PanicsInDecode
        | Conduct::TakesMs(_) => Ok(()),
    }
}

/// Stands for the time that the outside takes; virtual, like all time here.
pub(crate) async fn until(moment: Instant) {
    let never = std::future::pending::<()>();
    let _ = tokio::time::timeout_at(moment, never).await;
}

/// The `number`-th message of a test as an envelope: the same number, the same id.
pub(crate) fn numbered(number: u128, message: &Add) -> Envelope {
    let id = uuid::Uuid::from_u128(number + 1);
    message.first(MessageId(id), CorrelationId(id), jiff::Timestamp::UNIX_EPOCH)
}
