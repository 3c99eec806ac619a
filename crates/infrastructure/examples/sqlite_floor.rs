//! What the rows of one order cost: every write and read of an order from creation to delivery, through the ports, in
//! batches, with neither HTTP nor JSON to decode. Prints microseconds per order, step by step.
//!
//! `cargo run --release --example sqlite_floor -- [orders] [batch] [customers] [database]`, with `PAGE_BYTES`, `CACHE_KIB`
//! and `CHECKPOINT_PAGES` to try other settings than the product's.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use application::messages::{Demand, OrderCreatedEvent};
use application::messages::{
    OrderShippedEvent, PaymentProcessed, PaymentProcessingRequested, PaymentResult, ShippingCompleted,
    correlation,
};
use application::pipeline::{Context, PipelineSettings, topology};
use application::ports::{HistoryEntry, IdempotencyRecord, NewOrderRow, StockDemand, UnitOfWork};
use application::saga::{
    EventKind, Facts, Happening, OrderProcessingSaga, SagaEvent, SagaState, carry_out, timers,
};
use bus::{
    Delivery, Disposition, Envelope, Fault, Feed, Message, MessageId, RandomIds, Routing, Settlement, Store,
    SystemClock, Transport, new_timer,
};
use domain::{
    Currency, CustomerId, Inventory, Money, MovementCause, NewOrder, NewOrderLine, Order, OrderId, Payment,
    Product, ProductId, Quantity, Shipment, Sku,
};
use jiff::Timestamp;
use orderwright_infrastructure::sqlite::{SqliteOptions, SqliteStore};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LINES: usize = 2;

struct Bench {
    store: SqliteStore,
    context: Context,
    products: Vec<Product>,
    customers: u64,
    batch: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (orders, batch, customers) = (number(20_000), number(200), number(10_000));
    let path =
        arguments.next().map_or_else(|| std::env::temp_dir().join("orderwright-floor.db"), PathBuf::from);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
    let setting = |name: &str, default: u32| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let plain = SqliteOptions::new(topology(), Routing::Store);
    let options = SqliteOptions {
        page_bytes: setting("PAGE_BYTES", plain.page_bytes),
        cache_kib: setting("CACHE_KIB", plain.cache_kib),
        checkpoint_pages: setting("CHECKPOINT_PAGES", plain.checkpoint_pages),
        ..plain
    };
    let store = SqliteStore::open(&path, options)?;
    let context = Context {
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds::seeded(1)),
        settings: PipelineSettings::default(),
    };
    let mut bench = Bench { store, context, products: Vec::new(), customers: customers as u64, batch };
    bench.stock_up().await?;
    let mut done = 0;
    while done < orders {
        let slice = (orders - done).min(20_000);
        bench.run(slice).await?;
        done += slice;
        println!("   ({done} orders stored)");
    }
    let started = Instant::now();
    let broken = application::ports::Readers::broken_invariants(&bench.store, bench.now(), 5).await?;
    println!("invariants: {} broken, checked in {:?}", broken.len(), started.elapsed());
    broken.iter().for_each(|view| println!("   {view:?}"));
    let started = Instant::now();
    let overview = application::ports::Readers::overview(&bench.store).await?;
    println!("overview in {:?}: {:?}", started.elapsed(), overview.orders);
    println!("files: {:?}", bench.store.file_sizes());
    Ok(())
}

impl Bench {
    fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    async fn stock_up(&mut self) -> Result<(), Fault> {
        let now = self.now();
        let price = Money::new(1_250, Currency::parse("USD").expect("a currency"));
        let product = |number: usize| {
            Product::new(Sku::parse(&format!("SKU-{number}")).expect("a sku"), "A thing", price, now)
        };
        self.products = (0..77).map(product).collect();
        let mut unit = self.store.begin().await?;
        unit.products().upsert(&self.products).await?;
        let receive =
            |product: &Product| (product.id, 1_000_000_000, MovementCause::Import("floor".to_owned()));
        let changes: Vec<_> = self.products.iter().map(receive).collect();
        let _: Vec<Inventory> =
            unit.inventory().update_available_stock(&changes, now).await?.expect("plenty");
        unit.commit().await
    }

    async fn run(&self, orders: usize) -> Result<(), Fault> {
        let mut total = Spent::default();
        for (name, spent) in [
            ("create", self.create(orders).await?),
            ("validate", self.stage("order-created", orders, Stage::Validate).await?),
            ("reserve", self.stage("inventory-reservation", orders, Stage::Reserve).await?),
            ("charge", self.stage("payment", orders, Stage::Charge).await?),
            ("paid", self.stage("payment-processed", orders, Stage::Paid).await?),
            ("ship", self.stage("shipping", orders, Stage::Ship).await?),
            ("deliver", self.stage("shipping-completed", orders, Stage::Deliver).await?),
        ] {
            spent.print(name, orders);
            total.add(&spent);
        }
        total.print("all", orders);
        Ok(())
    }

    async fn create(&self, orders: usize) -> Result<Spent, Fault> {
        let meter = Meter::start();
        let mut left = orders;
        while left > 0 {
            let size = left.min(self.batch);
            let rows: Vec<_> = (0..size).map(|_| self.place()).collect();
            let mut unit = self.store.begin().await?;
            self.accept(unit.as_mut(), rows).await?;
            unit.commit().await?;
            left -= size;
        }
        Ok(meter.stop())
    }

    fn place(&self) -> Order {
        let now = self.now();
        let ids = &self.context.ids;
        let line = |ordinal: usize| {
            let product = &self.products[(ids.below(70) as usize + ordinal * 3) % 77];
            NewOrderLine {
                product_id: product.id,
                sku: product.sku.clone(),
                quantity: Quantity::new(2).expect("in range"),
                unit_price: product.price,
            }
        };
        let new = NewOrder {
            id: OrderId(ids.next(now)),
            customer_id: CustomerId::parse(&format!("customer-{}", ids.below(self.customers)))
                .expect("a text"),
            lines: (0..LINES).map(line).collect(),
            ordered_at: now,
            external_reference: None,
        };
        Order::place(new, now).expect("in order")
    }

    async fn accept(&self, unit: &mut dyn UnitOfWork, orders: Vec<Order>) -> Result<(), Fault> {
        let now = self.now();
        let keys: Vec<String> =
            orders.iter().map(|_| self.context.ids.next(Timestamp::UNIX_EPOCH).to_string()).collect();
        let keys: Vec<String> = keys.iter().map(|key| key.chars().rev().collect()).collect();
        unit.idempotency().find(&keys).await?;
        let (mut sagas, mut running, mut history, mut records, mut messages) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (order, key) in orders.iter().zip(keys) {
            let mut saga = OrderProcessingSaga::start(order.id(), order.total(), now, now);
            let event = created(order);
            let envelope = event.first(MessageId(order.id().0).child("c", 0), correlation(order.id()), now);
            running.push(new_timer(&mut saga, timers::ORDER, Duration::from_secs(1_800), &envelope, now));
            history.push(entry(order.id(), now));
            records.push(IdempotencyRecord {
                key,
                caller: "".into(),
                request_digest: [7; 32],
                order_id: order.id(),
                total: order.total(),
                created_at: now,
            });
            sagas.push(saga);
            messages.push(envelope);
        }
        let rows: Vec<NewOrderRow> = orders
            .into_iter()
            .map(|order| NewOrderRow { order, payment_token: Some("tok_visa".to_owned()), source: None })
            .collect();
        unit.orders().create(&rows).await?;
        unit.insert_sagas(&sagas, now).await?;
        unit.set_timers(running).await?;
        unit.history().append(&history).await?;
        unit.idempotency().insert(&records).await?;
        unit.publish(messages).await
    }

    async fn stage(&self, queue: &str, orders: usize, stage: Stage) -> Result<Spent, Fault> {
        let mut feed = self.store.subscribe(queue).await?;
        let meter = Meter::start();
        let mut done = 0;
        while done < orders {
            done += self.batch(feed.as_mut(), stage).await?;
        }
        Ok(meter.stop())
    }

    async fn batch(&self, feed: &mut dyn Feed, stage: Stage) -> Result<usize, Fault> {
        let batch = feed.receive(self.batch).await?;
        let now = self.now();
        let ids: Vec<OrderId> =
            batch.iter().map(|delivery| OrderId(delivery.envelope.correlation_id.0)).collect();
        let mut unit = self.store.begin().await?;
        stage.handle(unit.as_mut(), &batch, &ids, now).await?;
        let done = |delivery: &Delivery| Settlement {
            delivery: delivery.clone(),
            disposition: Disposition::Done,
            at: now,
        };
        unit.settle(batch.iter().map(done).collect()).await?;
        unit.commit().await?;
        let receipts: Vec<_> = batch.iter().map(|delivery| delivery.receipt.clone()).collect();
        feed.acknowledge(&receipts).await?;
        Ok(batch.len())
    }
}

fn created(order: &Order) -> OrderCreatedEvent {
    OrderCreatedEvent {
        order_id: order.id().0,
        customer_id: order.customer_id().to_string(),
        total: order.total().into(),
        lines: demand(order.merged_demand()),
        payment_token: Some("tok_visa".to_owned()),
    }
}

fn demand(lines: Vec<(ProductId, i64)>) -> Vec<Demand> {
    lines.into_iter().map(|(id, quantity)| Demand { product_id: id.0, quantity }).collect()
}

fn entry(order_id: OrderId, at: Timestamp) -> HistoryEntry {
    HistoryEntry {
        order_id,
        at,
        event: "OrderCreated",
        status: Some(domain::OrderStatus::Pending),
        saga_state: Some(SagaState::Created),
        detail: None,
    }
}

#[derive(Clone, Copy)]
enum Stage {
    Validate,
    Reserve,
    Charge,
    Paid,
    Ship,
    Deliver,
}

impl Stage {
    const fn event(self) -> EventKind {
        match self {
            Self::Validate => EventKind::OrderValidated,
            Self::Reserve => EventKind::InventoryReserved,
            Self::Charge => EventKind::PaymentStarted,
            Self::Paid => EventKind::PaymentCaptured,
            Self::Ship => EventKind::ShipmentBooked,
            Self::Deliver => EventKind::ParcelDelivered,
        }
    }

    async fn handle(
        self,
        unit: &mut dyn UnitOfWork,
        batch: &[Delivery],
        ids: &[OrderId],
        now: Timestamp,
    ) -> Result<(), Fault> {
        if let Self::Reserve = self {
            self.reserve(unit, batch, now).await?;
        }
        let happenings: Vec<Happening<'_>> = batch
            .iter()
            .zip(ids)
            .map(|(delivery, id)| Happening {
                order_id: *id,
                event: SagaEvent::of(self.event()),
                cause: &delivery.envelope,
                facts: self.facts(&delivery.envelope),
            })
            .collect();
        carry_out(unit, &happenings, now).await?;
        match self {
            Self::Validate | Self::Reserve | Self::Paid => Ok(()),
            Self::Charge => record_charge(unit, batch, ids, now).await,
            Self::Ship => record_booking(unit, batch, ids, now).await,
            Self::Deliver => record_delivery(unit, ids, now).await,
        }
    }

    fn facts(self, envelope: &Envelope) -> Facts {
        match self {
            Self::Validate => {
                let message = OrderCreatedEvent::decode("", &envelope.body).expect("our own");
                Facts { demand: message.lines, payment_token: message.payment_token, ..Facts::default() }
            }
            Self::Charge => Facts {
                detail: Some("charge (attempt 1): captured as ch_0123456789".to_owned()),
                ..Facts::default()
            },
            Self::Ship => Facts {
                detail: Some("create_shipment (attempt 1): booked with Sandbox as TRK123456".to_owned()),
                ..Facts::default()
            },
            Self::Reserve | Self::Paid | Self::Deliver => Facts::default(),
        }
    }

    async fn reserve(
        self,
        unit: &mut dyn UnitOfWork,
        batch: &[Delivery],
        now: Timestamp,
    ) -> Result<(), Fault> {
        let wanted = |delivery: &Delivery| {
            let body = &delivery.envelope.body;
            let message =
                application::messages::InventoryReservationRequested::decode("", body).expect("our own");
            let lines =
                message.lines.iter().map(|line| (ProductId(line.product_id), line.quantity)).collect();
            StockDemand { order_id: OrderId(message.order_id), lines }
        };
        let demands: Vec<StockDemand> = batch.iter().map(wanted).collect();
        let sagas: Vec<_> = demands.iter().map(|demand| correlation(demand.order_id)).collect();
        unit.load_sagas(&sagas).await?;
        unit.inventory().reserve_stock(&demands, now).await.map(drop)
    }
}

async fn record_charge(
    unit: &mut dyn UnitOfWork,
    batch: &[Delivery],
    ids: &[OrderId],
    now: Timestamp,
) -> Result<(), Fault> {
    let mut payments: Vec<Payment> = unit.payments().get(ids).await?;
    for payment in &mut payments {
        payment.note_attempt();
        let _ = payment.capture(payment.amount, &format!("ch_{}", payment.order_id)).expect("captured once");
    }
    unit.payments().update(&payments, now).await?;
    let result = |delivery: &Delivery| {
        let message = PaymentProcessingRequested::decode("", &delivery.envelope.body).expect("our own");
        let result = PaymentResult::Processed(PaymentProcessed {
            order_id: message.order_id,
            amount: message.amount,
            provider_reference: "ch_1".to_owned(),
        });
        result.caused_by(&delivery.envelope, 0, now)
    };
    unit.publish(batch.iter().map(result).collect()).await
}

async fn record_booking(
    unit: &mut dyn UnitOfWork,
    batch: &[Delivery],
    ids: &[OrderId],
    now: Timestamp,
) -> Result<(), Fault> {
    let mut shipments: Vec<Shipment> = unit.shipments().get(ids).await?;
    for shipment in &mut shipments {
        let _ = shipment.book("TRK-1234567890", "sandbox").expect("booked once");
        let _ = shipment.ship().expect("shipped once");
    }
    unit.shipments().update(&shipments, now).await?;
    let shipped = |delivery: &Delivery| {
        let order_id = delivery.envelope.correlation_id.0;
        let message =
            OrderShippedEvent { order_id, tracking_number: "TRK".to_owned(), carrier: "sandbox".to_owned() };
        message.caused_by(&delivery.envelope, 0, now)
    };
    unit.publish(batch.iter().map(shipped).collect()).await?;
    // The carrier's webhook, in a transaction of its own in life.
    let news: Vec<String> = ids.iter().map(|id| format!("evt_{id}")).collect();
    unit.admit("sandbox", &news, now).await?;
    let completed = |id: &OrderId| {
        let message = ShippingCompleted { order_id: id.0, tracking_number: "TRK".to_owned() };
        message.first(MessageId(id.0).child("completed", 0), correlation(*id), now)
    };
    unit.publish(ids.iter().map(completed).collect()).await
}

async fn record_delivery(unit: &mut dyn UnitOfWork, ids: &[OrderId], now: Timestamp) -> Result<(), Fault> {
    let mut shipments = unit.shipments().get(ids).await?;
    for shipment in &mut shipments {
        let _ = shipment.deliver().expect("delivered once");
    }
    unit.shipments().update(&shipments, now).await
}

/// Wall time and processor time.
#[derive(Default)]
struct Spent {
    wall: Duration,
    cpu: Duration,
}

struct Meter {
    started: Instant,
    cpu: Duration,
}

impl Meter {
    fn start() -> Self {
        Self { started: Instant::now(), cpu: cpu() }
    }

    fn stop(self) -> Spent {
        Spent { wall: self.started.elapsed(), cpu: cpu() - self.cpu }
    }
}

impl Spent {
    fn add(&mut self, other: &Self) {
        self.wall += other.wall;
        self.cpu += other.cpu;
    }

    fn print(&self, name: &str, orders: usize) {
        let per_order = |time: Duration| time.as_secs_f64() * 1e6 / orders as f64;
        println!(
            "{name:>10}: {:6.1} µs wall, {:6.1} µs processor",
            per_order(self.wall),
            per_order(self.cpu)
        );
    }
}

/// Processor time of this process, user and system, in the kernel's ticks of 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}
