//! The store as one worker sees it: each durable step may fail, or be the worker's last. The real store is underneath; all
//! that is added is misfortune, and a look at the stock after every commit that may have changed it.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use application::ports::{AnyUnit, LowOnly, Readers};
use async_trait::async_trait;
use bus::{Envelope, Fault, Store, Transport};
use infrastructure::sqlite::SqliteStore;
use tokio::sync::Notify;

use super::broker::{SimulatedBroker, Wiring};
use super::conditions::Conditions;
use super::errands::Errands;
use super::fate::{StepFate, StepKind, StoreFate};
use super::findings::{Finding, Findings};
use super::journal::Journal;
use super::unit::RiskyUnit;

/// Products looked at after a commit; no simulated shop has more.
const PRODUCTS_MAX: usize = 64;

/// A worker's death: once it is dead, none of its tasks gets any further with the store.
#[derive(Debug, Default)]
pub(super) struct Death {
    dead: AtomicBool,
    bell: Notify,
}

impl Death {
    /// Ends the worker; its guardian clears up.
    pub(super) fn strike(&self) {
        self.dead.store(true, Ordering::Relaxed);
        self.bell.notify_one();
    }

    /// Waits for the end.
    pub(super) async fn struck(&self) {
        self.bell.notified().await;
    }

    fn has_struck(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }
}

/// What may happen to one worker at its store.
pub(super) struct Risks {
    pub(super) worker: usize,
    pub(super) store: SqliteStore,
    pub(super) fate: Arc<dyn StoreFate>,
    pub(super) death: Arc<Death>,
    pub(super) errands: Errands,
    pub(super) findings: Arc<Findings>,
    pub(super) journal: Arc<Journal>,
    /// A broker between the workers, if there is one.
    pub(super) broker: Option<Arc<SimulatedBroker>>,
    pub(super) wiring: Wiring,
    pub(super) conditions: Arc<Conditions>,
}

impl Risks {
    /// What becomes of the worker's next step. The dead take no more steps.
    pub(super) async fn ask(&self, kind: StepKind) -> StepFate {
        if self.death.has_struck() {
            return pending().await;
        }
        let fate = match self.conditions.has_file() {
            true => self.fate.step(self.worker, kind),
            false => StepFate::Away,
        };
        if kind == StepKind::Commit || fate != StepFate::Done {
            self.journal.note(format_args!("worker {} {kind:?}: {fate:?}", self.worker));
        }
        fate
    }

    /// The worker's last act.
    pub(super) async fn die<T>(&self) -> T {
        self.death.strike();
        pending().await
    }

    /// Messages that come once more, as a second row of the store: a genuine repeat with the same id.
    pub(super) fn echo(&self, echoes: Vec<(Envelope, Duration)>) {
        for (envelope, after) in echoes {
            let store = self.store.clone();
            self.errands.run(async move {
                tokio::time::sleep(after).await;
                // A repeat that is lost is no repeat; nothing depends on it.
                let _ = store.send(&[envelope]).await;
            });
        }
    }

    /// Whether a message goes over the broker although it could stay with the store.
    pub(super) fn leaves(&self, envelope: &Envelope) -> bool {
        self.wiring == Wiring::LocalFirst && self.fate.leaves(envelope)
    }

    /// What leaves the store goes to the broker.
    pub(super) fn send_off(&self, leaving: &[Envelope]) {
        if let Some(broker) = &self.broker {
            broker.take_all(leaving);
        }
    }

    /// The third invariant, as far as the counters alone can tell, as of this commit.
    pub(super) async fn check_stock(&self) {
        let levels = match self.store.inventory_levels(LowOnly::No, None, PRODUCTS_MAX).await {
            Ok(page) => page.items,
            Err(fault) => return self.findings.add(Finding::of(0, "the store", fault.to_string())),
        };
        for stock in levels {
            let brought_in = stock.received + stock.adjusted;
            let accounted = stock.available + stock.reserved + stock.shipped;
            let negative =
                [stock.available, stock.reserved, stock.shipped].into_iter().any(|units| units < 0);
            if negative || brought_in != accounted {
                self.findings.add(Finding::of(3, &stock.sku, format!("after a commit: {stock:?}")));
            }
        }
    }
}

/// The store of one worker.
pub(super) struct RiskyStore(pub(super) Arc<Risks>);

#[async_trait]
impl Store<AnyUnit> for RiskyStore {
    async fn begin(&self) -> Result<Box<AnyUnit>, Fault> {
        let risks = &self.0;
        let fate = risks.ask(StepKind::Begin).await;
        if fate == StepFate::CrashBefore {
            return risks.die().await;
        }
        if matches!(fate, StepFate::Away | StepFate::Conflict) {
            return Err(Fault::retry("store.begin", "the store is away"));
        }
        let inner = Store::<AnyUnit>::begin(&risks.store).await?;
        match fate {
            StepFate::CrashAfter => {
                // The transaction of a process that died is rolled back at once.
                drop(inner);
                risks.die().await
            }
            StepFate::AnswerLost => Err(Fault::retry("store.begin", "the store went away")),
            StepFate::Done | StepFate::Away | StepFate::Conflict | StepFate::CrashBefore => {
                Ok(Box::new(RiskyUnit::new(inner, Arc::clone(risks))))
            }
        }
    }
}
