//! The service that makes the rounds: looks at the store once, lets every check look, and notes what each found. A check
//! that hangs is given up after its time, and holds up nobody.

use std::sync::Arc;
use std::time::Duration;

use application::ports::{Readers, VitalSigns};
use bus::{Clock, Fault, Stop};
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use super::board::Change;
use super::database::DatabaseCheck;
use super::orders::{OrderProcessingCheck, SagaIntegrityCheck};
use super::providers::ProviderCheck;
use super::rates::MessageRatesCheck;
use super::scene::{Scene, StoreScene};
use super::services::{BackgroundServicesCheck, ConsumersCheck};
use super::stock::{InventoryCheck, MoneyCheck};
use super::{Broker, BrokerCheck, Check, Finding, Status};
use crate::config::Telemetry;
use crate::metrics::Metric;
use crate::observe::{OVERDUE_GRACE, Observation, Statuses};

/// Makes the rounds.
pub struct HealthService {
    checks: Vec<Box<dyn Check>>,
    readers: Arc<dyn Readers>,
    vitals: Arc<dyn VitalSigns>,
    clock: Arc<dyn Clock>,
    observation: Observation,
    every: Duration,
    limit: Duration,
}

/// What the checks look at.
pub struct Parts {
    /// The read side.
    pub readers: Arc<dyn Readers>,
    /// Ages, what is overdue, and the database itself.
    pub vitals: Arc<dyn VitalSigns>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is known from looking on.
    pub observation: Observation,
    /// The state of every service; once for each of two checks.
    pub statuses: [Statuses; 2],
    /// The broker, if there is one.
    pub broker: Option<Arc<dyn Broker>>,
}

impl HealthService {
    /// Its name.
    pub const NAME: &'static str = "health-service";

    /// Every check over these parts.
    #[must_use]
    pub fn new(parts: Parts, settings: &Telemetry) -> Self {
        let Parts { readers, vitals, clock, observation, statuses: [of_consumers, of_services], broker } =
            parts;
        let stall = Duration::from_millis(settings.stall_ms);
        let books_check = Duration::from_millis(settings.books_check_ms);
        let mut checks: Vec<Box<dyn Check>> = vec![
            Box::new(OrderProcessingCheck),
            Box::new(ConsumersCheck::new(of_consumers, stall)),
            Box::new(BackgroundServicesCheck::new(of_services, Arc::clone(&observation.pulses))),
            Box::new(DatabaseCheck::new(Arc::clone(&vitals), settings.slow())),
            Box::new(InventoryCheck::new(Arc::clone(&observation.books), books_check)),
            Box::new(MoneyCheck::new(Arc::clone(&observation.books))),
            Box::new(SagaIntegrityCheck::new(Arc::clone(&observation.books))),
            Box::new(MessageRatesCheck::new(Arc::clone(&observation.registry))),
        ];
        for provider in &observation.providers {
            checks.push(Box::new(ProviderCheck::new(Arc::clone(provider))));
        }
        if let Some(broker) = broker {
            checks.push(Box::new(BrokerCheck::new(broker)));
        }
        let every = Duration::from_millis(settings.check_ms);
        let limit = Duration::from_millis(settings.check_limit_ms);
        Self { checks, readers, vitals, clock, observation, every, limit }
    }

    /// Runs until stopped.
    pub async fn run(self: Arc<Self>, stop: Stop) {
        while !stop.is_stopped() {
            self.round().await;
            self.observation.pulses.beat(Self::NAME);
            stop.sleep(self.every).await;
        }
    }

    /// Makes one round.
    pub async fn round(&self) {
        let scene = self.scene().await;
        join_all(self.checks.iter().map(|check| self.make(check.as_ref(), &scene))).await;
    }

    async fn make(&self, check: &dyn Check, scene: &Scene) {
        let limit = check.limit().unwrap_or(self.limit);
        let began_at = Instant::now();
        let found = timeout(limit, check.look(scene)).await;
        let found = found.unwrap_or_else(|_| Finding::down(format!("no answer within {limit:?}")));
        let (name, status, detail) = (check.name(), found.status, found.detail.clone());
        let change = self.observation.health.put(name, found, began_at.elapsed(), self.clock.now());
        let shown = Status::ALL.iter().position(|known| *known == status).unwrap_or_default();
        self.observation.registry.set(Metric::HealthStatus, &[name], shown as f64);
        match (change, status) {
            (Change::None, Status::Up | Status::Degraded | Status::Down) => {}
            (Change::From(before), Status::Up) => {
                tracing::info!(check = name, before = before.as_str(), detail, "health: up again");
            }
            (Change::From(before), Status::Degraded | Status::Down) => {
                let status = status.as_str();
                tracing::warn!(check = name, before = before.as_str(), status, detail, "health changed");
            }
        }
    }

    async fn scene(&self) -> Scene {
        let now = self.clock.now();
        let seen = timeout(self.limit, self.look_at_store(now)).await;
        let store = match seen {
            Ok(Ok(store)) => Ok(store),
            // What a driver says may name addresses and users; the log has it.
            Ok(Err(fault)) => {
                tracing::debug!(%fault, "the store cannot be looked at");
                Err(format!("the store does not answer to {}", fault.operation))
            }
            Err(_) => Err(format!("the store does not answer within {:?}", self.limit)),
        };
        Scene { now, store }
    }

    async fn look_at_store(&self, now: Timestamp) -> Result<StoreScene, Fault> {
        let overdue_since = now.saturating_sub(OVERDUE_GRACE).unwrap_or(Timestamp::MIN);
        let (overview, vitals) = (self.readers.overview().await?, self.vitals.vitals(overdue_since).await?);
        Ok(StoreScene { overview, vitals })
    }
}
