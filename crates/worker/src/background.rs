//! The services that run beside the pipeline: they watch the stock, keep the books of the service itself, and tidy up.
//! Each takes no input, does a bounded step and comes again, so a restart and an ordinary day are the same.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use application::order_timeout_service::OrderTimeoutService;
use application::pipeline::Context;
use application::ports::LowOnly;
use application::queries::GetInventoryLevelsQuery;
use bus::{Fault, PauseService, Stop, Supervisor};
use futures_util::future::join;
use infrastructure::Retention;

use crate::any_store::{AnyStore, Upkeep};
use crate::config::Config;
use crate::health::{HealthService, Parts};
use crate::metrics::Metric;
use crate::observe::{MetricsCollectionService, Observation};
use crate::workers::{self, WorkerService};

/// The name of the service that reads which consumers are paused.
const PAUSES: &str = "pause-service";

/// How often the stock is looked at.
const STOCK_LOOK: Duration = Duration::from_secs(5);

/// How often it is tidied up, and rows in one step; a full step is followed by the next at once.
const TIDY: Duration = Duration::from_secs(60);
const TIDY_ROWS_MAX: usize = 2_000;

/// Products looked at, and mistakes reported, in one step.
const LOOK_MAX: usize = 1_000;

/// Starts them all.
pub fn start(
    supervisor: &mut Supervisor,
    store: &AnyStore,
    context: &Arc<Context>,
    config: &Config,
    observation: &Observation,
) {
    let pulses = &observation.pulses;
    pulses.expect(OrderTimeoutService::NAME, Duration::from_secs(1));
    let books_check = Duration::from_millis(config.telemetry.books_check_ms);
    let monitoring = InventoryMonitoringService {
        store: store.clone(),
        context: Arc::clone(context),
        observation: observation.clone(),
        look: STOCK_LOOK.min(books_check),
        books_check,
    };
    pulses.expect(InventoryMonitoringService::NAME, monitoring.look);
    run(supervisor, InventoryMonitoringService::NAME, Arc::new(monitoring), InventoryMonitoringService::run);
    let every = Duration::from_millis(config.telemetry.collect_ms);
    let collection = MetricsCollectionService {
        readers: Arc::clone(&store.readers),
        vitals: Arc::clone(&store.vitals),
        observation: observation.clone(),
        clock: Arc::clone(&context.clock),
        statuses: Box::new(supervisor.statuses()),
        pauses: context.pauses.clone(),
        every,
    };
    pulses.expect(MetricsCollectionService::NAME, every);
    run(supervisor, MetricsCollectionService::NAME, Arc::new(collection), MetricsCollectionService::run);
    pauses(supervisor, store, context, observation);
    register(supervisor, store, context, observation);
    health(supervisor, store, context, config, observation);
    let hours = |hours: u64| Duration::from_secs(hours.saturating_mul(3_600));
    let kept = Retention {
        idempotency: hours(config.retention.idempotency_hours),
        inbox: hours(config.retention.inbox_hours),
        events: hours(config.retention.events_hours),
    };
    let housekeeping = HousekeepingService {
        upkeep: Arc::clone(&store.upkeep),
        context: Arc::clone(context),
        observation: observation.clone(),
        kept,
    };
    pulses.expect(HousekeepingService::NAME, TIDY);
    run(supervisor, HousekeepingService::NAME, Arc::new(housekeeping), HousekeepingService::run);
}

/// Reads which consumers are paused. Until it has, none begins.
fn pauses(supervisor: &mut Supervisor, store: &AnyStore, context: &Arc<Context>, observation: &Observation) {
    let service = Arc::new(PauseService::new(Arc::clone(&store.operations.pauses), context.pauses.clone()));
    let pulses = Arc::clone(&observation.pulses);
    pulses.expect(PAUSES, PauseService::every());
    supervisor.run(PAUSES, move |stop| {
        let (service, pulses) = (Arc::clone(&service), Arc::clone(&pulses));
        async move {
            while !stop.is_stopped() {
                match service.step().await {
                    Ok(()) => pulses.beat(PAUSES),
                    Err(fault) => {
                        pulses.fail(PAUSES, &fault);
                        tracing::warn!(%fault, "it is not known which consumers are paused; what was known holds");
                    }
                }
                stop.sleep(PauseService::every()).await;
            }
        }
    });
}

/// Writes this worker into the register of workers.
fn register(
    supervisor: &mut Supervisor,
    store: &AnyStore,
    context: &Arc<Context>,
    observation: &Observation,
) {
    let service = WorkerService::new(workers::Parts {
        register: Arc::clone(&store.operations.workers),
        id: store.operations.worker_id,
        clock: Arc::clone(&context.clock),
        statuses: Box::new(supervisor.statuses()),
        queues: Arc::clone(&store.operations.queues),
        pauses: context.pauses.clone(),
        pulses: Arc::clone(&observation.pulses),
    });
    run(supervisor, WorkerService::NAME, Arc::new(service), WorkerService::run);
}

fn health(
    supervisor: &mut Supervisor,
    store: &AnyStore,
    context: &Arc<Context>,
    config: &Config,
    observation: &Observation,
) {
    let parts = Parts {
        readers: Arc::clone(&store.readers),
        vitals: Arc::clone(&store.vitals),
        clock: Arc::clone(&context.clock),
        observation: observation.clone(),
        statuses: [Box::new(supervisor.statuses()), Box::new(supervisor.statuses())],
        broker: store.outgoing.as_ref().map(|outgoing| Arc::clone(&outgoing.broker)),
        dead_letters: Arc::clone(&store.dead_letters),
        pauses: context.pauses.clone(),
        webhook_endpoints: Arc::clone(&store.webhook_endpoints),
    };
    let service = HealthService::new(parts, &config.telemetry);
    observation.pulses.expect(HealthService::NAME, Duration::from_millis(config.telemetry.check_ms));
    run(supervisor, HealthService::NAME, Arc::new(service), HealthService::run);
}

fn run<S, R>(supervisor: &mut Supervisor, name: &'static str, service: Arc<S>, start: fn(Arc<S>, Stop) -> R)
where
    S: Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    supervisor.run(name, move |stop| start(Arc::clone(&service), stop));
}

/// Tells when stock runs low, once per product and shortage, and checks that the books agree. Of several workers the eldest
/// does so for all.
pub struct InventoryMonitoringService {
    store: AnyStore,
    context: Arc<Context>,
    observation: Observation,
    look: Duration,
    books_check: Duration,
}

impl InventoryMonitoringService {
    /// Its name.
    pub const NAME: &'static str = "inventory-monitoring-service";

    async fn run(self: Arc<Self>, stop: Stop) {
        join(self.watch_stock(&stop), self.watch_books(&stop)).await;
    }

    async fn watch_stock(&self, stop: &Stop) {
        let mut known_low = BTreeSet::new();
        while !stop.is_stopped() {
            match self.look(&mut known_low).await {
                Ok(()) => self.observation.pulses.beat(Self::NAME),
                Err(fault) => self.could_not("stock cannot be looked at", &fault),
            }
            stop.sleep(self.look).await;
        }
    }

    /// The longer a check takes, the longer it is until the next: nine times as long at least.
    async fn watch_books(&self, stop: &Stop) {
        while !stop.is_stopped() {
            let began_at = Instant::now();
            let checked = tokio::select! {
                checked = self.check() => checked,
                () = stop.stopped() => return,
            };
            let pause = checked.unwrap_or_else(|fault| {
                self.could_not("the books cannot be checked", &fault);
                self.look
            });
            stop.sleep(pause.max(began_at.elapsed() * 9)).await;
        }
    }

    fn could_not(&self, what: &str, fault: &Fault) {
        self.observation.pulses.fail(Self::NAME, fault);
        tracing::warn!(%fault, "{what}");
    }

    async fn look(&self, known_low: &mut BTreeSet<String>) -> Result<(), Fault> {
        if !self.store.upkeep.is_eldest().await? {
            return Ok(());
        }
        let low = GetInventoryLevelsQuery { low: LowOnly::Yes, after: None, max: LOOK_MAX };
        let page = low.read(self.store.readers.as_ref()).await?;
        let low: BTreeSet<String> = page.items.iter().map(|level| level.sku.clone()).collect();
        for level in page.items.iter().filter(|level| !known_low.contains(&level.sku)) {
            let (sku, available, reorder_level) = (&level.sku, level.available, level.reorder_level);
            tracing::warn!(sku, available, reorder_level, "stock is low: time to reorder");
        }
        *known_low = low;
        Ok(())
    }

    /// Returns how soon to come again.
    async fn check(&self) -> Result<Duration, Fault> {
        if !self.store.upkeep.is_eldest().await? {
            return Ok(self.look);
        }
        let now = self.context.clock.now();
        let broken = self.store.readers.broken_invariants(now, LOOK_MAX).await?;
        self.observation.registry.set(Metric::BrokenInvariants, &[], broken.len() as f64);
        self.observation.books.put(now, broken.clone());
        for mistake in broken {
            let (invariant, subject, detail) = (mistake.invariant, mistake.subject, mistake.detail);
            tracing::error!(invariant, subject, detail, "an invariant is broken");
        }
        Ok(self.books_check)
    }
}

/// Removes what has served its time, in bounded steps.
pub struct HousekeepingService {
    upkeep: Arc<dyn Upkeep>,
    context: Arc<Context>,
    observation: Observation,
    kept: Retention,
}

impl HousekeepingService {
    /// Its name.
    pub const NAME: &'static str = "housekeeping-service";

    async fn run(self: Arc<Self>, stop: Stop) {
        while !stop.is_stopped() {
            let swept =
                self.upkeep.housekeeping_step(self.context.clock.now(), self.kept, TIDY_ROWS_MAX).await;
            match &swept {
                Ok(_) => self.observation.pulses.beat(Self::NAME),
                Err(fault) => self.observation.pulses.fail(Self::NAME, fault),
            }
            let pause = match swept {
                Ok(swept) if swept.most() >= TIDY_ROWS_MAX => Duration::from_millis(100),
                Ok(_) => TIDY,
                Err(fault) => {
                    tracing::warn!(%fault, "tidying waits");
                    TIDY
                }
            };
            stop.sleep(pause).await;
        }
    }
}
