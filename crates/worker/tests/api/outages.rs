//! When something is away or too busy: told as such, worth another try, and never with the cause.

use std::sync::Arc;

use application::ports::{
    AuditFilter, AuditView, BookedPayment, BrokenInvariantView, EndangeredOrderView, HistoryView,
    InventoryView, LowOnly, MovementView, OrderFilter, OrderPage, OrderView, Overview, Page, ProductView,
    Readers, ReservationPage, SagaFilter, SagaPage, SagaView, UnmatchedFilter, UnmatchedView,
};
use application::saga::SagaState;
use async_trait::async_trait;
use axum::body::Body;
use bus::{Coalescer, DeadLetter, DeadLetterFilter, DeadLetterGroups, DeadLetters, Fault, Signed, Verdict};
use domain::{OrderId, ProductId, Sku};
use futures_util::FutureExt;
use http::Method;
use jiff::Timestamp;
use orderwright::http::{
    Api, Awaited, CONNECTIONS_MAX, InFlightKeys, StoreReadiness, Watch, Webhooks, router,
};
use orderwright::security::Gate;
use providers::webhooks::Verifier;
use serde_json::{Value, json};

use crate::harness::{JSON, NoList, Service, request};

/// A store that is away, or broken, in every question.
struct Away(Verdict);

impl Away {
    fn fault<T>(&self) -> Result<T, Fault> {
        Err(Fault::new("store.read", self.0, "the password of the store is hunter2"))
    }
}

#[async_trait]
impl Readers for Away {
    async fn order(&self, _: OrderId) -> Result<Option<OrderView>, Fault> {
        self.fault()
    }

    async fn orders(&self, _: &OrderFilter, _: usize) -> Result<OrderPage, Fault> {
        self.fault()
    }

    async fn history(&self, _: OrderId) -> Result<Option<Vec<HistoryView>>, Fault> {
        self.fault()
    }

    async fn products(&self, _: Option<&Sku>, _: usize) -> Result<Page<ProductView>, Fault> {
        self.fault()
    }

    async fn inventory_levels(
        &self,
        _: LowOnly,
        _: Option<&Sku>,
        _: usize,
    ) -> Result<Page<InventoryView>, Fault> {
        self.fault()
    }

    async fn inventory_of(&self, _: &Sku) -> Result<Option<InventoryView>, Fault> {
        self.fault()
    }

    async fn endangered_orders(&self, _: ProductId, _: usize) -> Result<Page<EndangeredOrderView>, Fault> {
        self.fault()
    }

    async fn reservations(
        &self,
        _: ProductId,
        _: Option<OrderId>,
        _: usize,
    ) -> Result<ReservationPage, Fault> {
        self.fault()
    }

    async fn movements(&self, _: ProductId, _: Option<i64>, _: usize) -> Result<Vec<MovementView>, Fault> {
        self.fault()
    }

    async fn sagas(&self, _: &SagaFilter, _: usize) -> Result<SagaPage, Fault> {
        self.fault()
    }

    async fn saga(&self, _: OrderId) -> Result<Option<SagaView>, Fault> {
        panic!("a reader that panics")
    }

    async fn saga_states(&self, _: &[OrderId]) -> Result<Vec<(OrderId, SagaState)>, Fault> {
        self.fault()
    }

    async fn booked_payments(&self, _: &[OrderId]) -> Result<Vec<BookedPayment>, Fault> {
        self.fault()
    }

    async fn captured_payments(&self, _: Option<OrderId>, _: usize) -> Result<Page<BookedPayment>, Fault> {
        self.fault()
    }

    async fn overview(&self) -> Result<Overview, Fault> {
        self.fault()
    }

    async fn unmatched(&self, _: &UnmatchedFilter, _: usize) -> Result<Page<UnmatchedView>, Fault> {
        self.fault()
    }

    async fn audit(&self, _: &AuditFilter, _: usize) -> Result<Page<AuditView>, Fault> {
        self.fault()
    }

    async fn broken_invariants(&self, _: Timestamp, _: usize) -> Result<Vec<BrokenInvariantView>, Fault> {
        self.fault()
    }
}

#[async_trait]
impl DeadLetters for Away {
    async fn list_dead_letters(&self, _: &DeadLetterFilter, _: usize) -> Result<Vec<DeadLetter>, Fault> {
        self.fault()
    }

    async fn count_dead_letters(&self, _: &DeadLetterFilter) -> Result<u64, Fault> {
        self.fault()
    }

    async fn group_dead_letters(&self, _: &DeadLetterFilter, _: usize) -> Result<DeadLetterGroups, Fault> {
        self.fault()
    }

    async fn redrive(&self, _: &[i64], _: &Signed<'_>) -> Result<Vec<i64>, Fault> {
        self.fault()
    }

    async fn archive(&self, _: &[i64], _: &Signed<'_>) -> Result<Vec<i64>, Fault> {
        self.fault()
    }
}

/// A service whose reading side is away.
async fn without_a_store(verdict: Verdict) -> Service {
    let mut service = Service::start().await;
    let readers: Arc<dyn Readers> = Arc::new(Away(verdict));
    let commands = service.api.commands.clone();
    let verifier = || Verifier::new("secret").expect("a secret");
    let (webhooks, _) = Webhooks::new(verifier(), verifier(), &commands, &service.stop);
    let create: Coalescer<_> = service.api.create.clone();
    let gate = Arc::new(Gate::open(Arc::new(bus::SystemClock)));
    let (awaited, looking) = Awaited::new(Arc::clone(&readers), CONNECTIONS_MAX, service.stop.clone());
    tokio::spawn(looking);
    let api = Api {
        commands,
        create,
        readiness: Arc::new(StoreReadiness::new(Arc::clone(&readers), service.stop.clone())),
        readers,
        channels: [].into(),
        books: Arc::new(NoList),
        dead_letters: Arc::new(Away(verdict)),
        operations: service.api.operations.clone(),
        webhooks,
        in_flight: InFlightKeys::default(),
        awaited,
        integrations: service.api.integrations.clone(),
        watch: Watch::default(),
    };
    service.router = router(Arc::new(api), gate);
    service
}

const QUESTIONS: [&str; 12] = [
    "/orders",
    "/orders/00000000-0000-0000-0000-000000000000",
    "/orders/00000000-0000-0000-0000-000000000000/history",
    "/products",
    "/inventory",
    "/inventory/CHAI",
    "/sagas",
    "/dead-letters",
    "/dead-letters/groups",
    "/audit",
    "/overview",
    "/check",
];

#[tokio::test]
async fn a_store_that_is_away_is_worth_another_try() {
    let service = without_a_store(Verdict::Retry).await;
    for path in QUESTIONS {
        let answer = service.get(path).await;
        assert_eq!(answer.header("retry-after"), Some("1"), "{path}");
        assert_eq!(answer.problem(503, "store_unavailable")["retryable"], true);
    }
    let problem = service.get("/health/ready").await.problem(503, "not_ready");
    assert_eq!(problem["detail"], "store: it does not answer");
    service.get("/health/live").await.expect(200);
}

#[tokio::test]
async fn what_is_wrong_inside_is_not_told_outside() {
    let service = without_a_store(Verdict::GiveUp).await;
    for path in QUESTIONS {
        let problem = service.get(path).await.problem(500, "internal");
        assert!(!problem.to_string().contains("hunter2"), "{problem}");
    }
    let problem =
        service.get("/orders/00000000-0000-0000-0000-000000000000/saga").await.problem(500, "internal");
    assert!(!problem.to_string().contains("panics"), "{problem}");
}

#[tokio::test]
async fn an_order_is_accepted_although_it_cannot_be_told_how_it_stands() {
    let service = without_a_store(Verdict::Retry).await;
    let order = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}]});
    let headers = [JSON, ("idempotency-key", "k-1"), ("prefer", "wait=1")];
    let answer =
        service.send(request(Method::POST, "/orders", &headers, Body::from(order.to_string()))).await;
    assert_eq!(answer.header("preference-applied"), None);
    let accepted = answer.expect(201);
    assert_eq!((&accepted["status"], &accepted["order"]), (&json!("pending"), &Value::Null));
}

#[tokio::test]
async fn a_service_that_stops_says_so() {
    let mut service = Service::without_acceptance().await;
    service.get("/health/ready").await.expect(200);
    service.stop.stop();
    service.get("/health/ready").await.problem(503, "not_ready");
    service.refuse();
    let order = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}]});
    let answer = service.order("k-1", &order).await;
    assert_eq!(answer.header("retry-after"), Some("1"));
    answer.problem(503, "stopping");
}

#[tokio::test]
async fn when_too_many_orders_wait_the_next_is_told_to_come_again() {
    let service = Service::without_acceptance().await;
    let order = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}]});
    let waiting: Vec<_> = (0..bus::limits::COALESCE_WAITING_MAX)
        .map(|number| {
            let (service, order) = (&service, &order);
            let mut sent = Box::pin(async move { service.order(&format!("k-{number}"), order).await });
            assert!((&mut sent).now_or_never().is_none());
            sent
        })
        .collect();
    let answer = service.order("one-more", &order).await;
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.problem(503, "overloaded")["retryable"], true);
    drop(waiting);
}
