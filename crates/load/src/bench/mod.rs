//! Measures the whole: real HTTP, real database with full durability, the provider in a process of its own, the load in
//! another. Prints what was measured and on what; never changes a setting of the service to look better.

mod report;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use application::ports::{OrderFilter, OrderPlace, OrderSort, Readers, SagaFilter};
use application::saga::SagaState;
use clap::Args;
use domain::{OrderId, OrderStatus};
use hdrhistogram::Histogram;
use worker::any_store::{AnyStore, Purpose};

use crate::generator::ClosedLoop;
use crate::server_processes;
use crate::setup::Setup;
use crate::totals::each_order;
use crate::usage::Sampler;
pub(crate) use report::Percentiles;
pub(crate) use report::Report;

/// Measure orders per second, latency, CPU and memory, end to end.
#[derive(Clone, Debug, Args)]
pub(crate) struct Measurement {
    /// Orders to send.
    #[arg(long, default_value_t = 40_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) orders: u64,
    /// Orders sent and worked off before the measurement.
    #[arg(long, default_value_t = 0)]
    pub(crate) preload: u64,
    /// Orders per second to offer; as fast as the connections manage, if left out.
    #[arg(long)]
    pub(crate) rate: Option<u64>,
    /// First process of the PostgreSQL server that --database names, if it is not found by itself: its CPU time is counted too,
    /// as is that of a broker on this machine.
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
}

/// Ports of servers whose addresses name none.
const POSTGRES_PORT: u16 = 5432;
const AMQP_PORT: u16 = 5672;

/// Interval between two looks at whether all is done.
const LOOK: Duration = Duration::from_millis(250);

/// No progress for this long means that something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

impl Measurement {
    /// Measures.
    pub(crate) async fn run(&self, setup: &Setup) -> Result<Report> {
        let config = setup.prepare().await?;
        let mut fleet = setup.start(&config, &[]).await?;
        let store = AnyStore::open(&config, Purpose::Visit).await?;
        let services = &fleet.addresses.services;
        let load = |orders, run| ClosedLoop::new(services, setup.goods, orders, setup.connections, run);
        if self.preload > 0 {
            eprintln!("storing {} orders first", self.preload);
            Arc::new(load(self.preload, "preload")).send().await?;
            all_final(store.readers.as_ref()).await?;
        }
        let newest = newest_order(store.readers.as_ref()).await?;
        let sampler = Sampler::start(fleet.pids(), self.servers(setup));
        let before = sampler.usage()?;
        let mut load = load(self.orders, "bench");
        load.rate = self.rate;
        let load = Arc::new(load);
        let started = Instant::now();
        let outcome = Arc::clone(&load).send().await?;
        let accepted_in = started.elapsed();
        all_final(store.readers.as_ref()).await?;
        let delivered_in = started.elapsed();
        let used = sampler.usage()?.since(&before);
        let memory = sampler.stop().await;
        let latencies = latencies(store.readers.as_ref(), newest, outcome.accepted).await?;
        store.upkeep.close().await;
        fleet.stop().await?;
        let accepted = outcome.accepted as f64;
        Ok(Report {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            orders: self.orders,
            lines: setup.goods.lines,
            products: setup.goods.products,
            preload: self.preload,
            connections: setup.connections,
            workers: setup.workers,
            carrier: setup.carrier(),
            rate: self.rate,
            accepted_per_s: accepted / accepted_in.as_secs_f64(),
            delivered_per_s: accepted / delivered_in.as_secs_f64(),
            overloaded: load.counted().refused,
            accept_ms: Percentiles::of(&outcome.latencies),
            delivered_ms: Percentiles::of(&latencies),
            cpu_ms_per_order: used.0.into_iter().map(|(name, s)| (name, s * 1e3 / accepted)).collect(),
            memory,
        })
    }

    /// The first processes of the servers, as far as they are here.
    fn servers(&self, setup: &Setup) -> Vec<(String, u32)> {
        let database = setup.database.as_ref().and_then(|address| {
            self.server_pid.or_else(|| server_processes::listener(address.expose(), POSTGRES_PORT))
        });
        let broker = server_processes::listener(&setup.rabbitmq.addresses.expose(), AMQP_PORT);
        let found = [("database", database), ("broker", broker)];
        found.into_iter().filter_map(|(name, pid)| Some((name.to_owned(), pid?))).collect()
    }
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
        let mut filter = SagaFilter { state: Some(*state), ..SagaFilter::default() };
        loop {
            let page = store.sagas(&filter, 1).await?;
            first = page.items.iter().map(|saga| OrderId(saga.order_id)).chain(first).min();
            // A page may be empty although another follows.
            filter.after = page.next.filter(|_| page.items.is_empty());
            if filter.after.is_none() {
                break;
            }
        }
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
    let (mut latencies, mut delivered) = (Histogram::new(3)?, 0);
    let filter = OrderFilter { after: after.map(OrderPlace::by_id), ..OrderFilter::default() };
    each_order(store, filter, |order| {
        delivered += u64::from(order.status == OrderStatus::Delivered.as_str());
        let took_us = order.updated_at.duration_since(order.created_at).as_micros();
        latencies
            .record(u64::try_from(took_us).unwrap_or(0))
            .expect("the histogram grows with what it records");
    })
    .await?;
    ensure!(
        delivered == expected && latencies.len() == expected,
        "{delivered} orders of {} were delivered, {expected} were accepted",
        latencies.len()
    );
    Ok(latencies)
}
