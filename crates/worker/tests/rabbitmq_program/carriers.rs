//! Messages that are left by whoever does not work there: for the broker, or for the store to carry itself. Whatever the
//! service is set up with, it sees to them, and to those that a service with the other carrier had left.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use application::commands::{
    CreateOrderCommand, CreateOrderHandler, CreateOrderLine, CreateOrderReply, ImportProductsCommand,
    NewProduct, OrderKey,
};
use application::ports::Caller;
use bus::{Clock, Coalesce, IdSource, RandomIds, SystemClock};
use domain::{Currency, CustomerId, Money, OrderId, Quantity, Sku};
use orderwright::any_store::{AnyStore, Purpose};
use orderwright::config::Config;
use orderwright::demo::Stage;
use orderwright::wiring;

use crate::servers::{broker, database};

/// How long it may take until all is delivered.
const LIMIT: Duration = Duration::from_secs(60);

/// A database, and both ways to set up who works on it.
pub(crate) struct Place {
    folder: Option<PathBuf>,
    pub(crate) with_broker: Config,
    without: Config,
}

impl Place {
    pub(crate) fn on_postgres() -> Self {
        Self::at(&database(), None)
    }

    pub(crate) fn on_a_file(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("orderwright-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the test");
        Self::at(&folder.join("orders.db").display().to_string(), Some(folder))
    }

    fn at(database: &str, folder: Option<PathBuf>) -> Self {
        let without = Config { database: database.into(), ..Config::default() };
        let mut with_broker = without.clone();
        with_broker.rabbitmq.addresses = broker().as_str().into();
        Self { folder, with_broker, without }
    }

    /// What works there before and after, as it is set up, and visitors of both kinds meanwhile.
    async fn carries_over(&self, before: &Config, after: &Config) {
        leave_orders(before, 20).await;
        let settings = sandbox::Settings { delivery_delay_ms: (1, 10), ..sandbox::Settings::default() };
        let stage = Stage::open(after.clone(), Some(settings)).await.expect("everything is there");
        leave_orders(&self.with_broker, 5).await;
        leave_orders(&self.without, 5).await;
        delivered(&stage.service.store, 30).await;
        let now = SystemClock.now();
        let broken = stage.service.store.readers.broken_invariants(now, 5).await.expect("the store is there");
        assert!(broken.is_empty(), "{broken:?}");
        let counts = stage.service.store.readers.overview().await.expect("the store is there");
        assert!(counts.queues.iter().all(|(_, waiting)| *waiting == 0), "{:?}", counts.queues);
        assert_eq!(counts.dead_letters, 0);
        stage.close().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// As a command does that works beside a service, or before there is one.
async fn leave_orders(config: &Config, orders: usize) {
    let requests: Vec<_> = (0..orders).map(|_| request()).collect();
    leave(config, &requests).await;
}

/// The same, of these orders.
pub(crate) async fn leave(config: &Config, requests: &[CreateOrderCommand]) {
    let visitor = AnyStore::open(config, Purpose::Migrate).await.expect("the database is there");
    let products = vec![NewProduct {
        sku: sku(),
        name: "A thing".to_owned(),
        description: None,
        price: Money::new(1_250, Currency::parse("EUR").expect("a currency")),
        stock: 1_000,
        reorder_level: Some(10),
        availability: None,
        shipping: None,
    }];
    let import = ImportProductsCommand { products, import: "test".to_owned() };
    wiring::commands(&visitor, config).run(&import).await.expect("the store is there");
    let handler = CreateOrderHandler::new(Arc::clone(&visitor.units), wiring::context(config));
    let unit = handler.begin().await.expect("the store is there");
    let replies = handler.flush(unit, requests).await.expect("the store is there");
    assert!(replies.iter().all(|reply| matches!(reply, CreateOrderReply::Created(_))));
    visitor.upkeep.close().await;
}

pub(crate) fn request() -> CreateOrderCommand {
    let id = || RandomIds::from_system().next(SystemClock.now());
    CreateOrderCommand {
        order_id: OrderId(id()),
        caller: Caller::without_key(),
        key: Some(OrderKey { key: id().to_string(), digest: [7; 32] }),
        customer_id: CustomerId::parse("customer").expect("a customer"),
        lines: vec![CreateOrderLine {
            sku: sku(),
            quantity: Quantity::new(2).expect("a quantity"),
            unit_price: None,
        }],
        ordered_at: None,
        external_reference: None,
        payment_token: None,
        total: None,
        money_lines: Vec::new(),
        details: None,
        holds: Vec::new(),
        when_short: None,
        traceparent: None,
    }
}

fn sku() -> Sku {
    Sku::parse("SKU-1").expect("a sku")
}

async fn delivered(store: &AnyStore, orders: u64) {
    let mut looks = tokio::time::interval(Duration::from_millis(25));
    let all = async {
        loop {
            let counts = store.readers.overview().await.expect("the store is there");
            let waits = counts.queues.iter().any(|(_, waiting)| *waiting > 0);
            if !waits && counts.orders.contains(&("delivered".to_owned(), orders)) {
                return;
            }
            looks.tick().await;
        }
    };
    if tokio::time::timeout(LIMIT, all).await.is_err() {
        panic!("not all delivered: {:?}", store.readers.overview().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_gets_a_broker_loses_nothing_that_was_left_in_its_queues() {
    let place = Place::on_a_file("gets-broker");
    place.carries_over(&place.without, &place.with_broker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_gives_its_broker_up_loses_nothing_that_was_left_for_it() {
    let place = Place::on_a_file("gives-up-broker");
    place.carries_over(&place.with_broker, &place.without).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_gets_a_broker_loses_nothing_that_was_left_in_its_queues() {
    let place = Place::on_postgres();
    place.carries_over(&place.without, &place.with_broker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_gives_its_broker_up_loses_nothing_that_was_left_for_it() {
    let place = Place::on_postgres();
    place.carries_over(&place.with_broker, &place.without).await;
}
