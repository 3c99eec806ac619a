//! Chaos on the real thing: processes, sockets, a database with full durability, and `kill -9`. What is checked afterwards is
//! what people would sue over: every accepted order has an end, no key was charged twice, money and stock balance.

mod folder;
mod mishap;
mod pace;
mod processes;
mod staff;
mod verdict;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::client::Client;
use crate::generator::{ClosedLoop, Counted, Goods, Insistence, Kinds, sku};
use crate::totals::Ledger;
use folder::Folder;
use mishap::Deck;
pub use mishap::{Happened, Mishap};
use pace::Pace;
use processes::Processes;
use staff::Staff;
use verdict::Found;
pub use verdict::Verdict;

/// Shakes the real program and checks that nothing was lost, doubled or oversold.
#[derive(Clone, Debug, Args)]
pub(crate) struct Chaos {
    /// The program to shake; the one beside this program, if left out.
    #[arg(long)]
    pub(crate) orderwright: Option<PathBuf>,
    /// Store the orders on a PostgreSQL server of its own, which is killed as well.
    #[arg(long)]
    postgres: bool,
    /// Workers on that server.
    #[arg(long, default_value_t = 2, requires = "postgres", value_parser = clap::value_parser!(u8).range(1..=16))]
    workers: u8,
    /// Carry messages over a RabbitMQ node of its own, which is killed as well; all ways to servers go through proxies that
    /// stall, lose bytes and break.
    #[arg(long)]
    rabbitmq: bool,
    /// Only tell one worker after the other to stop, as for an upgrade; no client may meet worse than its absence.
    #[arg(long, requires = "postgres")]
    rolling: bool,
    /// How often something is done.
    #[arg(long, visible_alias = "kills", default_value_t = 120)]
    faults: u32,
    /// Give up after this many seconds.
    #[arg(long, default_value_t = 1_200)]
    seconds: u64,
    /// Orders sent meanwhile, and some of them when all is well again.
    #[arg(long, default_value_t = 8_000)]
    orders: u32,
    /// Decides when it is killed and what is ordered; if it is even, money is captured at the shipment.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Chaos {
    pub(crate) fn plan(&self, program: PathBuf) -> Plan {
        Plan {
            program,
            engine: match self.postgres {
                true => Engine::Postgres { workers: self.workers.into() },
                false => Engine::Sqlite,
            },
            carrier: if self.rabbitmq { Carrier::RabbitMq } else { Carrier::Store },
            course: if self.rolling { Course::RollingRestarts } else { Course::Mishaps },
            faults: self.faults,
            limit: Duration::from_secs(self.seconds),
            orders: self.orders,
            seed: self.seed,
        }
    }
}

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program to shake.
    pub program: PathBuf,
    /// What it stores its orders in.
    pub engine: Engine,
    /// What carries its messages.
    pub carrier: Carrier,
    /// What is done to it.
    pub course: Course,
    /// How often.
    pub faults: u32,
    /// Give up after this long.
    pub limit: Duration,
    /// Orders sent meanwhile.
    pub orders: u32,
    /// Decides when it is killed and what is ordered.
    pub seed: u64,
}

/// What orders are stored in, and by how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The embedded store: a file, and one worker.
    Sqlite,
    /// A PostgreSQL server of our own, which is killed in its turn, and several workers.
    Postgres {
        /// How many.
        workers: usize,
    },
}

/// What carries messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carrier {
    /// The store itself.
    #[default]
    Store,
    /// A RabbitMQ node of our own. The ways to it, and to the database server, go through proxies that misbehave, and the
    /// first worker has no more than two connections to the database.
    RabbitMq,
}

/// What is done to the processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Course {
    /// Everything that can happen to them.
    #[default]
    Mishaps,
    /// These, in any order; and again, if more faults are planned.
    Chosen(&'static [Mishap]),
    /// One worker after the other is told to stop and started again, as for an upgrade. No client may notice more than that
    /// one of them is not there for the moment.
    RollingRestarts,
}

impl Engine {
    /// Workers that share the load.
    const fn workers(self) -> usize {
        match self {
            Self::Sqlite => 1,
            Self::Postgres { workers } => workers,
        }
    }
}

impl Plan {
    /// How many orders are sent while things happen; the others come when all is well again.
    fn orders_under_faults(&self) -> u64 {
        let afterwards = (self.orders / AFTERWARDS_ONE_IN).clamp(AFTERWARDS_MIN, AFTERWARDS_MAX);
        self.orders.saturating_sub(afterwards).into()
    }
}

/// What clients did while something was being done to a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meanwhile {
    /// Requests that they made.
    asked: u64,
    /// Orders that were accepted.
    accepted: u64,
}

impl Meanwhile {
    fn add(&mut self, before: &Counted, after: &Counted) {
        self.asked += after.offered - before.offered;
        self.accepted += after.accepted - before.accepted;
    }
}

/// What is ordered; the first few products are scarce, so that some orders run short.
const GOODS: Goods = Goods { products: 20, lines: 2, kinds: Kinds::Varied };
const SCARCE: u32 = 2;

/// Clients at once.
const CLIENTS: usize = 16;

/// One in so many orders is kept for afterwards, but not more of them than this, and not fewer.
const AFTERWARDS_ONE_IN: u32 = 10;
const AFTERWARDS_MAX: u32 = 200;
const AFTERWARDS_MIN: u32 = 10;

/// How long the program lives between two faults, in milliseconds.
const LIFE_MS: std::ops::Range<u64> = 60..600;

/// How long a fault lasts that passes by itself, in milliseconds: up to longer than a claim outlives its worker.
const MISHAP_MS: std::ops::Range<u64> = 100..3_000;

/// How often it is looked whether all orders have come to an end.
const LOOK: Duration = Duration::from_millis(200);

/// States of a saga that still has something to do.
const OPEN_STATES: [&str; 9] = [
    "created",
    "awaiting_stock",
    "inventory_reserved",
    "payment_processing",
    "authorised",
    "paid",
    "on_hold",
    "shipped",
    "compensating",
];

/// Runs the plan and judges.
///
/// # Errors
/// What kept it from being run to its end.
pub async fn run(plan: &Plan) -> Result<Verdict> {
    let deadline = Instant::now() + plan.limit;
    let (folder, guard) = Folder::new(plan.seed)?;
    let mut processes = Processes::start(plan, &folder, guard).await?;
    let service = Client::new(&processes.addresses().services[0]);
    stock_up(&service).await?;
    let load = Arc::new(load(plan, &processes.addresses().services, deadline));
    let staff = Staff::start(&processes.addresses().services, plan.seed);
    let sending = tokio::spawn(Arc::clone(&load).send());
    let shaking = async {
        let meanwhile = shake(plan, &mut processes, &load, deadline).await?;
        recover(plan, &mut processes, &load, &service, deadline).await?;
        anyhow::Ok(meanwhile)
    };
    let (meanwhile, sent) = tokio::try_join!(shaking, async { sending.await? })?;
    all_ended(&service, deadline).await?;
    let found = Found {
        happened: processes.happened(),
        answers: load.counted(),
        meanwhile,
        accepted: &sent.orders,
        done: staff.done(),
    };
    let ledger = Ledger::read(&service, &Client::new(&processes.addresses().provider)).await?;
    processes.all_live()?;
    Ok(Verdict::of(plan, found, &ledger))
}

/// The orders, of which none is released yet.
fn load(plan: &Plan, services: &[String], deadline: Instant) -> ClosedLoop {
    let mut load = ClosedLoop::new(services, GOODS, plan.orders.into(), CLIENTS, "chaos");
    load.insistence = Insistence::UntilAccepted { deadline };
    load.seed = plan.seed;
    load.release(0);
    load
}

async fn stock_up(service: &Client) -> Result<()> {
    let product = |number: u32| {
        let stock = if number < SCARCE { 40 } else { 1_000_000 };
        let price = json!({"minor": 1_000 + number, "currency": "EUR"});
        json!({"sku": sku(number), "name": format!("Product {number}"), "price": price, "stock": stock, "reorder_level": 5})
    };
    let products: Vec<Value> = (0..GOODS.products).map(product).collect();
    service.put("/products", &json!({ "products": products })).await?;
    Ok(())
}

/// At random moments: while accepting, while calling, between any two writes.
async fn shake(
    plan: &Plan,
    processes: &mut Processes,
    load: &Arc<ClosedLoop>,
    deadline: Instant,
) -> Result<Meanwhile> {
    let mut random = SmallRng::seed_from_u64(plan.seed);
    let mut deck = Deck::new(plan);
    let mut meanwhile = Meanwhile::default();
    let workers = plan.engine.workers();
    let first = random.random_range(0..workers);
    let pace = Pace::start(load, plan.orders_under_faults(), plan.faults);
    for number in 1..=plan.faults {
        if Instant::now() > deadline {
            bail!("only {} of {} faults happened in {:?}", number - 1, plan.faults, plan.limit);
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(LIFE_MS))).await;
        let mishap = deck.deal(&mut random);
        // What happens to one worker happens to another the next time.
        let chosen = (first + processes.happened().times(mishap) as usize) % workers;
        let time = Duration::from_millis(random.random_range(MISHAP_MS));
        let before = load.counted();
        processes.strike(mishap, chosen, time).await?;
        meanwhile.add(&before, &load.counted());
        pace.fault_happened();
        if number % 10 == 0 || number == plan.faults {
            println!("{number} of {} faults happened", plan.faults);
        }
    }
    Ok(meanwhile)
}

/// Everything is well again; once nothing is left of what came before, the last orders are sent.
async fn recover(
    plan: &Plan,
    processes: &mut Processes,
    load: &ClosedLoop,
    service: &Client,
    deadline: Instant,
) -> Result<()> {
    processes.heal()?;
    let under_faults = plan.orders_under_faults();
    load.release(under_faults);
    let left = deadline.saturating_duration_since(Instant::now());
    let in_time = tokio::time::timeout(left, load.accepted(under_faults)).await;
    ensure!(in_time.is_ok(), "time is up and not all orders were accepted");
    all_ended(service, deadline).await?;
    load.release(plan.orders.into());
    Ok(())
}

async fn all_ended(service: &Client, deadline: Instant) -> Result<()> {
    loop {
        let open = open_sagas(service).await;
        match &open {
            Ok(open) if open.is_empty() => return Ok(()),
            Ok(open) if Instant::now() > deadline => {
                bail!("time is up and some orders have not come to an end: {}", open.join(", "))
            }
            Err(error) if Instant::now() > deadline => {
                bail!("time is up and a worker does not answer: {error}")
            }
            // It may still be recovering from the last of what was done to it.
            Ok(_) | Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

async fn open_sagas(service: &Client) -> Result<Vec<String>> {
    let mut open = Vec::new();
    for state in OPEN_STATES {
        let page = service.get(&format!("/sagas?state={state}&limit=200")).await?;
        let count = page["items"].as_array().map_or(0, Vec::len);
        // A page that is empty and not the last looked at other open orders.
        if count > 0 || page["next_cursor"].is_string() {
            open.push(format!("{state}: {count}"));
        }
    }
    Ok(open)
}
