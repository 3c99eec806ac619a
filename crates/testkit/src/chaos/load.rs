//! Clients that do what a careful client does: one idempotency key per order, sent again until it is answered.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::PRODUCTS;
use super::client::{Client, NoAnswer};

/// Clients at once.
const CLIENTS: u64 = 16;

/// Pause before a request is sent again.
const AGAIN: Duration = Duration::from_millis(25);

/// One in so many orders is cancelled by its customer at once.
const CANCEL_ONE_IN: u32 = 25;

/// The load of one run.
pub(super) struct Load {
    clients: Vec<Client>,
    orders: u32,
    seed: u64,
    next: AtomicU32,
    answers: [AtomicU32; 5],
    /// Orders that may be sent by now.
    released: watch::Sender<u32>,
}

/// How often the clients met what, beside orders that were accepted at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Nobody was there.
    pub refused: u32,
    /// The connection ended before there was an answer; a client cannot know what became of its order.
    pub cut_off: u32,
    /// There was no answer in time.
    pub silent: u32,
    /// Told to come again.
    pub come_again: u32,
    /// Any other answer of a server that cannot.
    pub failed: u32,
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { refused, cut_off, silent, come_again, failed } = self;
        write!(
            f,
            "nobody there {refused} times, cut off {cut_off}, no answer in time {silent}, told to come again {come_again}, failed {failed}"
        )
    }
}

/// Which one it was.
#[derive(Clone, Copy)]
enum Answer {
    Refused,
    CutOff,
    Silent,
    ComeAgain,
    Failed,
}

impl Answer {
    fn of(answer: &Result<(StatusCode, Value)>) -> Self {
        match answer {
            Ok((StatusCode::SERVICE_UNAVAILABLE | StatusCode::CONFLICT, _)) => Self::ComeAgain,
            Ok(_) => Self::Failed,
            Err(error) => {
                let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
                match io.map(std::io::Error::kind) {
                    Some(std::io::ErrorKind::ConnectionRefused) => Self::Refused,
                    Some(_) => Self::CutOff,
                    None if error.is::<NoAnswer>() => Self::Silent,
                    None => Self::CutOff,
                }
            }
        }
    }
}

/// The sku of the product with this number.
pub(super) fn sku(number: u32) -> String {
    format!("CHAOS-{number:02}")
}

impl Load {
    pub(super) fn new(authorities: &[String], orders: u32, seed: u64) -> Self {
        let clients = authorities.iter().map(|authority| Client::new(authority)).collect();
        Self {
            clients,
            orders,
            seed,
            next: AtomicU32::new(0),
            answers: Default::default(),
            released: watch::Sender::new(0),
        }
    }

    /// Lets the clients send as many orders as belong to `part` of `parts`, so that there is a load until the end.
    pub(super) fn release(&self, part: u32, parts: u32) {
        let orders = u64::from(self.orders) * u64::from(part) / u64::from(parts.max(1));
        self.released.send_replace(if part >= parts {
            self.orders
        } else {
            u32::try_from(orders).unwrap_or(u32::MAX)
        });
    }

    /// What the clients met so far.
    pub(super) fn answers(&self) -> Answers {
        let count = |answer: Answer| self.answers[answer as usize].load(Ordering::Relaxed);
        Answers {
            refused: count(Answer::Refused),
            cut_off: count(Answer::CutOff),
            silent: count(Answer::Silent),
            come_again: count(Answer::ComeAgain),
            failed: count(Answer::Failed),
        }
    }

    /// Sends every order until it is accepted; returns the order id by key.
    pub(super) async fn send_all(self: Arc<Self>, deadline: Instant) -> Result<BTreeMap<String, String>> {
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let load = Arc::clone(&self);
            clients.spawn(async move { load.one_client(number, deadline).await });
        }
        let mut accepted = BTreeMap::new();
        while let Some(done) = clients.join_next().await {
            accepted.extend(done??);
        }
        ensure!(
            accepted.len() == self.orders as usize,
            "{} of {} orders were accepted",
            accepted.len(),
            self.orders
        );
        Ok(accepted)
    }

    async fn one_client(&self, number: u64, deadline: Instant) -> Result<BTreeMap<String, String>> {
        let mut random = SmallRng::seed_from_u64(self.seed.wrapping_add(number));
        let mut accepted = BTreeMap::new();
        loop {
            let ordinal = self.next.fetch_add(1, Ordering::Relaxed);
            if ordinal >= self.orders {
                return Ok(accepted);
            }
            self.released.subscribe().wait_for(|released| ordinal < *released).await?;
            let key = format!("chaos-{ordinal}");
            let body = Bytes::from(order(&mut random).to_string());
            let id = self.until_accepted(ordinal, &key, &body, deadline).await?;
            if random.random_range(0..CANCEL_ONE_IN) == 0 {
                self.cancel(ordinal, &id).await;
            }
            accepted.insert(key, id);
        }
    }

    /// Asks one worker after the other.
    async fn until_accepted(
        &self,
        ordinal: u32,
        key: &str,
        body: &Bytes,
        deadline: Instant,
    ) -> Result<String> {
        for client in self.clients.iter().cycle().skip(ordinal as usize) {
            let headers = [("idempotency-key", key)];
            match client.call(Method::POST, "/orders", &headers, body.clone()).await {
                Ok((StatusCode::CREATED, answer)) => {
                    return answer["order_id"]
                        .as_str()
                        .map(str::to_owned)
                        .context("an accepted order has an id");
                }
                Ok((status, answer)) if status.is_client_error() && status != StatusCode::CONFLICT => {
                    bail!("POST /orders answered {status}: {answer}");
                }
                other => {
                    self.answers[Answer::of(&other) as usize].fetch_add(1, Ordering::Relaxed);
                }
            }
            ensure!(Instant::now() < deadline, "time is up and {key} was not accepted");
            tokio::time::sleep(AGAIN).await;
        }
        bail!("there is no worker to send orders to")
    }

    /// Whether it gets through, and in time, does not matter.
    async fn cancel(&self, ordinal: u32, id: &str) {
        let body = json!({"reason": "customer", "actor": "chaos", "note": "changed my mind"});
        let path = format!("/orders/{id}/cancel");
        let client = &self.clients[ordinal as usize % self.clients.len()];
        let _ = client.call(Method::POST, &path, &[], Bytes::from(body.to_string())).await;
    }
}

fn order(random: &mut SmallRng) -> Value {
    let line = |number: u32, quantity: u32| json!({"sku": sku(number % PRODUCTS), "quantity": quantity});
    let first = random.random_range(0..PRODUCTS);
    let lines = [line(first, random.random_range(1..4)), line(first + 7, random.random_range(1..3))];
    json!({"customer_id": format!("C{}", random.random_range(0..100)), "lines": lines})
}
