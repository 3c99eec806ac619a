//! Measures the whole: real HTTP, real database with full durability, the provider in a process of its own, the load in
//! another. Prints what was measured and on what; never changes a setting of the service to look better.

mod children;
mod load;
mod neighbours;
mod report;
pub mod strain;
mod usage;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use application::commands::{ImportProductsCommand, NewProduct};
use application::ports::{OrderFilter, OrderPlace, OrderSort, Readers, SagaFilter};
use application::saga::SagaState;
use domain::{Currency, Money, OrderId, OrderStatus, Sku};
use hdrhistogram::Histogram;

use crate::any_store::{AnyStore, Purpose};
use crate::config::{Config, DatabaseAddress, RabbitMq};
use crate::tell;
use crate::wiring;
use children::Children;
pub use report::Report;
use usage::Sampler;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Orders to send.
    pub orders: u64,
    /// Orders sent and worked off before the measurement starts.
    pub preload: u64,
    /// Connections, each with one request at a time.
    pub connections: usize,
    /// Orders per second to offer; as many as the connections manage, if none.
    pub rate: Option<u64>,
    /// Products that are ordered; one makes it a flash sale.
    pub products: u32,
    /// Lines of an order.
    pub lines: usize,
    /// Where the data and the logs go; what an earlier measurement left there is removed.
    pub folder: PathBuf,
    /// A PostgreSQL server for the data. Its database must be empty.
    pub server: Option<DatabaseAddress>,
    /// Its first process, if it cannot be found among the processes of this machine.
    pub server_pid: Option<u32>,
    /// The broker and how it is used, if messages go over one.
    pub rabbitmq: RabbitMq,
    /// Processes that share the work; more than one need a server.
    pub workers: usize,
}

/// Processes that share the work at most.
pub const WORKERS_MAX: usize = 8;

/// Ports of servers whose addresses name none.
const POSTGRES_PORT: u16 = 5432;
const AMQP_PORT: u16 = 5672;

/// Units of each product: enough that nothing runs short.
const STOCK: i64 = 1_000_000_000;

/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(250);

/// No progress for this long means that something hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Orders read at once when latencies are collected.
const PAGE: usize = 1_000;

/// Runs the plan.
///
/// # Errors
/// What could not be started, or an order that did not arrive.
pub async fn run(plan: &Plan) -> Result<Report> {
    let config = prepare(plan).await?;
    let mut children = Children::start(&config, plan).await?;
    let store = AnyStore::open(&config, Purpose::Visit).await?;
    if plan.preload > 0 {
        tell!("storing {} orders first", plan.preload);
        let preload = Plan { orders: plan.preload, rate: None, ..plan.clone() };
        load::send(&preload, &children.service_addrs, "preload").await?;
        all_final(store.readers.as_ref()).await?;
    }
    let newest = newest_order(store.readers.as_ref()).await?;
    let sampler = Sampler::start(children.pids(), servers(plan));
    let before = sampler.usage()?;
    let started = Instant::now();
    let outcome = load::send(plan, &children.service_addrs, "bench").await?;
    let accepted_in = started.elapsed();
    all_final(store.readers.as_ref()).await?;
    let delivered_in = started.elapsed();
    let used = sampler.usage()?.since(&before);
    let memory = sampler.stop().await;
    let latencies = latencies(store.readers.as_ref(), newest, outcome.accepted).await?;
    store.upkeep.close().await;
    children.stop().await?;
    Ok(Report::new(plan, &outcome, accepted_in, delivered_in, &latencies, used, memory))
}

/// An empty folder with a catalogue.
async fn prepare(plan: &Plan) -> Result<Config> {
    ensure!(
        plan.orders > 0 && plan.connections > 0 && plan.products > 0,
        "orders, connections and products are at least 1"
    );
    ensure!(
        plan.workers == 1 || (plan.server.is_some() && plan.workers <= WORKERS_MAX),
        "several workers, up to {WORKERS_MAX}, share a PostgreSQL server; name one with --database"
    );
    let database = match &plan.server {
        Some(address) => address.clone(),
        None => emptied(&plan.folder)?,
    };
    let config = Config { database, rabbitmq: plan.rabbitmq.clone(), ..Config::default() };
    let store = AnyStore::open(&config, Purpose::Migrate).await?;
    let found = store.readers.overview().await?.orders.iter().map(|(_, count)| count).sum::<u64>();
    ensure!(
        found == 0 && store.upkeep.other_workers().await? == 0,
        "{} is in use, {found} orders are in it; name an empty database, to be made with createdb",
        config.database
    );
    let products = (0..plan.products).map(product).collect::<Result<_>>()?;
    let import = ImportProductsCommand { products, import: "bench".to_owned() };
    wiring::commands(&store, &config).run(&import).await?;
    store.upkeep.close().await;
    Ok(config)
}

/// The first processes of the servers, as far as they are here.
fn servers(plan: &Plan) -> Vec<(&'static str, u32)> {
    let database = plan.server.as_ref().and_then(|address| {
        plan.server_pid.or_else(|| neighbours::listener(address.expose(), POSTGRES_PORT))
    });
    let broker = neighbours::listener(&plan.rabbitmq.addresses.expose(), AMQP_PORT);
    let found = [("database", database), ("broker", broker)];
    found.into_iter().filter_map(|(name, pid)| Some((name, pid?))).collect()
}

/// A file that is not there any more.
fn emptied(folder: &Path) -> Result<DatabaseAddress> {
    let path = folder.join("bench.db");
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let file = PathBuf::from(format!("{}{suffix}", path.display()));
        if file.exists() {
            std::fs::remove_file(&file).with_context(|| format!("cannot empty {}", file.display()))?;
        }
    }
    Ok(path.display().to_string().into())
}

fn product(number: u32) -> Result<NewProduct> {
    Ok(NewProduct {
        sku: Sku::parse(&load::sku(number))?,
        name: format!("Bench product {number}"),
        description: None,
        price: Money::new(1_250, Currency::parse("EUR")?),
        stock: STOCK,
        reorder_level: None,
        availability: None,
    })
}

/// Waits until no saga has anything left to do.
async fn all_final(store: &dyn Readers) -> Result<()> {
    let mut last_change = Instant::now();
    let mut last_open = None;
    loop {
        let open = first_open(store).await?;
        let Some(open) = open else { return Ok(()) };
        if last_open != Some(open) {
            (last_open, last_change) = (Some(open), Instant::now());
        }
        ensure!(last_change.elapsed() < PATIENCE, "order {open} has not moved for {PATIENCE:?}");
        tokio::time::sleep(LOOK).await;
    }
}

/// The oldest order that is not final.
async fn first_open(store: &dyn Readers) -> Result<Option<OrderId>> {
    let mut first: Option<OrderId> = None;
    for state in SagaState::ALL.iter().filter(|state| !state.is_final()) {
        let filter = SagaFilter { state: Some(*state), ..SagaFilter::default() };
        let page = store.sagas(&filter, 1).await?;
        first = page.items.iter().map(|saga| OrderId(saga.order_id)).chain(first).min();
    }
    Ok(first)
}

/// The newest order stored so far; what is measured comes after it.
async fn newest_order(store: &dyn Readers) -> Result<Option<OrderId>> {
    let filter = OrderFilter { sort: OrderSort::NewestFirst, ..OrderFilter::default() };
    let page = store.orders(&filter, 1).await?;
    Ok(page.items.first().map(|order| OrderId(order.order_id)))
}

/// From accepted to delivered, in microseconds, of every order after `after`.
async fn latencies(store: &dyn Readers, after: Option<OrderId>, expected: u64) -> Result<Histogram<u64>> {
    let mut after = after.map(OrderPlace::by_id);
    let mut latencies = Histogram::new(3)?;
    loop {
        let filter = OrderFilter { status: None, after, ..OrderFilter::default() };
        let page = store.orders(&filter, PAGE).await?;
        for order in &page.items {
            ensure!(
                order.status == OrderStatus::Delivered.as_str(),
                "order {} is {}",
                order.order_id,
                order.status
            );
            let took_us = order.updated_at.duration_since(order.created_at).as_micros();
            latencies.record(u64::try_from(took_us).unwrap_or(0))?;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    ensure!(
        latencies.len() == expected,
        "{} orders were delivered, {expected} were accepted",
        latencies.len()
    );
    Ok(latencies)
}
