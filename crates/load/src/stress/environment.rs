//! The environment of a stress test: an empty store with a catalogue, workers and provider in their own processes,
//! and a watcher. Judges nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use application::ports::{OrderFilter, OrderView, Overview};
use application::saga::SagaState;
use bus::{Clock, SystemClock};
use domain::OrderStatus;
use serde_json::Value;
use worker::any_store::{AnyStore, Purpose};
use worker::config::Config;

use super::report::Report;
use super::series::{Series, Window};
use super::tuning::Tuning;
use super::watch::{Watch, open};
use crate::bench::PATIENCE;
use crate::client::Client;
use crate::fleet::Fleet;
use crate::generator::{ClosedLoop, Counts, OpenLoop};
use crate::setup::Setup;
use crate::totals::{Totals, each_order};
use crate::usage;

/// Shortest interval between two looks at whether all is done, and how many times a look takes that pass until the next.
const LOOK: Duration = Duration::from_millis(250);
const REST: u32 = 20;

/// How often the same is measured where the best counts: whatever else the machine does only makes it slower.
pub(crate) const TURNS: usize = 3;

const BROKEN_MAX: usize = 20;

pub(crate) struct Environment {
    pub(crate) watch: Watch,
    pub(crate) provider: Client,
    setup: Setup,
    tuning: Tuning,
    store: AnyStore,
    fleet: Fleet,
    counts: Arc<Counts>,
}

/// How fast a number of orders was worked off, sent by as many connections as there are, each with one request at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Burst {
    /// From the first request to the last delivery.
    pub(crate) per_s: f64,
    /// CPU milliseconds of the workers for each.
    pub(crate) cpu_ms: f64,
}

impl Burst {
    /// Before anything was measured.
    pub(crate) const NONE: Self = Self { per_s: 0.0, cpu_ms: f64::MAX };

    /// The best of both, in either respect.
    pub(crate) const fn or_better(self, other: Self) -> Self {
        Self { per_s: self.per_s.max(other.per_s), cpu_ms: self.cpu_ms.min(other.cpu_ms) }
    }
}

impl Environment {
    /// Starts everything over an empty store.
    pub(crate) async fn open(setup: &Setup, tuning: Tuning) -> Result<Self> {
        let config = setup.prepare().await?;
        Self::start(setup, tuning, &config, 0).await
    }

    /// Starts everything on a store with accepted orders.
    pub(crate) async fn start(setup: &Setup, tuning: Tuning, config: &Config, accepted: u64) -> Result<Self> {
        let fleet = setup.start(config, &tuning.0).await?;
        let store = AnyStore::open(config, Purpose::Visit).await?;
        let counts = Arc::new(Counts::default());
        counts.count(|counted| counted.accepted = accepted);
        let watch = Watch::start(Arc::clone(&store.readers), fleet.worker_pids(), Arc::clone(&counts));
        let provider = Client::new(&fleet.addresses.provider);
        Ok(Self { watch, provider, setup: setup.clone(), tuning, store, fleet, counts })
    }

    /// From now on exactly this is wrong with the provider; nothing for an empty object.
    pub(crate) async fn set_faults(&self, faults: &Value) -> Result<()> {
        self.provider.put("/faults", faults).await.map(drop)
    }

    /// Where the first worker listens.
    pub(crate) fn service(&self) -> &str {
        &self.fleet.addresses.services[0]
    }

    /// An open load on all workers.
    pub(crate) async fn open_loop(&self, run: &'static str) -> Result<OpenLoop> {
        OpenLoop::to(self.setup.goods, &self.fleet.addresses.services, run, Arc::clone(&self.counts)).await
    }

    fn closed_loop(&self, run: &str, orders: u64) -> ClosedLoop {
        let Setup { goods, connections, .. } = self.setup;
        ClosedLoop::new(&self.fleet.addresses.services, goods, orders, connections, run)
    }

    /// Sends orders and waits for every answer: at a fixed rate, or as fast as the connections manage.
    pub(crate) async fn send(&self, run: &str, orders: u64, rate: Option<u64>) -> Result<()> {
        let mut load = self.closed_loop(run, orders);
        load.rate = rate;
        self.send_all(Arc::new(load), orders).await
    }

    /// The same, with never more than `in_hand` orders on their way.
    pub(crate) async fn send_in_hand(&self, run: &str, orders: u64, in_hand: u64) -> Result<()> {
        let load = Arc::new(self.closed_loop(run, orders));
        load.release(in_hand);
        let mut latest = self.watch.latest();
        let release = async {
            while latest.changed().await.is_ok() {
                let ended = { *latest.borrow() };
                load.release(ended.stored - ended.open.min(ended.stored) + in_hand);
            }
            bail!("the watcher has ended")
        };
        tokio::select! {
            sent = self.send_all(Arc::clone(&load), orders) => sent,
            failed = release => failed,
        }
    }

    async fn send_all(&self, load: Arc<ClosedLoop>, orders: u64) -> Result<()> {
        let accepted = load.send().await?.accepted;
        self.counts.count(|counted| counted.accepted += accepted);
        ensure!(accepted == orders, "{accepted} of {orders} orders were accepted");
        Ok(())
    }

    /// Sends that many orders, waits until they are worked off, and says how fast that was. `waiting` others wait meanwhile.
    pub(crate) async fn burst(&self, run: &str, orders: u64, waiting: u64) -> Result<Burst> {
        let (begun, cpu_before) = (SystemClock.now(), self.cpu_s());
        self.send(run, orders, None).await?;
        self.worked_off(waiting, PATIENCE).await?;
        let cpu_s = self.cpu_s() - cpu_before;
        let (mut count, mut last) = (0_u64, begun);
        self.each_order(Some(begun), |order| {
            if order.status == OrderStatus::Delivered.as_str() {
                count += 1;
                last = last.max(order.updated_at);
            }
        })
        .await?;
        ensure!(count == orders, "{count} of the {orders} orders of {run} were delivered");
        let seconds = last.duration_since(begun).as_secs_f64().max(1e-6);
        Ok(Burst { per_s: orders as f64 / seconds, cpu_ms: cpu_s * 1e3 / orders as f64 })
    }

    /// The best of several bursts, one after the other.
    pub(crate) async fn best_burst(&self, name: &str, orders: u64, waiting: u64) -> Result<Burst> {
        let mut best = Burst::NONE;
        for turn in 1..=TURNS {
            let run = format!("{name} {turn}");
            let burst = self.burst(&run, orders, waiting).await?;
            eprintln!("{run}: {:.0} orders/s, {:.3} CPU ms each", burst.per_s, burst.cpu_ms);
            best = best.or_better(burst);
        }
        Ok(best)
    }

    /// Waits until no more than `waiting` orders are left that have not come to their end. Fails if nothing moves for as long
    /// as `patience`.
    pub(crate) async fn worked_off(&self, waiting: u64, patience: Duration) -> Result<()> {
        self.until(patience, |overview| open(overview) <= waiting).await
    }

    /// Waits until that many orders wait for news of their delivery, and for nothing else.
    pub(crate) async fn all_wait(&self, waiting: u64) -> Result<()> {
        self.until(PATIENCE, |overview| self::waiting(overview) == waiting && open(overview) == waiting).await
    }

    /// Orders that wait for news of their delivery.
    pub(crate) async fn waiting(&self) -> Result<u64> {
        Ok(waiting(&self.store.readers.overview().await?))
    }

    async fn until(&self, patience: Duration, reached: impl Fn(&Overview) -> bool) -> Result<()> {
        let (mut last_change, mut last) = (Instant::now(), Overview::default());
        loop {
            let looked = Instant::now();
            let overview = self.store.readers.overview().await?;
            if reached(&overview) {
                return Ok(());
            }
            if overview.sagas != last.sagas {
                (last_change, last) = (Instant::now(), overview);
            }
            let stood_still = last_change.elapsed();
            ensure!(stood_still < patience, "nothing has moved for {stood_still:?}: {:?}", last.sagas);
            tokio::time::sleep(LOOK.max(looked.elapsed() * REST)).await;
        }
    }

    /// Shows every order, or those created since then, the oldest first.
    pub(crate) async fn each_order(
        &self,
        since: Option<jiff::Timestamp>,
        show: impl FnMut(&OrderView),
    ) -> Result<()> {
        let filter = OrderFilter { created_from: since, ..OrderFilter::default() };
        each_order(self.store.readers.as_ref(), filter, show).await
    }

    /// Stops everything. Returns a report with the totals of all sides, without checks yet, and what was seen over time.
    pub(crate) async fn close(mut self, name: &'static str, about: &'static str) -> Result<(Report, Series)> {
        let readers = &self.store.readers;
        let overview = readers.overview().await?;
        let broken = readers.broken_invariants(SystemClock.now(), BROKEN_MAX).await?;
        let stats = self.provider.get("/stats").await?;
        let counted = self.counts.read();
        let totals = Totals::of(&overview, &broken, &stats, (counted.accepted, counted.unanswered()));
        let series = self.watch.series();
        self.store.upkeep.close().await;
        self.fleet.stop().await.context("stopping everything")?;
        let report = Report::new((name, about), &self.setup, &self.tuning, totals, &series);
        Ok((report, series))
    }

    /// The time since a moment, on the watcher's clock.
    pub(crate) fn since(&self, from_s: f64) -> Window {
        Window { from_s, to_s: self.watch.now_s() }
    }

    fn cpu_s(&self) -> f64 {
        let pids = self.fleet.worker_pids();
        pids.iter().filter_map(|pid| usage::cpu_seconds(*pid).ok()).sum()
    }
}

fn waiting(overview: &Overview) -> u64 {
    let shipped = SagaState::Shipped.as_str();
    overview.sagas.iter().filter(|(name, _)| name == shipped).map(|(_, count)| count).sum()
}
