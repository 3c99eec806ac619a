//! People at work while things happen: they let orders go on that are on hold, some with a unit less, and buy what others wait for.
//! Whoever does not answer them is asked again the next time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::client::Client;

/// Between two rounds.
const ROUND: Duration = Duration::from_millis(250);

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Units bought of a product that an order waits for.
const PURCHASE: u32 = 12;

/// How often they did what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Holds released.
    pub(crate) released: u64,
    /// Orders with a unit less.
    pub(crate) fewer: u64,
    /// Purchases for orders that wait.
    pub(crate) bought: u64,
}

/// They stop with this value.
pub(crate) struct Staff {
    work: JoinHandle<()>,
    done: Arc<Mutex<Done>>,
}

impl Staff {
    /// Begins to make rounds, each at another worker.
    pub(crate) fn start(services: &[String], seed: u64) -> Self {
        let services: Vec<Client> = services.iter().map(|service| Client::new(service)).collect();
        let done = Arc::<Mutex<Done>>::default();
        let mut round = Round { random: SmallRng::seed_from_u64(seed), done: Arc::clone(&done) };
        let work = tokio::spawn(async move {
            for service in services.iter().cycle() {
                // A worker that is away, or dies meanwhile, is asked again.
                let _ = round.make(service).await;
                tokio::time::sleep(ROUND).await;
            }
        });
        Self { work, done }
    }

    /// How often they did what they do until now.
    pub(crate) fn done(&self) -> Done {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Staff {
    fn drop(&mut self) {
        self.work.abort();
    }
}

struct Round {
    random: SmallRng,
    done: Arc<Mutex<Done>>,
}

impl Round {
    async fn make(&mut self, service: &Client) -> Result<()> {
        for order in standing(service, "on_hold").await? {
            let order = get(service, &format!("/orders/{}", id(&order))).await?;
            self.see_to(service, &order).await?;
        }
        // Some wait for a while.
        if self.random.random_bool(0.3) {
            for order in standing(service, "awaiting_stock").await? {
                let order = get(service, &format!("/orders/{}", id(&order))).await?;
                self.buy(service, &order).await?;
            }
        }
        Ok(())
    }

    /// Takes a unit off every other order, and lets it go on once the money for it is back.
    async fn see_to(&mut self, service: &Client, order: &Value) -> Result<()> {
        let path = format!("/orders/{}", id(order));
        let lines = order["lines"].as_array().context("an order has lines")?;
        let was_seen_to = lines.iter().any(|line| line["cancelled"].is_u64());
        let many = lines.iter().find(|line| line["quantity"].as_u64() > Some(1));
        if let Some(line) = many.filter(|_| !was_seen_to && self.random.random_bool(0.5)) {
            let wish =
                json!({"lines": [{"sku": line["sku"], "quantity": 1}], "actor": "chaos", "note": "one less"});
            let is_done = post(service, &format!("{path}/cancel-lines"), &wish).await?;
            self.count(|done| done.fewer += u64::from(is_done));
            return Ok(());
        }
        let minor = |value: &Value| value.as_i64().unwrap_or(0);
        let held = minor(&order["payment"]["captured_minor"]) - minor(&order["payment"]["refunded_minor"]);
        if held > minor(&order["total"]["minor"]) {
            return Ok(());
        }
        let holds = order["holds"].as_array().into_iter().flatten();
        for hold in holds.filter(|hold| hold["released_at"].is_null()) {
            let hold = hold["hold_id"].as_str().unwrap_or_default();
            let is_done =
                post(service, &format!("{path}/holds/{hold}/release"), &json!({"actor": "chaos"})).await?;
            self.count(|done| done.released += u64::from(is_done));
        }
        Ok(())
    }

    async fn buy(&self, service: &Client, order: &Value) -> Result<()> {
        for line in order["lines"].as_array().into_iter().flatten() {
            let wish = json!({"quantity": PURCHASE, "reason": "for who waits", "actor": "chaos"});
            let path = format!("/inventory/{}/receive", line["sku"].as_str().unwrap_or_default());
            let is_done = post(service, &path, &wish).await?;
            self.count(|done| done.bought += u64::from(is_done));
        }
        Ok(())
    }

    fn count(&self, change: impl FnOnce(&mut Done)) {
        change(&mut self.done.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Every order whose saga stands there.
async fn standing(service: &Client, state: &str) -> Result<Vec<Value>> {
    let (mut found, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let after = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = get(service, &format!("/sagas?state={state}&limit=200{after}")).await?;
        found.extend(page["items"].as_array().into_iter().flatten().cloned());
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok(found);
        }
    }
}

fn id(value: &Value) -> &str {
    value["order_id"].as_str().unwrap_or_default()
}

async fn get(service: &Client, path: &str) -> Result<Value> {
    tokio::time::timeout(PATIENCE, service.get(path)).await?
}

/// Whether it was done. A refusal is an answer: another worker, or the order itself, was faster.
async fn post(service: &Client, path: &str, wish: &Value) -> Result<bool> {
    Ok(tokio::time::timeout(PATIENCE, service.post(path, wish)).await?.is_ok())
}
