//! Clients that do what a careful client does: one idempotency key per order, sent again until it is answered.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
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

/// One in so many orders is kept for afterwards, but not more of them than this, and not fewer.
const AFTERWARDS_ONE_IN: u32 = 10;
const AFTERWARDS_MAX: u32 = 200;
const AFTERWARDS_MIN: u32 = 10;

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
    /// Orders that were accepted by now.
    accepted: watch::Sender<u32>,
    /// Whether something is being done to somebody.
    is_under_way: AtomicBool,
    asked_meanwhile: AtomicU32,
    accepted_meanwhile: AtomicU32,
}

/// When an order was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// While things happened.
    Under,
    /// When everything was well again and nothing was left of what came before.
    Afterwards,
}

/// An order that a client was told is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) order_id: String,
    pub(super) sent: Sent,
}

/// What clients did while something was being done to somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Meanwhile {
    /// Requests that they made.
    pub(super) asked: u32,
    /// Orders that were accepted.
    pub(super) accepted: u32,
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
            accepted: watch::Sender::new(0),
            is_under_way: AtomicBool::new(false),
            asked_meanwhile: AtomicU32::new(0),
            accepted_meanwhile: AtomicU32::new(0),
        }
    }

    /// How many orders are sent while things happen; the others come afterwards.
    pub(super) fn under(&self) -> u32 {
        let afterwards = (self.orders / AFTERWARDS_ONE_IN).clamp(AFTERWARDS_MIN, AFTERWARDS_MAX);
        self.orders.saturating_sub(afterwards)
    }

    /// Lets the clients send so many orders in all.
    pub(super) fn release(&self, orders: u32) {
        self.released.send_replace(orders);
    }

    /// Lets the clients send what is left.
    pub(super) fn release_all(&self) {
        self.release(self.orders);
    }

    /// Waits until so many orders were accepted.
    pub(super) async fn accepted(&self, orders: u32) -> Result<()> {
        self.accepted.subscribe().wait_for(|accepted| *accepted >= orders).await?;
        Ok(())
    }

    /// Notes what clients do while this is being done.
    pub(super) async fn during<T>(&self, deed: impl Future<Output = T>) -> T {
        self.is_under_way.store(true, Ordering::Relaxed);
        let done = deed.await;
        self.is_under_way.store(false, Ordering::Relaxed);
        done
    }

    /// What the clients did during such deeds.
    pub(super) fn meanwhile(&self) -> Meanwhile {
        Meanwhile {
            asked: self.asked_meanwhile.load(Ordering::Relaxed),
            accepted: self.accepted_meanwhile.load(Ordering::Relaxed),
        }
    }

    fn note_meanwhile(&self, count: &AtomicU32) {
        if self.is_under_way.load(Ordering::Relaxed) {
            count.fetch_add(1, Ordering::Relaxed);
        }
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

    /// Sends every order until it is accepted; returns them by key.
    pub(super) async fn send_all(self: Arc<Self>, deadline: Instant) -> Result<BTreeMap<String, Accepted>> {
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

    async fn one_client(&self, number: u64, deadline: Instant) -> Result<BTreeMap<String, Accepted>> {
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
            let order_id = self.until_accepted(ordinal, &key, &body, deadline).await?;
            self.note_meanwhile(&self.accepted_meanwhile);
            if random.random_range(0..CANCEL_ONE_IN) == 0 {
                self.cancel(ordinal, &order_id).await;
            }
            let sent = if ordinal < self.under() { Sent::Under } else { Sent::Afterwards };
            accepted.insert(key, Accepted { order_id, sent });
            self.accepted.send_modify(|count| *count += 1);
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
            self.note_meanwhile(&self.asked_meanwhile);
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

pub(super) fn order(random: &mut SmallRng) -> Value {
    let line = |number: u32, quantity: u32| json!({"sku": sku(number % PRODUCTS), "quantity": quantity});
    let first = random.random_range(0..PRODUCTS);
    let lines = [line(first, random.random_range(1..4)), line(first + 7, random.random_range(1..3))];
    json!({"customer_id": format!("C{}", random.random_range(0..100)), "lines": lines})
}
