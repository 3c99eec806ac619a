//! An open loop over HTTP/2: requests leave when they are due, however many are unanswered. No request is sent again, so a
//! refused one is shed. Requests that the generator had no room to send are counted apart.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http_body_util::Full;
use hyper::Method;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::{Answer, Counted, Counts, Goods};
use crate::client::{Reply, request};

/// Connections to all workers together.
const CONNECTIONS: usize = 24;

/// Requests without an answer on one connection; the service allows a few more.
const CONNECTION_ROOM: u32 = 1_000;

/// How often the generator sends what is due.
const TICK: Duration = Duration::from_millis(2);

/// Longest wait for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct OpenLoop {
    goods: Goods,
    /// What its keys begin with.
    run: &'static str,
    connections: Vec<Connection>,
    /// Over all steps.
    total: Arc<Counts>,
    random: SmallRng,
    sent: u64,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    target: String,
    room: Arc<Semaphore>,
}

/// What became of the requests of one step. Grows until every answer is there.
#[derive(Clone)]
pub(crate) struct StepCounts {
    counts: Arc<Counts>,
    accept_us: Arc<Mutex<Histogram<u64>>>,
}

impl StepCounts {
    fn new() -> Result<Self> {
        Ok(Self { counts: Arc::default(), accept_us: Arc::new(Mutex::new(Histogram::new(3)?)) })
    }

    /// What became of the requests, and how long accepting took, in microseconds.
    pub(crate) fn read(&self) -> (Counted, Histogram<u64>) {
        let accept_us = self.accept_us.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (self.counts.read(), accept_us)
    }

    fn note(&self, answer: Answer, took: Duration) {
        self.counts.note(answer);
        if answer == Answer::Accepted {
            let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            let mut accept_us = self.accept_us.lock().unwrap_or_else(PoisonError::into_inner);
            accept_us.record(took_us).expect("the histogram grows with what it records");
        }
    }
}

impl OpenLoop {
    pub(crate) async fn to(
        goods: Goods,
        authorities: &[String],
        run: &'static str,
        total: Arc<Counts>,
    ) -> Result<Self> {
        let mut connections = Vec::with_capacity(CONNECTIONS);
        for number in 0..CONNECTIONS {
            connections.push(Connection::to(&authorities[number % authorities.len()]).await?);
        }
        Ok(Self { goods, run, connections, total, random: SmallRng::seed_from_u64(1), sent: 0 })
    }

    /// Offers `rate` orders per second for this long. Does not wait for the last answers.
    pub(crate) async fn step(&mut self, rate: u64, time: Duration) -> Result<StepCounts> {
        let step = StepCounts::new()?;
        let started = Instant::now();
        let mut ticks = tokio::time::interval(TICK);
        let mut due = 0;
        while started.elapsed() < time {
            ticks.tick().await;
            let due_by_now = (started.elapsed().min(time).as_secs_f64() * rate as f64) as u64;
            for ordinal in due..due_by_now {
                let moment = started + Duration::from_secs_f64(ordinal as f64 / rate as f64);
                self.send(&step, moment)?;
            }
            due = due.max(due_by_now);
        }
        Ok(step)
    }

    /// Waits until everything has an answer, or none will come.
    pub(crate) async fn answered(&self) -> Result<()> {
        for connection in &self.connections {
            let all = connection.room.acquire_many(CONNECTION_ROOM);
            let all = tokio::time::timeout(ANSWER_LIMIT * 2, all).await;
            drop(all.context("requests are still under way long after their time limit")??);
        }
        Ok(())
    }

    fn send(&mut self, step: &StepCounts, due: Instant) -> Result<()> {
        let ordinal = self.sent;
        self.sent += 1;
        let both = [&self.total, &step.counts];
        both.iter().for_each(|counts| counts.count(|counted| counted.offered += 1));
        let first = usize::try_from(ordinal).unwrap_or(0);
        let (before, after) = self.connections.split_at(first % self.connections.len());
        let mut free = after.iter().chain(before).filter_map(|connection| {
            Some((connection, Arc::clone(&connection.room).try_acquire_owned().ok()?))
        });
        let Some((connection, seat)) = free.next() else {
            both.iter().for_each(|counts| counts.count(|counted| counted.unsent += 1));
            return Ok(());
        };
        let body = Full::new(self.goods.order(ordinal, &mut self.random));
        let key = format!("{}-{ordinal}", self.run);
        let request = request(Method::POST, &connection.target).header("idempotency-key", key).body(body)?;
        let (mut sender, total, step) = (connection.sender.clone(), Arc::clone(&self.total), step.clone());
        tokio::spawn(async move {
            let exchange = async { Reply::read(sender.send_request(request).await?).await };
            let reply = tokio::time::timeout(ANSWER_LIMIT, exchange).await;
            let answer = Answer::of(&reply.unwrap_or_else(|late| Err(late.into())));
            total.note(answer);
            step.note(answer, due.elapsed());
            drop(seat);
        });
        Ok(())
    }
}

impl Connection {
    async fn to(authority: &str) -> Result<Self> {
        ensure!(!authority.is_empty(), "a worker has an address");
        let stream = TcpStream::connect(authority)
            .await
            .with_context(|| format!("cannot reach the service on {authority}"))?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        let room = Arc::new(Semaphore::new(CONNECTION_ROOM as usize));
        Ok(Self { sender, target: format!("http://{authority}/orders"), room })
    }
}
