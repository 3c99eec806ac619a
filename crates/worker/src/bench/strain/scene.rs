//! The environment of a stress test: an empty store with a catalogue, workers and provider in their own processes,
//! and a watcher. Judges nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use application::ports::{OrderFilter, OrderView, Overview};
use application::saga::SagaState;
use bus::{Clock, SystemClock};
use domain::OrderStatus;
use tokio::sync::watch;

use super::books::Books;
use super::flood::{Counts, Flood, add};
use super::provider::Provider;
use super::series::{Series, Window};
use super::tuning::Tuning;
use super::watch::{Watch, open};
use crate::any_store::{AnyStore, Purpose};
use crate::bench::children::Children;
use crate::bench::{LOOK, PAGE, PATIENCE, Plan, load, prepare, usage};
use crate::config::Config;
use crate::tell;

/// Times a look takes that pass until the next.
const REST: u32 = 20;

/// How often the same is measured where the best counts: whatever else the machine does only makes it slower.
pub(super) const TURNS: usize = 3;

/// Broken invariants that are listed.
const BROKEN_MAX: usize = 20;

/// A strain under way.
pub(super) struct Scene {
    /// The watcher.
    pub(super) watch: Watch,
    /// The provider.
    pub(super) provider: Provider,
    plan: Plan,
    store: AnyStore,
    children: Children,
    counts: Arc<Counts>,
}

/// How fast a number of orders was worked off, sent by as many connections as there are, each with one request at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Burst {
    /// From the first request to the last delivery.
    pub(super) per_s: f64,
    /// CPU milliseconds of the workers for each.
    pub(super) cpu_ms: f64,
}

impl Burst {
    /// Before anything was measured.
    pub(super) const NONE: Self = Self { per_s: 0.0, cpu_ms: f64::MAX };

    /// The best of both, in either respect.
    pub(super) const fn or_better(self, other: Self) -> Self {
        Self { per_s: self.per_s.max(other.per_s), cpu_ms: self.cpu_ms.min(other.cpu_ms) }
    }
}

/// An empty store with a catalogue, and the configuration that leads to it.
pub(super) async fn empty(plan: &Plan, tuning: &Tuning) -> Result<Config> {
    let mut config = prepare(plan).await?;
    tuning.apply(&mut config);
    Ok(config)
}

impl Scene {
    /// Starts everything over an empty store.
    pub(super) async fn open(plan: &Plan, tuning: &Tuning) -> Result<Self> {
        let config = empty(plan, tuning).await?;
        Self::raise(plan, tuning, &config, 0).await
    }

    /// Starts everything on a store with accepted orders.
    pub(super) async fn raise(plan: &Plan, tuning: &Tuning, config: &Config, accepted: u64) -> Result<Self> {
        let children = Children::start_with(config, plan, &tuning.words()).await?;
        let store = AnyStore::open(config, Purpose::Visit).await?;
        let counts = Arc::new(Counts::default());
        add(&counts.accepted, accepted);
        let watch = Watch::start(Arc::clone(&store.readers), children.worker_pids(), Arc::clone(&counts));
        let provider = Provider::at(&children.provider_addr);
        Ok(Self { watch, provider, plan: plan.clone(), store, children, counts })
    }

    /// An open load on all workers.
    pub(super) async fn flood(&self, run: &'static str) -> Result<Flood> {
        Flood::to(&self.plan, &self.children.service_addrs, run, Arc::clone(&self.counts)).await
    }

    /// Sends orders and waits for every answer: at a fixed rate, or as fast as the connections manage.
    pub(super) async fn send(&self, run: &str, orders: u64, rate: Option<u64>) -> Result<()> {
        self.send_released(run, orders, rate, None).await
    }

    /// The same, with never more than `in_hand` orders on their way.
    pub(super) async fn send_in_hand(&self, run: &str, orders: u64, in_hand: u64) -> Result<()> {
        let (releasing, released) = watch::channel(in_hand);
        let mut latest = self.watch.latest();
        let release = async {
            while latest.changed().await.is_ok() {
                let ended = { *latest.borrow() };
                releasing.send_replace(ended.stored - ended.open.min(ended.stored) + in_hand);
            }
            anyhow::bail!("nobody watches any more")
        };
        tokio::select! {
            sent = self.send_released(run, orders, None, Some(released)) => sent,
            failed = release => failed,
        }
    }

    async fn send_released(
        &self,
        run: &str,
        orders: u64,
        rate: Option<u64>,
        released: Option<watch::Receiver<u64>>,
    ) -> Result<()> {
        let plan = Plan { orders, rate, ..self.plan.clone() };
        let outcome = load::send_released(&plan, &self.children.service_addrs, run, released).await?;
        add(&self.counts.accepted, outcome.accepted);
        ensure!(outcome.accepted == orders, "{} of {orders} orders were accepted", outcome.accepted);
        Ok(())
    }

    /// Sends that many orders, waits until they are worked off, and says how fast that was. `waiting` others wait meanwhile.
    pub(super) async fn burst(&self, run: &str, orders: u64, waiting: u64) -> Result<Burst> {
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
    pub(super) async fn best_burst(&self, name: &str, orders: u64, waiting: u64) -> Result<Burst> {
        let mut best = Burst::NONE;
        for turn in 1..=TURNS {
            let run = format!("{name} {turn}");
            let burst = self.burst(&run, orders, waiting).await?;
            tell!("{run}: {:.0} orders/s, {:.3} CPU ms each", burst.per_s, burst.cpu_ms);
            best = best.or_better(burst);
        }
        Ok(best)
    }

    /// Waits until no more than `waiting` orders are left that have not come to their end. Fails if nothing moves for as long
    /// as `patience`.
    pub(super) async fn worked_off(&self, waiting: u64, patience: Duration) -> Result<()> {
        self.until(patience, |overview| open(overview) <= waiting).await
    }

    /// Waits until that many orders wait for news of their delivery, and for nothing else.
    pub(super) async fn all_wait(&self, waiting: u64) -> Result<()> {
        self.until(PATIENCE, |overview| self::waiting(overview) == waiting && open(overview) == waiting).await
    }

    /// Orders that wait for news of their delivery.
    pub(super) async fn waiting(&self) -> Result<u64> {
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
    pub(super) async fn each_order(
        &self,
        since: Option<jiff::Timestamp>,
        mut show: impl FnMut(&OrderView),
    ) -> Result<()> {
        let mut filter = OrderFilter { created_from: since, ..OrderFilter::default() };
        loop {
            let page = self.store.readers.orders(&filter, PAGE).await?;
            page.items.iter().for_each(&mut show);
            filter.after = page.next;
            if filter.after.is_none() {
                return Ok(());
            }
        }
    }

    /// Stops everything and says what all sides have in their books, and what was seen.
    pub(super) async fn close(mut self) -> Result<(Books, Series)> {
        let readers = &self.store.readers;
        let overview = readers.overview().await?;
        let broken = readers.broken_invariants(SystemClock.now(), BROKEN_MAX).await?;
        let stats = self.provider.stats().await?;
        let accepted = self.counts.accepted.load(Ordering::Relaxed);
        let unanswered = self.counts.unanswered.load(Ordering::Relaxed);
        let books = Books::of(&overview, &broken, &stats, (accepted, unanswered));
        let series = self.watch.series();
        self.store.upkeep.close().await;
        self.children.stop().await.context("stopping everything")?;
        Ok((books, series))
    }

    /// The time since a moment, on the watcher's clock.
    pub(super) fn since(&self, from_s: f64) -> Window {
        Window { from_s, to_s: self.watch.now_s() }
    }

    fn cpu_s(&self) -> f64 {
        let pids = self.children.worker_pids();
        pids.iter().filter_map(|pid| usage::cpu_seconds(*pid).ok()).sum()
    }
}

fn waiting(overview: &Overview) -> u64 {
    let shipped = SagaState::Shipped.as_str();
    overview.sagas.iter().filter(|(name, _)| name == shipped).map(|(_, count)| count).sum()
}
