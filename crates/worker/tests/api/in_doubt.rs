//! When nobody knows whether something was done: told as such, to those who have no key under which it is done only once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use application::commands::{CommandPipeline, CreateOrderHandler};
use application::ports::{
    AnyUnit, AuditRepository, HistoryRepository, HoldRepository, IdempotencyRepository, InventoryRepository,
    OrderRepository, PaymentRepository, ProductRepository, ReturnRepository, ShipmentRepository, UnitOfWork,
    UnmatchedRepository, WebhookEndpointRepository, WebhookEndpoints,
};
use application::saga::OrderProcessingSaga;
use async_trait::async_trait;
use bus::{
    Admission, Coalescer, CorrelationId, Delivery, Envelope, Fault, Retired, SagaRepository, Settlement,
    Store, Timer, TimerKey, Unit,
};
use http::Method;
use infrastructure::sqlite::SqliteStore;
use jiff::Timestamp;
use orderwright::http::{
    Api, Awaited, CONNECTIONS_MAX, InFlightKeys, StoreReadiness, Watch, Webhooks, router,
};
use orderwright::security::Gate;
use providers::webhooks::Verifier;
use serde_json::{Value, json};

use crate::harness::{JSON, NoList, Service, request};

/// A store that hears a commit and goes away before it has answered.
struct Unheard {
    inner: SqliteStore,
    answers_lost: Arc<AtomicU32>,
}

struct UnheardUnit {
    inner: Box<AnyUnit>,
    answers_lost: Arc<AtomicU32>,
}

#[async_trait]
impl Store<AnyUnit> for Unheard {
    async fn begin(&self) -> Result<Box<AnyUnit>, Fault> {
        let inner: Box<AnyUnit> = self.inner.begin().await?;
        Ok(Box::new(UnheardUnit { inner, answers_lost: Arc::clone(&self.answers_lost) }))
    }
}

#[async_trait]
impl Unit for UnheardUnit {
    async fn publish(&mut self, envelopes: Vec<Envelope>) -> Result<(), Fault> {
        self.inner.publish(envelopes).await
    }

    async fn reclaim(&mut self, queues: &[Arc<str>]) -> Result<Vec<Delivery>, Fault> {
        self.inner.reclaim(queues).await
    }

    async fn settle(&mut self, settlements: Vec<Settlement>) -> Result<(), Fault> {
        self.inner.settle(settlements).await
    }

    async fn unpark(&mut self, correlations: &[CorrelationId], now: Timestamp) -> Result<usize, Fault> {
        self.inner.unpark(correlations, now).await
    }

    async fn requeue_due(&mut self, now: Timestamp, max: usize) -> Result<usize, Fault> {
        self.inner.requeue_due(now, max).await
    }

    async fn set_timers(&mut self, timers: Vec<Timer>) -> Result<(), Fault> {
        self.inner.set_timers(timers).await
    }

    async fn cancel_timers(&mut self, timers: Vec<TimerKey>) -> Result<(), Fault> {
        self.inner.cancel_timers(timers).await
    }

    async fn lease_due_timers(&mut self, now: Timestamp, max: usize) -> Result<Vec<Timer>, Fault> {
        self.inner.lease_due_timers(now, max).await
    }

    async fn retire_timers(&mut self, timers: Vec<Retired>) -> Result<Vec<Retired>, Fault> {
        self.inner.retire_timers(timers).await
    }

    async fn admit(&mut self, source: &str, ids: &[String], now: Timestamp) -> Result<Vec<Admission>, Fault> {
        self.inner.admit(source, ids, now).await
    }

    async fn commit(self: Box<Self>) -> Result<(), Fault> {
        self.inner.commit().await?;
        match self.answers_lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Err(Fault::retry("unit.commit", "the connection was lost")),
            Err(_) => Ok(()),
        }
    }
}

#[async_trait]
impl SagaRepository<OrderProcessingSaga> for UnheardUnit {
    async fn load_sagas(&mut self, ids: &[CorrelationId]) -> Result<Vec<OrderProcessingSaga>, Fault> {
        self.inner.load_sagas(ids).await
    }

    async fn insert_sagas(&mut self, sagas: &[OrderProcessingSaga], now: Timestamp) -> Result<(), Fault> {
        self.inner.insert_sagas(sagas, now).await
    }

    async fn update_sagas(&mut self, sagas: &[OrderProcessingSaga], now: Timestamp) -> Result<(), Fault> {
        self.inner.update_sagas(sagas, now).await
    }
}

impl UnitOfWork for UnheardUnit {
    fn orders(&mut self) -> &mut dyn OrderRepository {
        self.inner.orders()
    }

    fn products(&mut self) -> &mut dyn ProductRepository {
        self.inner.products()
    }

    fn inventory(&mut self) -> &mut dyn InventoryRepository {
        self.inner.inventory()
    }

    fn payments(&mut self) -> &mut dyn PaymentRepository {
        self.inner.payments()
    }

    fn shipments(&mut self) -> &mut dyn ShipmentRepository {
        self.inner.shipments()
    }

    fn history(&mut self) -> &mut dyn HistoryRepository {
        self.inner.history()
    }

    fn holds(&mut self) -> &mut dyn HoldRepository {
        self.inner.holds()
    }

    fn returns(&mut self) -> &mut dyn ReturnRepository {
        self.inner.returns()
    }

    fn idempotency(&mut self) -> &mut dyn IdempotencyRepository {
        self.inner.idempotency()
    }

    fn audit(&mut self) -> &mut dyn AuditRepository {
        self.inner.audit()
    }

    fn unmatched(&mut self) -> &mut dyn UnmatchedRepository {
        self.inner.unmatched()
    }

    fn webhook_endpoints(&mut self) -> &mut dyn WebhookEndpointRepository {
        self.inner.webhook_endpoints()
    }
}

/// A service whose store goes away before it has answered the next so many commits, and how many of those are left.
async fn losing_answers(count: u32) -> (Service, Arc<AtomicU32>) {
    let mut service = Service::start().await;
    let answers_lost = Arc::new(AtomicU32::new(count));
    let unheard = || Unheard { inner: service.store.clone(), answers_lost: Arc::clone(&answers_lost) };
    let context = Arc::clone(service.api.commands.context());
    let commands = CommandPipeline::new(Arc::new(unheard()), Arc::clone(&context));
    let (create, accepting) = Coalescer::new(Arc::new(CreateOrderHandler::new(Arc::new(unheard()), context)));
    tokio::spawn(accepting);
    let verifier = || Verifier::new("secret").expect("a secret");
    let (webhooks, _) = Webhooks::new(verifier(), verifier(), &commands, &service.stop);
    let (awaited, _) = Awaited::new(Arc::new(service.store.clone()), CONNECTIONS_MAX, service.stop.clone());
    let api = Api {
        commands,
        create,
        readers: Arc::new(service.store.clone()),
        dead_letters: Arc::new(service.store.clone()),
        operations: service.api.operations.clone(),
        webhooks,
        readiness: Arc::new(StoreReadiness::new(Arc::new(service.store.clone()), service.stop.clone())),
        channels: [].into(),
        books: Arc::new(NoList),
        in_flight: InFlightKeys::default(),
        awaited,
        integrations: service.api.integrations.clone(),
        watch: Watch::default(),
    };
    service.router = router(Arc::new(api), Arc::new(Gate::open(Arc::new(bus::SystemClock))));
    (service, answers_lost)
}

#[tokio::test]
async fn stock_that_may_have_been_changed_is_not_said_to_be_as_it_was() {
    let (service, _) = losing_answers(2).await;
    let change = json!({"quantity": 3, "reason": "delivery 7", "actor": "eve"});
    for (act, available) in [("receive", 8), ("adjust", 11)] {
        let answer = service.post(&format!("/inventory/TOFU/{act}"), &change).await;
        assert_eq!(answer.header("retry-after"), None);
        let problem = answer.problem(503, "outcome_unknown");
        assert_eq!(problem["retryable"], false);
        assert_eq!(problem["detail"], "it may have been done; look before trying again");
        assert_eq!(service.get("/inventory/TOFU").await.expect(200)["available"], available, "it was done");
    }
}

#[tokio::test]
async fn an_order_that_may_have_been_accepted_is_sent_again_under_its_key() {
    let (service, _) = losing_answers(1).await;
    let order = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}]});
    let answer = service.order("k-1", &order).await;
    assert_eq!(answer.header("retry-after"), Some("1"));
    let problem = answer.problem(503, "store_unavailable");
    assert_eq!(problem["retryable"], true);
    assert_eq!(problem["detail"], "it may have been done; try again with the same key");
    let again = service.order("k-1", &order).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(service.get("/orders").await.expect(200)["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn an_endpoint_whose_answer_was_lost_is_made_once_and_its_secret_changed_once() {
    let (service, answers_lost) = losing_answers(1).await;
    let twice = async |path: &str, key: &'static str, body: Value| {
        answers_lost.store(1, Ordering::SeqCst);
        let asked =
            || request(Method::POST, path, &[JSON, ("idempotency-key", key)], body.to_string().into());
        service.send(asked()).await.problem(503, "store_unavailable");
        answers_lost.store(0, Ordering::SeqCst);
        let again = service.send(asked()).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        again
    };
    let endpoint = json!({"url": "http://127.0.0.1:1/events", "actor": "eve"});
    let made = twice("/webhook-endpoints", "k-1", endpoint).await.expect(201);
    let all = service.get("/webhook-endpoints").await.expect(200);
    assert_eq!(all["items"].as_array().map(Vec::len), Some(1));
    let path = format!("/webhook-endpoints/{}/rotate-secret", made["id"].as_str().expect("an id"));
    let rotated = twice(&path, "k-2", json!({"actor": "eve"})).await.expect(200);
    let stored = service.store.endpoints().await.expect("the store").remove(0);
    assert_eq!(Some(stored.secret.as_str()), rotated["secret"].as_str());
    assert_eq!(
        stored.previous_secret.as_deref(),
        made["secret"].as_str(),
        "the receiver's secret still signs"
    );
}
