//! What one order costs on PostgreSQL: its round trips, and the statements of each. A step that asks once more, or writes once
//! more, shows here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use application::commands::{
    CommandPipeline, CreateOrderCommand, CreateOrderHandler, CreateOrderLine, ImportProductsCommand,
    NewProduct, OrderKey, TakeProviderNewsCommand,
};
use application::hold_rules::HoldRules;
use application::pipeline::{Context, Parts, PipelineSettings, topology};
use application::ports::{Caller, NewsKind, Provider, ProviderNews, Readers};
use bus::{Clock, Coalesce, IdSource, PauseBoard, RandomIds, Routing, Stop, Supervisor, SystemClock};
use domain::{Currency, CustomerId, Money, OrderId, Quantity, Shipment, Sku};
use infrastructure::postgres::{PostgresOptions, PostgresStore};
use orderwright_testkit::agreeable::Agreeable;
use orderwright_testkit::servers::{Durability, Postgres};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// How long one step may take.
const LIMIT: Duration = Duration::from_secs(60);

/// The round trips of an order that is paid and delivered, with what each says: four for its acceptance, three for its payment,
/// five for its booking, four for its delivery.
const ORDER: &[&str] = &[
    "begin, idempotency.find",
    "products.get",
    "idempotency.insert, inventory.lock",
    "inventory.store, inventory.store, payments.insert, orders.create, orders.create, sagas.insert, timers.set, \
     history.append, tally.store, outbox.publish, commit",
    "begin, sagas.load, outbox.parked",
    "payments.get",
    "payments.update, outbox.settle, shipments.insert, orders.update, sagas.update, timers.cancel, history.append, \
     tally.store, outbox.publish, commit",
    "begin, sagas.load, outbox.parked",
    "orders.get_demand",
    "inventory.lock",
    "inventory.store, inventory.store, shipments.get",
    "shipments.update, outbox.settle, orders.update, sagas.update, timers.set, timers.cancel, history.append, \
     tally.store, commit",
    "begin, inbox.admit",
    "sagas.lock, shipments.get",
    "shipments.update, sagas.load, outbox.parked",
    "orders.update, sagas.update, timers.cancel, history.append, tally.store, commit",
];

/// What other services of a worker ask of their own accord, whenever it is time.
const OTHERS: &[&str] = &["feed.receive", "outbox.requeue", "timers.lease_due", "timers.retire"];

/// Notes every round trip.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

/// One round trip, field by field.
#[derive(Default)]
struct RoundTrip {
    begins: bool,
    operations: String,
    commits: bool,
}

impl Visit for RoundTrip {
    fn record_bool(&mut self, field: &Field, value: bool) {
        match field.name() {
            "begins" => self.begins = value,
            "commits" => self.commits = value,
            other => panic!("{other} is no field of a round trip"),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "operations" {
            value.clone_into(&mut self.operations);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl RoundTrip {
    fn told(&self) -> String {
        let begin = self.begins.then_some("begin");
        let operations = Some(&*self.operations).filter(|operations| !operations.is_empty());
        let commit = self.commits.then_some("commit");
        [begin, operations, commit].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && metadata.target().contains("postgres")
            && metadata.target().ends_with("::pipeline")
    }

    fn event(&self, event: &Event<'_>) {
        let mut round_trip = RoundTrip::default();
        event.record(&mut round_trip);
        let told = round_trip.told();
        let is_others = told == "commit" || OTHERS.iter().any(|other| told.contains(other));
        if !is_others {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(told);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Log {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Worker {
    store: PostgresStore,
    context: Arc<Context>,
    commands: CommandPipeline,
    _supervisor: Supervisor,
}

async fn start(address: &str) -> Worker {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds::seeded(1));
    let options = PostgresOptions::new(topology(), Routing::Store, &*clock, &*ids);
    let store = PostgresStore::connect(address, options).await.unwrap();
    let context = Arc::new(Context {
        clock,
        ids,
        settings: PipelineSettings::default(),
        pauses: PauseBoard::default(),
        hold_rules: HoldRules::default(),
    });
    let (provider, _arrivals) = Agreeable::new();
    let parts = Parts {
        notifications: None,
        store: Arc::new(store.clone()),
        transport: Arc::new(store.clone()),
        gateway: Arc::<Agreeable>::clone(&provider),
        shipping: provider,
        context: Arc::clone(&context),
    };
    let mut supervisor = Supervisor::new(Stop::new());
    parts.start(&mut supervisor);
    let commands = CommandPipeline::new(Arc::new(store.clone()), Arc::clone(&context));
    Worker { store, context, commands, _supervisor: supervisor }
}

impl Worker {
    async fn stock(&self) {
        let product = NewProduct {
            sku: sku(),
            name: "A thing".to_owned(),
            description: None,
            price: Money::new(1_250, Currency::parse("USD").unwrap()),
            stock: 1_000,
            reorder_level: Some(10),
            availability: None,
            shipping: None,
        };
        let import = ImportProductsCommand { products: vec![product], import: "test".to_owned() };
        self.commands.run(&import).await.unwrap();
    }

    /// An order from its acceptance to its delivery, each step after the last is done.
    async fn deliver(&self) {
        let handler = CreateOrderHandler::new(Arc::new(self.store.clone()), Arc::clone(&self.context));
        let request = self.request();
        let order_id = request.order_id;
        handler.flush(handler.begin().await.unwrap(), &[request]).await.unwrap();
        self.await_status(order_id, "shipped").await;
        let tracking_number = format!("TRK-{}", Shipment::request(order_id).key);
        let kind = NewsKind::ShipmentDelivered { tracking_number };
        let now = self.context.clock.now();
        let news = vec![ProviderNews::honest(&format!("evt_{order_id}"), order_id, kind, now)];
        self.commands.run(&TakeProviderNewsCommand { provider: Provider::Shipping, news }).await.unwrap();
        self.await_status(order_id, "delivered").await;
    }

    fn request(&self) -> CreateOrderCommand {
        let id = || self.context.ids.next(self.context.clock.now());
        CreateOrderCommand {
            order_id: OrderId(id()),
            caller: Caller::without_key(),
            key: Some(OrderKey { key: id().to_string(), digest: [7; 32] }),
            customer_id: CustomerId::parse("customer").unwrap(),
            lines: vec![CreateOrderLine {
                sku: sku(),
                quantity: Quantity::new(2).unwrap(),
                unit_price: None,
            }],
            ordered_at: None,
            external_reference: None,
            payment_token: Some("tok_visa".to_owned()),
            total: None,
            money_lines: Vec::new(),
            details: None,
            holds: Vec::new(),
            when_short: None,
            traceparent: None,
        }
    }

    async fn await_status(&self, id: OrderId, status: &str) {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        let looking = async {
            while self.store.order(id).await.unwrap().is_none_or(|order| order.status != status) {
                looks.tick().await;
            }
        };
        tokio::time::timeout(LIMIT, looking).await.unwrap_or_else(|_| panic!("{id} is not {status}"));
    }
}

fn sku() -> Sku {
    Sku::parse("SKU-1").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_costs_these_round_trips_and_statements() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let server = Postgres::start(Durability::None).unwrap();
    let worker = start(&server.database().unwrap()).await;
    worker.stock().await;
    worker.deliver().await;
    log.take();
    for _ in 0..3 {
        worker.deliver().await;
        let said = log.take();
        assert_eq!(said, ORDER, "{said:#?}");
    }
}
