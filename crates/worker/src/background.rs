//! The services that run beside the pipeline: they watch the stock, keep the books of the service itself, and tidy up.
//! Each takes no input, does a bounded step and comes again, so a restart and an ordinary day are the same.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use application::pipeline::Context;
use application::ports::{LowOnly, Readers};
use bus::{Fault, Stop, Supervisor};
use infrastructure::sqlite::Retention;

use crate::any_store::{AnyStore, Upkeep};
use crate::config::Config;

/// How often the stock is looked at.
const STOCK_LOOK: Duration = Duration::from_secs(5);

/// How often the whole of the books is checked.
const BOOKS_CHECK: Duration = Duration::from_secs(300);

/// How often the counts are collected.
const COLLECT: Duration = Duration::from_secs(30);

/// How often it is tidied up, and rows in one step; a full step is followed by the next at once.
const TIDY: Duration = Duration::from_secs(60);
const TIDY_ROWS_MAX: usize = 2_000;

/// Products looked at, and mistakes reported, in one step.
const LOOK_MAX: usize = 1_000;

/// Starts them all.
pub fn start(supervisor: &mut Supervisor, store: &AnyStore, context: &Arc<Context>, config: &Config) {
    let monitoring = InventoryMonitoringService { store: store.clone(), context: Arc::clone(context) };
    run(supervisor, "inventory-monitoring-service", Arc::new(monitoring), InventoryMonitoringService::run);
    let collection = MetricsCollectionService { readers: Arc::clone(&store.readers) };
    run(supervisor, "metrics-collection-service", Arc::new(collection), MetricsCollectionService::run);
    let hours = |hours: u64| Duration::from_secs(hours.saturating_mul(3_600));
    let kept = Retention {
        idempotency: hours(config.retention.idempotency_hours),
        inbox: hours(config.retention.inbox_hours),
    };
    let housekeeping =
        HousekeepingService { upkeep: Arc::clone(&store.upkeep), context: Arc::clone(context), kept };
    run(supervisor, "housekeeping-service", Arc::new(housekeeping), HousekeepingService::run);
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
}

impl InventoryMonitoringService {
    async fn run(self: Arc<Self>, stop: Stop) {
        let mut known_low = BTreeSet::new();
        let mut since_check = BOOKS_CHECK;
        while !stop.is_stopped() {
            since_check += STOCK_LOOK;
            if let Err(fault) = self.step(&mut known_low, &mut since_check).await {
                tracing::warn!(%fault, "stock and books cannot be looked at");
            }
            stop.sleep(STOCK_LOOK).await;
        }
    }

    async fn step(&self, known_low: &mut BTreeSet<String>, since_check: &mut Duration) -> Result<(), Fault> {
        if !self.store.upkeep.is_eldest().await? {
            return Ok(());
        }
        self.look(known_low).await?;
        if *since_check >= BOOKS_CHECK {
            *since_check = Duration::ZERO;
            self.check().await?;
        }
        Ok(())
    }

    async fn look(&self, known_low: &mut BTreeSet<String>) -> Result<(), Fault> {
        let page = self.store.readers.inventory_levels(LowOnly::Yes, None, LOOK_MAX).await?;
        let low: BTreeSet<String> = page.items.iter().map(|level| level.sku.clone()).collect();
        for level in page.items.iter().filter(|level| !known_low.contains(&level.sku)) {
            let (sku, available, reorder_level) = (&level.sku, level.available, level.reorder_level);
            tracing::warn!(sku, available, reorder_level, "stock is low: time to reorder");
        }
        *known_low = low;
        Ok(())
    }

    async fn check(&self) -> Result<(), Fault> {
        let broken = self.store.readers.broken_invariants(self.context.clock.now(), LOOK_MAX).await?;
        for mistake in broken {
            let (invariant, subject, detail) = (mistake.invariant, mistake.subject, mistake.detail);
            tracing::error!(invariant, subject, detail, "an invariant is broken");
        }
        Ok(())
    }
}

/// Collects the counts of the service and logs them.
pub struct MetricsCollectionService {
    readers: Arc<dyn Readers>,
}

impl MetricsCollectionService {
    async fn run(self: Arc<Self>, stop: Stop) {
        while !stop.is_stopped() {
            stop.sleep(COLLECT).await;
            match self.readers.overview().await {
                Ok(counts) => tracing::info!(
                    orders = ?counts.orders,
                    sagas = ?counts.sagas,
                    queues = ?counts.queues,
                    dead_letters = counts.dead_letters,
                    timers = counts.timers,
                    waiting = counts.waiting,
                    "counts"
                ),
                Err(fault) => tracing::warn!(%fault, "the counts cannot be collected"),
            }
        }
    }
}

/// Removes what has served its time, in bounded steps.
pub struct HousekeepingService {
    upkeep: Arc<dyn Upkeep>,
    context: Arc<Context>,
    kept: Retention,
}

impl HousekeepingService {
    async fn run(self: Arc<Self>, stop: Stop) {
        while !stop.is_stopped() {
            let swept =
                self.upkeep.housekeeping_step(self.context.clock.now(), self.kept, TIDY_ROWS_MAX).await;
            let pause = match swept {
                Ok(swept) if swept.inbox.max(swept.idempotency) >= TIDY_ROWS_MAX => {
                    Duration::from_millis(100)
                }
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
