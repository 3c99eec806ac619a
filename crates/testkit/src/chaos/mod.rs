//! Chaos on the real thing: processes, sockets, a database with full durability, and `kill -9`. What is checked afterwards is
//! what people would sue over: every accepted order has an end, no key was charged twice, money and stock balance.

mod books;
mod client;
mod load;
mod mishap;
mod pace;
mod processes;
mod program;
mod verdict;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use books::Books;
use client::Client;
pub use load::Answers;
use load::Load;
use mishap::Deck;
pub use mishap::{Happened, Mishap};
use pace::Pace;
use processes::Processes;
use program::Folder;
use verdict::Found;
pub use verdict::Verdict;

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

/// Products for sale; the first few are scarce, so that some orders run short.
const PRODUCTS: u32 = 20;
const SCARCE: u32 = 2;

/// How long the program lives between two faults, in milliseconds.
const LIFE_MS: std::ops::Range<u64> = 60..600;

/// How long a fault lasts that passes by itself, in milliseconds: up to longer than a claim outlives its worker.
const MISHAP_MS: std::ops::Range<u64> = 100..3_000;

/// How often it is looked whether all orders have come to an end.
const LOOK: Duration = Duration::from_millis(200);

/// States of a saga that still has something to do.
const OPEN_STATES: [&str; 6] =
    ["created", "inventory_reserved", "payment_processing", "paid", "shipped", "compensating"];

/// Runs the plan and judges.
///
/// # Errors
/// What kept it from being run to its end.
pub async fn run(plan: &Plan) -> Result<Verdict> {
    let deadline = Instant::now() + plan.limit;
    let folder = Folder::new()?;
    let mut processes = Processes::start(plan, &folder).await?;
    let service = Client::new(&processes.service_addrs[0]);
    stock_up(&service).await?;
    let load = Arc::new(Load::new(&processes.service_addrs, plan.orders, plan.seed));
    let sending = tokio::spawn(Arc::clone(&load).send_all(deadline));
    let shaking = async {
        shake(plan, &mut processes, &load, deadline).await?;
        recover(&mut processes, &load, &service, deadline).await
    };
    let ((), accepted) = tokio::try_join!(shaking, async { sending.await? })?;
    all_ended(&service, deadline).await?;
    let found = Found {
        happened: processes.happened(),
        answers: load.answers(),
        meanwhile: load.meanwhile(),
        accepted: &accepted,
    };
    let books = Books::read(&service, &Client::new(&processes.provider_addr)).await?;
    processes.stop().await?;
    Ok(Verdict::of(plan, found, &books))
}

async fn stock_up(service: &Client) -> Result<()> {
    let product = |number: u32| {
        let stock = if number < SCARCE { 40 } else { 1_000_000 };
        let price = json!({"minor": 1_000 + number, "currency": "EUR"});
        json!({"sku": load::sku(number), "name": format!("Product {number}"), "price": price, "stock": stock, "reorder_level": 5})
    };
    let products: Vec<Value> = (0..PRODUCTS).map(product).collect();
    service.put("/products", &json!({ "products": products })).await?;
    Ok(())
}

/// At random moments: while accepting, while calling, between any two writes.
async fn shake(plan: &Plan, processes: &mut Processes, load: &Arc<Load>, deadline: Instant) -> Result<()> {
    let mut random = SmallRng::seed_from_u64(plan.seed);
    let mut deck = Deck::new(plan);
    let workers = plan.engine.workers();
    let first = random.random_range(0..workers);
    let pace = Pace::start(load, plan.faults);
    for number in 1..=plan.faults {
        if Instant::now() > deadline {
            bail!("only {} of {} faults happened in {:?}", number - 1, plan.faults, plan.limit);
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(LIFE_MS))).await;
        let mishap = deck.deal(&mut random);
        // What happens to one worker happens to another the next time.
        let chosen = (first + processes.happened().times(mishap) as usize) % workers;
        let time = Duration::from_millis(random.random_range(MISHAP_MS));
        load.during(processes.strike(mishap, chosen, time)).await?;
        pace.fault_happened();
        if number % 10 == 0 || number == plan.faults {
            println!("{number} of {} faults happened", plan.faults);
        }
    }
    Ok(())
}

/// Everything is well again; once nothing is left of what came before, the last orders are sent.
async fn recover(processes: &mut Processes, load: &Load, service: &Client, deadline: Instant) -> Result<()> {
    processes.heal().await?;
    load.release(load.under());
    let left = deadline.saturating_duration_since(Instant::now());
    let in_time = tokio::time::timeout(left, load.accepted(load.under())).await;
    ensure!(in_time.is_ok(), "time is up and not all orders were accepted");
    all_ended(service, deadline).await?;
    load.release_all();
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
        if count > 0 {
            open.push(format!("{state}: {count}"));
        }
    }
    Ok(open)
}
