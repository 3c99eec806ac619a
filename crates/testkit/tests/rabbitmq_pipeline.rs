//! The whole pipeline with RabbitMQ between its consumers: from acceptance to delivery, over a broker that is killed on the way.
//! Rows are on SQLite; a relay takes what leaves the outbox to the broker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use application::commands::{
    CommandPipeline, CreateOrderCommand, CreateOrderHandler, CreateOrderLine, CreateOrderReply,
    ImportProductsCommand, NewProduct, OrderKey,
};
use application::hold_rules::HoldRules;
use application::pipeline::{Context, Parts, PipelineSettings, topology};
use application::ports::{Caller, Readers};
use bus::{
    Clock, Coalesce, CorrelationId, Drained, Feed, IdSource, MessageId, PauseBoard, RandomIds, Relay,
    Routing, Stop, Supervisor, SystemClock, Topology, Transport,
};
use bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use domain::{Currency, CustomerId, Money, OrderId, Quantity, Sku};
use infrastructure::sqlite::{SqliteOptions, SqliteStore};
use orderwright_testkit::agreeable::Agreeable;
use orderwright_testkit::servers::rabbitmq::RabbitMq;

const ORDERS: usize = 200;

/// How long it may take until all is delivered, the broker's restart included.
const LIMIT: Duration = Duration::from_secs(90);

/// One worker.
struct Worker {
    store: SqliteStore,
    context: Arc<Context>,
    provider: Arc<Agreeable>,
    supervisor: Supervisor,
    stop: Stop,
}

fn start(address: &str) -> Worker {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds::seeded(1));
    let store = SqliteStore::in_memory(SqliteOptions::new(topology(), Routing::Outbox)).unwrap();
    let settings = RabbitMqSettings {
        connect_limit: Duration::from_secs(2),
        confirm_limit: Duration::from_secs(3),
        ..RabbitMqSettings::at(vec![address.to_owned()])
    };
    let transport = RabbitMqTransport::new(&settings, topology(), Arc::clone(&clock), &ids).unwrap();
    let relay = Relay::new(
        Arc::new(store.clone()),
        Arc::new(transport.clone()),
        Arc::clone(&clock),
        Arc::clone(&ids),
    );
    let context = Arc::new(Context {
        clock,
        ids,
        settings: PipelineSettings::default(),
        pauses: PauseBoard::default(),
        hold_rules: HoldRules::default(),
    });
    let (provider, arrivals) = Agreeable::new();
    let parts = Parts {
        notifications: None,
        store: Arc::new(store.clone()),
        transport: Arc::new(transport),
        gateway: Arc::<Agreeable>::clone(&provider),
        shipping: Arc::<Agreeable>::clone(&provider),
        context: Arc::clone(&context),
    };
    let stop = Stop::new();
    let mut supervisor = Supervisor::new(stop.clone());
    parts.start(&mut supervisor);
    let relay = Arc::new(relay);
    supervisor.run("relay", move |stop| {
        let relay = Arc::clone(&relay);
        async move { relay.run(stop).await }
    });
    let commands = CommandPipeline::new(Arc::new(store.clone()), Arc::clone(&context));
    tokio::spawn(arrivals.tell(commands, 1));
    Worker { store, context, provider, supervisor, stop }
}

impl Worker {
    async fn accept(&self, orders: usize) {
        let product = NewProduct {
            sku: sku(),
            name: "A thing".to_owned(),
            description: None,
            price: Money::new(1_250, Currency::parse("USD").unwrap()),
            stock: 1_000_000,
            reorder_level: Some(10),
            availability: None,
            shipping: None,
        };
        let commands = CommandPipeline::new(Arc::new(self.store.clone()), Arc::clone(&self.context));
        let import = ImportProductsCommand { products: vec![product], import: "test".to_owned() };
        commands.run(&import).await.unwrap();
        let handler = CreateOrderHandler::new(Arc::new(self.store.clone()), Arc::clone(&self.context));
        let requests: Vec<_> = (0..orders).map(|_| self.request()).collect();
        let replies = handler.flush(handler.begin().await.unwrap(), &requests).await.unwrap();
        assert!(replies.iter().all(|reply| matches!(reply, CreateOrderReply::Created(_))));
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

    async fn delivered(&self) -> usize {
        let counts = self.store.overview().await.unwrap().orders;
        let found = counts.into_iter().find(|(status, _)| status == "delivered");
        usize::try_from(found.map_or(0, |(_, count)| count)).unwrap()
    }

    /// Looks now and then until so many are delivered.
    async fn await_delivered(&self, orders: usize) {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        let looking = async {
            while self.delivered().await < orders {
                looks.tick().await;
            }
        };
        if tokio::time::timeout(LIMIT, looking).await.is_err() {
            panic!("not all delivered within {LIMIT:?}: {:?}", self.store.overview().await.unwrap());
        }
    }
}

/// Another service, which hears of everything.
struct Listener {
    feed: Box<dyn Feed>,
    /// The ids of each fact: of an order, by kind.
    facts: BTreeMap<(CorrelationId, Arc<str>), BTreeSet<MessageId>>,
    conversations: BTreeMap<CorrelationId, BTreeSet<MessageId>>,
    /// The trace that each message is in.
    traces: BTreeMap<CorrelationId, BTreeSet<String>>,
}

impl Listener {
    const KINDS: &[&'static str] = &[
        "OrderCreatedEvent",
        "InventoryReserved",
        "PaymentProcessed",
        "OrderShippedEvent",
        "OrderDeliveredEvent",
    ];

    async fn at(address: &str) -> Self {
        let topology = Topology::default().subscribe("theirs", Self::KINDS);
        let transport = RabbitMqTransport::connect(address, topology).await.unwrap();
        let feed = transport.subscribe("theirs").await.unwrap();
        Self { feed, facts: BTreeMap::new(), conversations: BTreeMap::new(), traces: BTreeMap::new() }
    }

    /// Listens until everything of so many orders was heard.
    async fn hear(&mut self, orders: usize) {
        while self.facts.len() < orders * Self::KINDS.len() {
            // The broker was away.
            let Ok(received) = self.feed.receive(100).await else { continue };
            for delivery in &received {
                let envelope = &delivery.envelope;
                let fact = (envelope.correlation_id, Arc::clone(&envelope.kind));
                self.facts.entry(fact).or_default().insert(envelope.id);
                let conversations = self.conversations.entry(envelope.correlation_id).or_default();
                conversations.insert(envelope.conversation_id);
                let context = envelope.traceparent.as_deref().unwrap_or("none");
                let trace = context.split('-').nth(1).unwrap_or(context).to_owned();
                self.traces.entry(envelope.correlation_id).or_default().insert(trace);
            }
            let receipts: Vec<_> = received.into_iter().map(|delivery| delivery.receipt).collect();
            let _ = self.feed.acknowledge(&receipts).await;
        }
    }

    fn is_content(&self) {
        for (fact, ids) in &self.facts {
            assert_eq!(ids.len(), 1, "{fact:?} has one id, however often it came");
        }
        for (order, conversations) in &self.conversations {
            assert_eq!(conversations.len(), 1, "order {order} is one conversation");
        }
        for (order, traces) in &self.traces {
            let own = BTreeSet::from([order.0.simple().to_string()]);
            assert_eq!(*traces, own, "order {order} is one trace, what the carrier's webhook began included");
        }
    }
}

fn sku() -> Sku {
    Sku::parse("SKU-1").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_is_delivered_and_paid_once_over_a_broker_that_is_killed_on_the_way() {
    let mut node = RabbitMq::start().unwrap();
    let address = node.vhost().unwrap();
    let worker = start(&address);
    let mut listener = Listener::at(&address).await;
    worker.accept(ORDERS).await;
    worker.await_delivered(1).await;
    node.kill9();
    worker.accept(10).await;
    node.restart().unwrap();
    worker.await_delivered(ORDERS + 10).await;
    assert_eq!(worker.provider.charged(), ORDERS + 10);
    let broken = worker.store.broken_invariants(worker.context.clock.now(), 5).await.unwrap();
    assert!(broken.is_empty(), "{broken:?}");
    assert_eq!(worker.store.overview().await.unwrap().dead_letters, 0);
    tokio::time::timeout(LIMIT, listener.hear(ORDERS + 10)).await.expect("the news of every order");
    listener.is_content();
    worker.stop.stop();
    assert_eq!(worker.supervisor.drained(Duration::from_secs(20)).await, Drained::Cleanly);
}
