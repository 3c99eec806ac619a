//! A closed loop: clients with one request at a time, as fast as they are answered or at a fixed rate. At a fixed rate latency
//! counts from the moment at which a request was due, so a slow answer is not hidden by sending less.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;
use hyper::Method;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Answer, Counted, Counts, Goods};
use crate::client::{Client, Connection};

/// Pause before a refused request is sent again, and how often it is.
const REFUSED_PAUSE: Duration = Duration::from_millis(20);
const REFUSED_TRIES_MAX: u32 = 500;

/// The same for a client that never gives up.
const AGAIN_PAUSE: Duration = Duration::from_millis(25);

/// Such a client cancels one in so many orders at once.
const CANCEL_ONE_IN: u32 = 25;

/// When a client sends an order again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Insistence {
    /// When it is told to; any other answer ends the run. Each client keeps its connection.
    WhenTold,
    /// Until it is accepted, by one worker after the other, each time on a new connection: a careful client of a service that
    /// comes and goes. Now and then it cancels an order.
    UntilAccepted {
        /// Then the run fails.
        deadline: Instant,
    },
}

pub(crate) struct ClosedLoop {
    workers: Vec<Client>,
    goods: Goods,
    orders: u64,
    clients: usize,
    /// What the keys begin with.
    run: String,
    /// Orders per second; as many as the clients manage, if none.
    pub(crate) rate: Option<u64>,
    pub(crate) insistence: Insistence,
    /// Decides what is ordered.
    pub(crate) seed: u64,
    next: AtomicU64,
    started: Instant,
    counts: Counts,
    released: watch::Sender<u64>,
    accepted: watch::Sender<u64>,
}

/// An order that a client was told is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) ordinal: u64,
    pub(crate) key: String,
    pub(crate) order_id: String,
}

pub(crate) struct Outcome {
    pub(crate) accepted: u64,
    /// Each of them, if the clients insisted.
    pub(crate) orders: Vec<Accepted>,
    /// From sending, or from when it was due, to the answer; microseconds.
    pub(crate) latencies: Histogram<u64>,
}

impl Outcome {
    fn new() -> Result<Self> {
        Ok(Self { accepted: 0, orders: Vec::new(), latencies: Histogram::new(3)? })
    }
}

impl ClosedLoop {
    /// That many orders to all of these workers, all released.
    pub(crate) fn new(authorities: &[String], goods: Goods, orders: u64, clients: usize, run: &str) -> Self {
        Self {
            workers: authorities.iter().map(|authority| Client::new(authority)).collect(),
            goods,
            orders,
            clients,
            run: run.to_owned(),
            rate: None,
            insistence: Insistence::WhenTold,
            seed: 0,
            next: AtomicU64::new(0),
            started: Instant::now(),
            counts: Counts::default(),
            released: watch::Sender::new(u64::MAX),
            accepted: watch::Sender::new(0),
        }
    }

    /// Lets the clients send so many orders in all, no more.
    pub(crate) fn release(&self, orders: u64) {
        self.released.send_replace(orders);
    }

    /// Waits until so many orders were accepted.
    pub(crate) async fn accepted(&self, orders: u64) -> Result<()> {
        self.accepted.subscribe().wait_for(|accepted| *accepted >= orders).await?;
        Ok(())
    }

    /// What became of the requests so far.
    pub(crate) fn counted(&self) -> Counted {
        self.counts.read()
    }

    /// Sends all orders and waits for every answer.
    pub(crate) async fn send(self: Arc<Self>) -> Result<Outcome> {
        let mut clients = JoinSet::new();
        for number in 0..self.clients {
            let course = Arc::clone(&self);
            clients.spawn(async move { course.drive(number).await });
        }
        let mut total = Outcome::new()?;
        while let Some(done) = clients.join_next().await {
            let part = done??;
            total.accepted += part.accepted;
            total.orders.extend(part.orders);
            total.latencies.add(part.latencies)?;
        }
        Ok(total)
    }

    async fn drive(&self, number: usize) -> Result<Outcome> {
        let mut random = SmallRng::seed_from_u64(self.seed.wrapping_add(number as u64));
        let mut released = self.released.subscribe();
        let mut outcome = Outcome::new()?;
        let mut kept = match self.insistence {
            Insistence::WhenTold => Some(self.workers[number % self.workers.len()].connect().await?),
            Insistence::UntilAccepted { .. } => None,
        };
        loop {
            let ordinal = self.next.fetch_add(1, Ordering::Relaxed);
            if ordinal >= self.orders {
                return Ok(outcome);
            }
            released.wait_for(|orders| ordinal < *orders).await.context("no orders are released any more")?;
            let due = self.wait_until_due(ordinal).await;
            let (key, body) = (format!("{}-{ordinal}", self.run), self.goods.order(ordinal, &mut random));
            let is_accepted = match (&mut kept, self.insistence) {
                (Some(connection), _) => self.while_told(connection, &key, &body).await?,
                (None, Insistence::UntilAccepted { deadline }) => {
                    let order_id = self.until_accepted(ordinal, &key, &body, deadline).await?;
                    if random.random_range(0..CANCEL_ONE_IN) == 0 {
                        self.cancel(ordinal, &order_id).await;
                    }
                    outcome.orders.push(Accepted { ordinal, key, order_id });
                    true
                }
                (None, Insistence::WhenTold) => bail!("a client without a connection"),
            };
            let took_us = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
            outcome.latencies.record(took_us)?;
            outcome.accepted += u64::from(is_accepted);
            self.accepted.send_modify(|count| *count += u64::from(is_accepted));
        }
    }

    /// At a fixed rate every request has its moment; else it is due now.
    async fn wait_until_due(&self, ordinal: u64) -> Instant {
        let Some(rate) = self.rate else { return Instant::now() };
        let due = self.started + Duration::from_secs_f64(ordinal as f64 / rate as f64);
        tokio::time::sleep_until(due.into()).await;
        due
    }

    /// Says whether it was accepted in the end.
    async fn while_told(&self, connection: &mut Connection, key: &str, body: &Bytes) -> Result<bool> {
        for _ in 0..REFUSED_TRIES_MAX {
            self.counts.count(|counted| counted.offered += 1);
            let reply = connection.call(Method::POST, "/orders", Some(key), body.clone()).await?;
            let status = reply.status;
            let answer = Answer::of(&Ok(reply));
            self.counts.note(answer);
            match answer {
                Answer::Accepted => return Ok(true),
                Answer::Refused { .. } => tokio::time::sleep(REFUSED_PAUSE).await,
                Answer::Failed | Answer::Absent | Answer::CutOff | Answer::Silent => {
                    bail!("POST /orders answered {status}")
                }
            }
        }
        Ok(false)
    }

    /// Returns the order's id.
    async fn until_accepted(
        &self,
        ordinal: u64,
        key: &str,
        body: &Bytes,
        deadline: Instant,
    ) -> Result<String> {
        let first = usize::try_from(ordinal)? % self.workers.len();
        for client in self.workers.iter().cycle().skip(first) {
            self.counts.count(|counted| counted.offered += 1);
            let reply = client.call(Method::POST, "/orders", Some(key), body.clone()).await;
            let answer = Answer::of(&reply);
            self.counts.note(answer);
            if let Ok(reply) = reply {
                let is_wrong = answer == Answer::Failed && reply.status.is_client_error();
                ensure!(!is_wrong, "POST /orders answered {}: {:?}", reply.status, reply.body);
                if answer == Answer::Accepted {
                    let id = reply.json()?["order_id"].as_str().map(str::to_owned);
                    return id.context("an accepted order has an id");
                }
            }
            ensure!(Instant::now() < deadline, "time is up and {key} was not accepted");
            tokio::time::sleep(AGAIN_PAUSE).await;
        }
        bail!("there is no worker to send orders to")
    }

    /// Whether it gets through, and in time, does not matter.
    async fn cancel(&self, ordinal: u64, id: &str) {
        let body = json!({"reason": "customer", "actor": "load", "note": "changed my mind"});
        let client = &self.workers[usize::try_from(ordinal).unwrap_or(0) % self.workers.len()];
        let _ = client.post(&format!("/orders/{id}/cancel"), &body).await;
    }
}
