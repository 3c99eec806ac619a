//! The service that runs the checks: reads the store once, runs every check, and stores the findings. A check that
//! hangs is abandoned after its time limit and holds up no other.

use std::sync::Arc;
use std::time::Duration;

use application::ports::{Readers, VitalSigns, WebhookEndpoints};
use bus::{Clock, DeadLetters, Fault, PauseBoard, Stop};
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use super::board::Change;
use super::database::DatabaseCheck;
use super::events::ProviderEventsCheck;
use super::orders::{OrderProcessingCheck, SagaIntegrityCheck};
use super::providers::ProviderCheck;
use super::rates::MessageRatesCheck;
use super::scene::{Scene, StoreScene};
use super::services::{BackgroundServicesCheck, ConsumersCheck};
use super::stock::{InventoryCheck, MoneyCheck};
use super::webhooks::WebhookEndpointsCheck;
use super::{Broker, BrokerCheck, Check, Finding, Status};
use crate::config::Telemetry;
use crate::metrics::Metric;
use crate::observe::{OVERDUE_GRACE, Observation, Statuses};

/// How much later than three rounds the next may be, for one that takes its time.
const ROUND_GRACE: Duration = Duration::from_secs(10);

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
    /// What was set aside.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// Which consumers are paused.
    pub pauses: PauseBoard,
    /// Programs that are sent events.
    pub webhook_endpoints: Arc<dyn WebhookEndpoints>,
}

impl HealthService {
    /// Its name.
    pub const NAME: &'static str = "health-service";

    /// Every check over these parts.
    #[must_use]
    pub fn new(parts: Parts, settings: &Telemetry) -> Self {
        let Parts {
            readers,
            vitals,
            clock,
            observation,
            statuses,
            broker,
            dead_letters,
            pauses,
            webhook_endpoints,
        } = parts;
        let [of_consumers, of_services] = statuses;
        let stall = Duration::from_millis(settings.stall_ms);
        let books_check = Duration::from_millis(settings.books_check_ms);
        let mut checks: Vec<Box<dyn Check>> = vec![
            Box::new(OrderProcessingCheck),
            Box::new(ConsumersCheck::new(of_consumers, stall, pauses.clone())),
            Box::new(BackgroundServicesCheck::new(of_services, Arc::clone(&observation.pulses))),
            Box::new(DatabaseCheck::new(Arc::clone(&vitals), settings.slow())),
            Box::new(InventoryCheck::new(Arc::clone(&observation.books), books_check)),
            Box::new(MoneyCheck::new(Arc::clone(&observation.books))),
            Box::new(SagaIntegrityCheck::new(Arc::clone(&observation.books))),
            Box::new(ProviderEventsCheck),
            Box::new(WebhookEndpointsCheck(webhook_endpoints)),
            Box::new(MessageRatesCheck::new(Arc::clone(&observation.registry), dead_letters)),
        ];
        for provider in &observation.providers {
            checks.push(Box::new(ProviderCheck::new(Arc::clone(provider))));
        }
        if let Some(broker) = broker {
            checks.push(Box::new(BrokerCheck::new(broker, Arc::clone(&observation.registry), pauses)));
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
        self.observation.health.round_ended(self.every.saturating_mul(3).saturating_add(ROUND_GRACE));
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
        Scene { now, at: Instant::now(), store }
    }

    async fn look_at_store(&self, now: Timestamp) -> Result<StoreScene, Fault> {
        let overdue_since = now.saturating_sub(OVERDUE_GRACE).unwrap_or(Timestamp::MIN);
        let (overview, vitals) = (self.readers.overview().await?, self.vitals.vitals(overdue_since).await?);
        Ok(StoreScene { overview, vitals })
    }
}

#[cfg(test)]
mod tests {
    use application::pipeline::topology;
    use async_trait::async_trait;
    use bus::{Routing, VirtualClock};
    use infrastructure::sqlite::{SqliteOptions, SqliteStore};
    use jiff::SignedDuration;
    use providers::{HttpPaymentGateway, HttpShippingProvider, ProviderSettings};

    use super::*;
    use crate::health::BrokerQueue;
    use crate::observe::{self, Providers, Recording};

    struct Hanging;

    #[async_trait]
    impl Check for Hanging {
        fn name(&self) -> &'static str {
            "hanging"
        }

        async fn look(&self, _: &Scene) -> Finding {
            std::future::pending().await
        }
    }

    struct Rabbit(Result<Vec<BrokerQueue>, String>);

    #[async_trait]
    impl Broker for Rabbit {
        async fn queues(&self) -> Result<Vec<BrokerQueue>, String> {
            self.0.clone()
        }
    }

    async fn service(broker: Option<Arc<dyn Broker>>) -> (HealthService, Arc<VirtualClock>) {
        let store = SqliteStore::in_memory(SqliteOptions::new(topology(), Routing::Store)).expect("a store");
        store.migrate().await.expect("tables");
        let virtual_clock = Arc::new(VirtualClock::starting_at(Timestamp::UNIX_EPOCH));
        let clock = Arc::clone(&virtual_clock) as Arc<dyn Clock>;
        let nobody = || ProviderSettings::at("http://127.0.0.1:1");
        let gateway = HttpPaymentGateway::new(nobody(), Arc::clone(&clock)).expect("an address");
        let shipping = HttpShippingProvider::new(nobody(), Arc::clone(&clock)).expect("an address");
        let providers = Providers { gateway: Arc::new(gateway), shipping: Arc::new(shipping) };
        let recording = Recording { registry: Arc::new(observe::registry()), tracer: None };
        let settings = Telemetry::default();
        let observation = Observation::new(&providers, &clock, &settings, recording);
        let parts = Parts {
            readers: Arc::new(store.clone()),
            vitals: Arc::new(store.clone()),
            dead_letters: Arc::new(store.clone()),
            webhook_endpoints: Arc::new(store),
            pauses: PauseBoard::default(),
            clock,
            observation,
            statuses: [Box::new(Vec::new), Box::new(Vec::new)],
            broker,
        };
        (HealthService::new(parts, &settings), virtual_clock)
    }

    fn status(service: &HealthService, check: &str) -> Status {
        let report = service.observation.health.read();
        report
            .checks
            .iter()
            .find(|answer| answer.name == check)
            .map(|answer| answer.verdict)
            .expect("a check")
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_is_given_up_and_holds_up_no_other() {
        let (mut service, _) = service(None).await;
        service.checks.push(Box::new(Hanging));
        service.round().await;
        assert_eq!(status(&service, "hanging"), Status::Down);
        assert_eq!(status(&service, "database"), Status::Up);
        assert_eq!(service.observation.registry.value(Metric::HealthStatus, &["hanging"]), Some(2.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_without_a_sign_of_life_turns_background_services_alone_and_since_tells_when() {
        let (service, _) = service(None).await;
        service.observation.pulses.expect("asleep", Duration::from_secs(1));
        service.round().await;
        assert_eq!(status(&service, "background-services"), Status::Up);
        let later = async || {
            tokio::time::advance(Duration::from_secs(60)).await;
            service.round().await;
        };
        later().await;
        later().await;
        let report = service.observation.health.read();
        let ill: Vec<_> = report.checks.iter().filter(|answer| answer.verdict != Status::Up).collect();
        assert_eq!(ill.len(), 1, "{ill:?}");
        assert_eq!((ill[0].name, ill[0].since.as_second()), ("background-services", 60));
        assert!(ill[0].detail.contains("asleep"), "{}", ill[0].detail);
        service.observation.pulses.fail("asleep", &"it has a cold");
        service.round().await;
        assert_eq!(status(&service, "background-services"), Status::Degraded);
        service.observation.pulses.beat("asleep");
        service.round().await;
        assert_eq!(status(&service, "background-services"), Status::Up);
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_of_the_clock_makes_nothing_ill_and_hides_nothing_that_is() {
        let (service, clock) = service(None).await;
        service.observation.pulses.expect("busy", Duration::from_secs(1));
        for hours in [48, -96] {
            clock.jump(SignedDuration::from_hours(hours));
            service.observation.books.put(clock.now(), Vec::new());
            clock.jump(SignedDuration::from_hours(hours));
            service.round().await;
            let report = service.observation.health.read();
            assert_eq!(report.verdict, Status::Up, "{hours} {report:?}");
        }
        tokio::time::advance(Duration::from_secs(20)).await;
        clock.jump(SignedDuration::from_hours(-1));
        service.round().await;
        assert_eq!(status(&service, "background-services"), Status::Down, "it is dead, whatever time it is");
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_says_when_nobody_has_made_the_rounds_for_long() {
        let (service, clock) = service(None).await;
        service.round().await;
        clock.jump(SignedDuration::from_hours(-10));
        assert_eq!(service.observation.health.read().verdict, Status::Up);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(status(&service, "health-service"), Status::Down);
        service.round().await;
        assert_eq!(service.observation.health.read().verdict, Status::Up);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_is_down_when_nobody_reads_a_queue_and_degraded_when_messages_were_set_aside() {
        let queue = |consumers, set_aside| BrokerQueue {
            name: "payment".to_owned(),
            messages: 3,
            consumers,
            readers: 1,
            error_queue: "payment_error".to_owned(),
            set_aside,
            held: 0,
            held_for: Duration::ZERO,
        };
        let held = BrokerQueue { held: 3, held_for: Duration::from_secs(301), ..queue(1, 0) };
        for (said, wanted, words) in [
            (Ok(vec![queue(1, 0)]), Status::Up, "1 queues are read, 3 messages"),
            (
                Ok(vec![queue(1, 2)]),
                Status::Degraded,
                "2 in payment_error; `error-queues list` counts the causes",
            ),
            (Ok(vec![queue(1, 2), queue(0, 0)]), Status::Down, "nobody reads payment"),
            (Ok(vec![queue(4, 0)]), Status::Degraded, "payment has 4 consumers for 1 workers"),
            (Ok(vec![held]), Status::Degraded, "3 of payment, the oldest for 301 s"),
            (Err("no connection".to_owned()), Status::Down, "no connection"),
        ] {
            let (service, _) = service(Some(Arc::new(Rabbit(said)))).await;
            service.round().await;
            assert_eq!(status(&service, "broker"), wanted);
            let report = service.observation.health.read();
            let broker = report.checks.iter().find(|answer| answer.name == "broker").expect("a check");
            assert!(broker.detail.contains(words), "{}", broker.detail);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_condition_of_a_queue_at_the_broker_is_a_metric_under_its_queue() {
        let queue = BrokerQueue {
            name: "payment".to_owned(),
            messages: 0,
            consumers: 3,
            readers: 1,
            error_queue: "payment_error".to_owned(),
            set_aside: 2,
            held: 1,
            held_for: Duration::from_secs(301),
        };
        let (service, _) = service(Some(Arc::new(Rabbit(Ok(vec![queue]))))).await;
        service.round().await;
        let registry = &service.observation.registry;
        for (metric, value) in [
            (Metric::ErrorQueueDepth, 2.0),
            (Metric::BrokerConsumers, 3.0),
            (Metric::BrokerConsumersUnserved, 2.0),
            (Metric::BrokerHeldAge, 301.0),
        ] {
            assert_eq!(registry.value(metric, &["payment"]), Some(value), "{metric:?}");
        }
        assert_eq!(registry.value(Metric::BrokerUnfit, &[]), Some(0.0));
    }
}
