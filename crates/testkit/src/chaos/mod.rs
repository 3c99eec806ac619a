//! Chaos on the real thing: processes, sockets, a database with full durability, and `kill -9`. What is checked afterwards is
//! what people would sue over: every accepted order has an end, no key was charged twice, money and stock balance.

mod client;
mod load;
mod processes;
mod verdict;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use client::Client;
use load::Load;
use processes::{Folder, Processes};
pub use verdict::Verdict;

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program to shake.
    pub program: PathBuf,
    /// What it stores its orders in.
    pub engine: Engine,
    /// How often something is killed or made to stop.
    pub kills: u32,
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

impl Engine {
    /// Workers that share the load.
    const fn workers(self) -> usize {
        match self {
            Self::Sqlite => 1,
            Self::Postgres { workers } => workers,
        }
    }
}

/// Of so many kills one is the server's.
const SERVER_ONE_IN: u32 = 4;

/// One worker in so many is asked to stop, and not killed.
const POLITE_ONE_IN: u32 = 4;

/// Products for sale; the first few are scarce, so that some orders run short.
const PRODUCTS: u32 = 20;
const SCARCE: u32 = 2;

/// How long the program lives between two kills, in milliseconds.
const LIFE_MS: std::ops::Range<u64> = 60..600;

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
    kill_and_restart(plan, &mut processes, deadline).await?;
    let accepted = sending.await??;
    let provider = Client::new(&processes.provider_addr);
    all_ended(&service, deadline).await?;
    let verdict = Verdict::reach(plan, processes.kills(), &accepted, &service, &provider).await?;
    processes.stop().await?;
    Ok(verdict)
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

/// Kills at random moments: while accepting, while calling, between any two writes.
async fn kill_and_restart(plan: &Plan, processes: &mut Processes, deadline: Instant) -> Result<()> {
    let mut random = SmallRng::seed_from_u64(plan.seed);
    for kill in 1..=plan.kills {
        if Instant::now() > deadline {
            bail!("only {} of {} kills were made in {:?}", kill - 1, plan.kills, plan.limit);
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(LIFE_MS))).await;
        if plan.engine != Engine::Sqlite && kill % SERVER_ONE_IN == 0 {
            processes.kill_server_and_restart()?;
        } else {
            let chosen = random.random_range(0..plan.engine.workers());
            match random.random_range(0..POLITE_ONE_IN) {
                0 => processes.stop_worker_and_restart(chosen).await?,
                _ => processes.kill_worker_and_restart(chosen).await?,
            }
        }
        if kill % 10 == 0 || kill == plan.kills {
            println!("killed {kill} of {} times", plan.kills);
        }
    }
    Ok(())
}

async fn all_ended(service: &Client, deadline: Instant) -> Result<()> {
    loop {
        let mut open = Vec::new();
        for state in OPEN_STATES {
            let page = service.get(&format!("/sagas?state={state}&limit=200")).await?;
            let count = page["items"].as_array().map_or(0, Vec::len);
            if count > 0 {
                open.push(format!("{state}: {count}"));
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("time is up and some orders have not come to an end: {}", open.join(", "));
        }
        tokio::time::sleep(LOOK).await;
    }
}
