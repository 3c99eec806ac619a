//! One run: a store, workers, providers and people on virtual time, from the first order until nothing is left to happen, and
//! the verdict on it. The same stage serves the seeded simulation and the scripted sweeps.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use application::commands::{AdjustStockCommand, CommandPipeline, ImportProductsCommand, StockChange};
use application::messages::{OrderCreatedEvent, PaymentProcessingRequested};
use application::pipeline::{Context, HandOver, PipelineSettings, topology};
use application::ports::{Overview, Readers};
use application::saga::{SagaState, StageLimits};
use bus::{
    CallBudget, Clock, CorrelationId, Envelope, Fault, Message, MessageId, Patience, PauseBoard, RandomIds,
    RetryPolicy, Routing, Transport, VirtualClock,
};
use bytes::Bytes;
use domain::{Capture, Currency, Money, OrderId, Payment, Sku, WhenShort};
use infrastructure::sqlite::{SqliteOptions, SqliteStore};
use jiff::Timestamp;
use uuid::Uuid;

use super::broker::{SimulatedBroker, Wiring};
use super::carrier::SimulatedCarrier;
use super::conditions::Conditions;
use super::customers::{Receipts, Street};
use super::destinations::Destinations;
use super::dice::Dice;
use super::errands::Errands;
use super::fate::{ProviderFate, StoreFate};
use super::findings::{Finding, Findings};
use super::fleet::{Blueprint, Fleet};
use super::gateway::{Honesty, SimulatedGateway};
use super::holds::Holds;
use super::journal::{Journal, Trace};
use super::mail::Mail;
use super::operator::{Habit, Operator};
use super::provider_line::{Line, pause};
use super::script::{Event, Script};
use super::transport::TransportFate;
use super::verdict::{Endings, Evidence};

/// The body of a message that nobody can read.
pub(super) const RUBBISH: &[u8] = b"not a message";

/// 2026-01-01, midnight, UTC, in seconds since the epoch.
const ORIGIN_S: i64 = 1_767_225_600;

/// Virtual time after the storm within which everything must have come to its end: a firing that a broker loses over and over comes
/// again after ten minutes at last.
const CALM_MAX: Duration = Duration::from_secs(4 * 60 * 60);

/// Between two looks at whether all is over.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Between two rounds of the operator.
const ROUND_PAUSE: Duration = Duration::from_secs(11);

/// Everything that makes a run.
pub struct Staging {
    /// What people do.
    pub script: Script,
    /// Fate of the store's steps.
    pub store_fate: Arc<dyn StoreFate>,
    /// Fate of calls to providers.
    pub provider_fate: Arc<dyn ProviderFate>,
    /// Fate of deliveries; none for a steady transport.
    pub transport_fate: Option<Arc<dyn TransportFate>>,
    /// Whether the gateway honours its keys.
    pub honesty: Honesty,
    /// How the operator goes about it.
    pub habit: Habit,
    /// How many workers share the store.
    pub workers: usize,
    /// Messages in one transaction.
    pub batch_max: usize,
    /// How messages between consumers without effects travel.
    pub hand_over: HandOver,
    /// How long stages may take.
    pub limits: StageLimits,
    /// When the money of an order is taken.
    pub capture: Capture,
    /// How providers are called.
    pub turns: Turns,
    /// Seed of ids, of jitter and of the operator's whims.
    pub seed: u64,
    /// Whether every event is printed.
    pub trace: Trace,
    /// What carries messages between consumers.
    pub wiring: Wiring,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Hash of everything that happened, in order.
    pub hash: u64,
    /// How many events that was.
    pub events: u64,
    /// Orders that were accepted.
    pub accepted: u64,
    /// How they ended.
    pub endings: Endings,
    /// Workers that died.
    pub crashes: u64,
    /// Status and saga of every order, by the number of its customer: what must not depend on batches and repeats.
    pub ends: Vec<String>,
    /// Everything that was wrong.
    pub findings: Vec<Finding>,
}

/// How providers are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns {
    /// The budget of the gateway, and that of the carrier.
    pub budget: CallBudget,
    /// How long a call waits for its turn.
    pub wait_max: Duration,
    /// Calls of a kind at once, of one worker.
    pub calls_at_once_max: usize,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            budget: CallBudget::default(),
            wait_max: Duration::from_secs(3),
            calls_at_once_max: bus::limits::PERFORM_MAX,
        }
    }
}

/// Limits short enough that a run passes through all of them in some minutes.
pub const SHORT_LIMITS: StageLimits = StageLimits {
    order: Duration::from_secs(60),
    payment: Duration::from_secs(12),
    shipping: Duration::from_secs(15),
    delivery_poll: Duration::from_secs(7),
    capture: Duration::from_secs(9),
    undo: Duration::from_secs(20),
    stock: Duration::from_secs(50),
};

fn settings(staging: &Staging) -> PipelineSettings {
    let retry = |times| RetryPolicy::exponential(times, Duration::from_millis(200), Duration::from_secs(2));
    PipelineSettings {
        capture: staging.capture,
        when_short: WhenShort::Cancel,
        limits: staging.limits,
        call_retry: retry(3),
        look_up_interval: Duration::from_secs(2),
        away: Patience { first: Duration::from_millis(200), longest: Duration::from_secs(4) },
        undo_retry: retry(UNDO_RETRIES_MAX),
        calls_at_once_max: staging.turns.calls_at_once_max,
        batch_max: staging.batch_max,
        hand_over: staging.hand_over,
    }
}

fn context(staging: &Staging, clock: &Arc<VirtualClock>) -> Arc<Context> {
    Arc::new(Context {
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        ids: Arc::new(RandomIds::seeded(staging.seed)),
        settings: settings(staging),
        pauses: PauseBoard::default(),
        hold_rules: staging.script.hold_rules.clone(),
    })
}

/// Where the store puts messages, and the broker that takes some or all of them.
fn carriers(
    staging: &Staging,
    journal: &Arc<Journal>,
    conditions: &Arc<Conditions>,
) -> (Routing, Option<Arc<SimulatedBroker>>) {
    let broker = || {
        let (fate, way) = (Arc::clone(&staging.store_fate), staging.transport_fate.clone());
        SimulatedBroker::new(topology(), fate, way, Arc::clone(journal), Arc::clone(conditions))
    };
    match staging.wiring {
        Wiring::Store => (Routing::Store, None),
        Wiring::Broker => (Routing::Outbox, Some(broker())),
        Wiring::LocalFirst => (Routing::Store, Some(broker())),
    }
}

fn mail(errands: &Errands, journal: &Arc<Journal>) -> Arc<Mail> {
    let (errands, journal) = (errands.clone(), Arc::clone(journal));
    Arc::new(Mail { errands, journal, fleet: OnceLock::new(), taken: Arc::default() })
}

fn street(
    fleet: &Arc<Fleet>,
    clock: &Arc<VirtualClock>,
    seed: u64,
    (destinations, holds): (Destinations, Holds),
    findings: &Arc<Findings>,
    journal: &Arc<Journal>,
) -> Arc<Street> {
    Arc::new(Street {
        fleet: Arc::clone(fleet),
        clock: Arc::clone(clock) as _,
        // Of its own seed, so that an order has the same id whatever the workers draw meanwhile.
        ids: RandomIds::seeded(!seed),
        receipts: Receipts::default(),
        destinations,
        holds,
        findings: Arc::clone(findings),
        journal: Arc::clone(journal),
    })
}

fn providers(
    line: &Line,
    mail: &Arc<Mail>,
    honesty: Honesty,
    (destinations, holds): (&Destinations, &Holds),
    clock: &Arc<VirtualClock>,
) -> (Arc<SimulatedGateway>, Arc<SimulatedCarrier>) {
    let (line, mail) = (|| line.clone(), || Arc::clone(mail));
    let gateway = SimulatedGateway::new(line(), mail(), honesty, holds.clone(), Arc::clone(clock));
    let carrier = SimulatedCarrier::new(line(), mail(), destinations.clone(), holds.clone());
    (Arc::new(gateway), Arc::new(carrier))
}

/// Attempts at an undoing after the first.
pub const UNDO_RETRIES_MAX: u32 = 4;

/// The parts of a run while it runs.
struct Stage {
    script: Script,
    clock: Arc<VirtualClock>,
    context: Arc<Context>,
    fleet: Arc<Fleet>,
    street: Arc<Street>,
    operator: Operator,
    gateway: Arc<SimulatedGateway>,
    carrier: Arc<SimulatedCarrier>,
    line: Line,
    mail: Arc<Mail>,
    errands: Errands,
    findings: Arc<Findings>,
    journal: Arc<Journal>,
    broker: Option<Arc<SimulatedBroker>>,
    beneath: Beneath,
}

/// What the house stands on, and who else stands there.
#[derive(Clone)]
struct Beneath {
    conditions: Arc<Conditions>,
    /// Orders of another database that we were asked to charge for.
    strangers: Arc<Mutex<BTreeSet<Uuid>>>,
}

/// Plays a whole run. `calm` is called when the storm is over.
///
/// # Panics
/// If the store or the runtime cannot be had at all.
#[must_use]
pub fn play(staging: Staging, calm: impl FnOnce()) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread needs nothing of the system");
    runtime.block_on(async {
        let seed = staging.seed;
        let stage = Stage::set(staging).await.expect("a fresh store takes the catalogue");
        stage.run(calm).await;
        stage.judge(seed).await
    })
}

impl Stage {
    async fn set(staging: Staging) -> Result<Self, Fault> {
        let journal = Arc::new(Journal::new(staging.trace));
        let origin = Timestamp::from_second(ORIGIN_S).expect("the origin is within the calendar");
        let clock = Arc::new(VirtualClock::starting_at(origin));
        let context = context(&staging, &clock);
        let conditions = Arc::<Conditions>::default();
        let (routing, broker) = carriers(&staging, &journal, &conditions);
        let store = SqliteStore::in_memory(SqliteOptions::new(topology(), routing)).expect("memory is there");
        stock_up(&store, &context, &staging.script).await?;
        let (errands, findings) = (Errands::default(), Arc::new(Findings::default()));
        let mail = mail(&errands, &journal);
        let line = Line {
            fate: staging.provider_fate,
            errands: errands.clone(),
            journal: Arc::clone(&journal),
            heard: Arc::default(),
        };
        let (destinations, holds) = (Destinations::default(), Holds::default());
        let (gateway, carrier) = providers(&line, &mail, staging.honesty, (&destinations, &holds), &clock);
        let blueprint = Blueprint {
            gateway: Arc::clone(&gateway) as _,
            shipping: Arc::clone(&carrier) as _,
            context: Arc::clone(&context),
            turns: staging.turns,
            slots: Arc::default(),
            store_fate: staging.store_fate,
            transport_fate: staging.transport_fate,
            errands: errands.clone(),
            findings: Arc::clone(&findings),
            journal: Arc::clone(&journal),
            dice: Dice::of(staging.seed, "fleet"),
            broker: broker.clone(),
            wiring: staging.wiring,
            conditions: Arc::clone(&conditions),
        };
        let fleet = Fleet::start(blueprint, store, staging.workers);
        let _ = mail.fleet.set(Arc::downgrade(&fleet));
        let street = street(&fleet, &clock, staging.seed, (destinations, holds.clone()), &findings, &journal);
        let operator = Operator {
            fleet: Arc::clone(&fleet),
            habit: staging.habit,
            dice: Dice::of(staging.seed, "operator"),
            holds,
            clock: Arc::clone(&context.clock),
            findings: Arc::clone(&findings),
            journal: Arc::clone(&journal),
            tries: Mutex::default(),
        };
        Ok(Self {
            script: staging.script,
            clock,
            context,
            fleet,
            street,
            operator,
            gateway,
            mail,
            carrier,
            line,
            errands,
            findings,
            journal,
            broker,
            beneath: Beneath { conditions, strangers: Arc::default() },
        })
    }

    async fn run(&self, calm: impl FnOnce()) {
        for (number, wish) in self.script.wishes.iter().enumerate() {
            self.errands.run(Arc::clone(&self.street).shop(number, wish.clone()));
        }
        for (at, event) in &self.script.events {
            self.errands.run(self.happen(*at, event.clone()));
        }
        let rounds = u32::try_from(self.script.storm.as_secs() / ROUND_PAUSE.as_secs()).unwrap_or(u32::MAX);
        for _ in 0..rounds {
            pause(ROUND_PAUSE).await;
            self.operator.make_a_round().await;
            self.operator.release_holds().await;
            self.operator.redrive_refunds().await;
        }
        self.journal.note(format_args!("the storm is over"));
        calm();
        self.come_to_rest().await;
    }

    async fn come_to_rest(&self) {
        let limit = tokio::time::Instant::now() + CALM_MAX;
        let mut next_round = tokio::time::Instant::now();
        loop {
            pause(LOOK_PAUSE).await;
            if tokio::time::Instant::now() >= next_round {
                self.operator.make_a_round().await;
                self.operator.release_holds().await;
                next_round = tokio::time::Instant::now() + ROUND_PAUSE;
            }
            match self.fleet.store().overview().await {
                Ok(overview) if self.is_at_rest(&overview) => {
                    if self.operator.redrive_refunds().await == 0 {
                        return;
                    }
                }
                Ok(overview) if tokio::time::Instant::now() >= limit => {
                    let picture = format!("no rest {} s after the storm: {overview:?}", CALM_MAX.as_secs());
                    return self.findings.add(Finding::of(1, "the run", picture));
                }
                Ok(_) => {}
                Err(fault) => return self.findings.add(Finding::of(0, "the store", fault.to_string())),
            }
        }
    }

    fn is_at_rest(&self, overview: &Overview) -> bool {
        let over = |name: &str| name.parse::<SagaState>().is_ok_and(SagaState::is_final);
        self.errands.under_way() == 0
            && self.broker.as_ref().is_none_or(|broker| broker.messages() == 0)
            && overview.sagas.iter().all(|(state, count)| *count == 0 || over(state))
            && overview.queues.iter().all(|(_, count)| *count == 0)
            && overview.waiting == 0
    }

    fn happen(&self, at: Duration, event: Event) -> impl Future<Output = ()> + Send + 'static {
        let (fleet, clock, context) =
            (Arc::clone(&self.fleet), Arc::clone(&self.clock), Arc::clone(&self.context));
        let (journal, broker) = (Arc::clone(&self.journal), self.broker.clone());
        let Beneath { conditions, strangers } = self.beneath.clone();
        async move {
            pause(at).await;
            journal.note(format_args!("{event:?}"));
            match event {
                Event::ClockJump(by) => clock.jump(by),
                Event::ProcessDies => fleet.strike_all(),
                Event::Receipt(sku, units) => receive(&fleet, sku, units).await,
                Event::Rubbish => send_rubbish(&fleet, &context).await,
                Event::QueuesDeleted => broker.iter().for_each(|broker| broker.delete_queues()),
                Event::QuorumLost(time) => {
                    conditions.lose_quorum(time);
                    pause(time).await;
                    broker.iter().for_each(|broker| broker.note_change());
                }
                // Without a broker, two databases have nothing in common.
                Event::SecondDatabase => {
                    if let Some(broker) = &broker {
                        let request = request_of_another_database(&context);
                        let order = request.correlation_id.0;
                        strangers.lock().unwrap_or_else(PoisonError::into_inner).insert(order);
                        broker.take_all(&[request]);
                    }
                }
                Event::FileReplaced(time) => conditions.replace_file(time),
            }
        }
    }

    async fn judge(self, seed: u64) -> Outcome {
        let rubbish = self.script.events.iter().filter(|(_, event)| *event == Event::Rubbish).count() as u64;
        let accepted = self.street.receipts.all();
        let count = accepted.len() as u64;
        let evidence = Evidence {
            store: self.fleet.store(),
            accepted,
            accounts: self.gateway.accounts(),
            parcels: self.carrier.parcels(),
            heard: self.line.heard(),
            told: self.mail.taken(),
            rubbish,
            strangers: self.beneath.strangers.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            now: self.clock.now(),
        };
        let mut findings = self.findings.all();
        let (found, endings, ends) = match evidence.judge().await {
            Ok(judged) => judged,
            Err(fault) => {
                (vec![Finding::of(0, "the store", fault.to_string())], Endings::default(), Vec::new())
            }
        };
        findings.extend(found);
        Outcome {
            seed,
            hash: self.journal.hash(),
            events: self.journal.lines(),
            accepted: count,
            endings,
            crashes: self.fleet.crashes(),
            ends,
            findings,
        }
    }
}

async fn stock_up(store: &SqliteStore, context: &Arc<Context>, script: &Script) -> Result<(), Fault> {
    let command =
        ImportProductsCommand { products: script.products.clone(), import: "simulation".to_owned() };
    CommandPipeline::new(Arc::new(store.clone()), Arc::clone(context)).run(&command).await.map(drop)
}

/// Goods come in once; whoever books them tries until it is done, and a repeat would be seen as goods that do not exist.
async fn receive(fleet: &Fleet, sku: Sku, units: i64) {
    let command = AdjustStockCommand {
        sku,
        change: StockChange::Receive(units),
        reason: "delivery".to_owned(),
        actor: "warehouse".to_owned(),
    };
    if let Some(door) = fleet.door() {
        // Booked or not, the ledger has to agree with itself; nobody counts the goods here.
        let _ = tokio::time::timeout(Duration::from_secs(5), door.commands.run(&command)).await;
    }
}

async fn send_rubbish(fleet: &Fleet, context: &Context) {
    let now = context.clock.now();
    let id = context.ids.next(now);
    let body = Bytes::from_static(RUBBISH);
    let envelope = Envelope::first(MessageId(id), CorrelationId(id), OrderCreatedEvent::KIND, body, now);
    send(fleet, envelope).await;
}

async fn send(fleet: &Fleet, envelope: Envelope) {
    fleet.store().send(&[envelope]).await.expect("the store itself is never away");
}

/// What a worker of another database asks for, of an order that is not here.
fn request_of_another_database(context: &Context) -> Envelope {
    let now = context.clock.now();
    let (id, order_id) = (context.ids.next(now), context.ids.next(now));
    let currency = Currency::parse("EUR").expect("a known currency");
    let key = Payment::request(OrderId(order_id), Money::new(1_250, currency)).key;
    let request = PaymentProcessingRequested {
        order_id,
        amount: Money::new(1_250, currency).into(),
        idempotency_key: key,
        payment_token: None,
        capture: Capture::AtOnce,
    };
    let (id, order) = (MessageId(id), CorrelationId(order_id));
    Envelope::first(id, order, request.kind(), request.encode(), now)
}
