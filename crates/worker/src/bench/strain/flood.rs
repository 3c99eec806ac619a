//! Open-loop load over HTTP/2: requests leave when they are due, however many are unanswered. No request is sent
//! again, so a refused one is shed. Requests that the generator had no room to send are counted apart.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full};
use hyper::StatusCode;
use hyper::client::conn::http2::SendRequest;
use hyper::header::RETRY_AFTER;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::bench::{Plan, load};

/// Connections to all workers together.
const LANES: usize = 24;

/// Requests without an answer on one connection; the service allows a few more.
const LANE_ROOM: u32 = 1_000;

/// How often it is looked what is due.
const TICK: Duration = Duration::from_millis(2);

/// No answer within this is none.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// What became of requests.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Due so far.
    pub(super) offered: AtomicU64,
    /// Accepted.
    pub(super) accepted: AtomicU64,
    /// Told to come again.
    pub(super) refused: AtomicU64,
    /// Of those, without a word of when.
    pub(super) refused_without_retry_after: AtomicU64,
    /// Any other answer.
    pub(super) failed: AtomicU64,
    /// None in time, or the connection broke.
    pub(super) unanswered: AtomicU64,
    /// Not sent, because too many had no answer yet.
    pub(super) unsent: AtomicU64,
}

/// A moment's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) offered: u64,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) refused_without_retry_after: u64,
    pub(super) failed: u64,
    pub(super) unanswered: u64,
    pub(super) unsent: u64,
}

/// The load.
pub(super) struct Flood {
    plan: Plan,
    /// What its keys begin with.
    run: &'static str,
    lanes: Vec<Lane>,
    /// Over all steps.
    total: Arc<Counts>,
    random: SmallRng,
    sent: u64,
}

struct Lane {
    sender: SendRequest<Full<Bytes>>,
    target: String,
    room: Arc<Semaphore>,
}

/// What one step of the load met. Grows until every answer is there.
#[derive(Clone)]
pub(super) struct Met {
    counts: Arc<Counts>,
    accept_us: Arc<Mutex<Histogram<u64>>>,
}

enum Answer {
    Accepted,
    Refused,
    RefusedSilently,
    Failed,
    None,
}

impl Counts {
    pub(super) fn read(&self) -> Counted {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counted {
            offered: read(&self.offered),
            accepted: read(&self.accepted),
            refused: read(&self.refused),
            refused_without_retry_after: read(&self.refused_without_retry_after),
            failed: read(&self.failed),
            unanswered: read(&self.unanswered),
            unsent: read(&self.unsent),
        }
    }

    fn note(&self, answer: &Answer) {
        let counts: &[&AtomicU64] = match answer {
            Answer::Accepted => &[&self.accepted],
            Answer::Refused => &[&self.refused],
            Answer::RefusedSilently => &[&self.refused, &self.refused_without_retry_after],
            Answer::Failed => &[&self.failed],
            Answer::None => &[&self.unanswered],
        };
        counts.iter().for_each(|count| add(count, 1));
    }
}

/// Adds to a count.
pub(super) fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

impl Met {
    fn new() -> Result<Self> {
        Ok(Self { counts: Arc::default(), accept_us: Arc::new(Mutex::new(Histogram::new(3)?)) })
    }

    /// What became of the requests, and how long accepting took, in microseconds.
    pub(super) fn read(&self) -> (Counted, Histogram<u64>) {
        let accept_us = self.accept_us.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (self.counts.read(), accept_us)
    }

    fn note(&self, answer: &Answer, took: Duration) {
        self.counts.note(answer);
        if let Answer::Accepted = answer {
            let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            let mut accept_us = self.accept_us.lock().unwrap_or_else(PoisonError::into_inner);
            accept_us.record(took_us).expect("the histogram grows with what it records");
        }
    }
}

impl Flood {
    /// Connects to all workers.
    pub(super) async fn to(
        plan: &Plan,
        authorities: &[String],
        run: &'static str,
        total: Arc<Counts>,
    ) -> Result<Self> {
        let mut lanes = Vec::with_capacity(LANES);
        for number in 0..LANES {
            lanes.push(Lane::to(&authorities[number % authorities.len()]).await?);
        }
        Ok(Self { plan: plan.clone(), run, lanes, total, random: SmallRng::seed_from_u64(1), sent: 0 })
    }

    /// Offers `rate` orders per second for this long. Does not wait for the last answers.
    pub(super) async fn step(&mut self, rate: u64, time: Duration) -> Result<Met> {
        let met = Met::new()?;
        let started = Instant::now();
        let mut ticks = tokio::time::interval(TICK);
        let mut due = 0;
        while started.elapsed() < time {
            ticks.tick().await;
            let due_by_now = (started.elapsed().min(time).as_secs_f64() * rate as f64) as u64;
            for ordinal in due..due_by_now {
                let moment = started + Duration::from_secs_f64(ordinal as f64 / rate as f64);
                self.send(&met, moment)?;
            }
            due = due.max(due_by_now);
        }
        Ok(met)
    }

    /// Waits until everything has an answer, or none will come.
    pub(super) async fn answered(&self) -> Result<()> {
        for lane in &self.lanes {
            let all = tokio::time::timeout(ANSWER_LIMIT * 2, lane.room.acquire_many(LANE_ROOM)).await;
            drop(all.context("requests are still under way long after their time limit")??);
        }
        Ok(())
    }

    fn send(&mut self, met: &Met, due: Instant) -> Result<()> {
        let ordinal = self.sent;
        self.sent += 1;
        for counts in [&self.total, &met.counts] {
            add(&counts.offered, 1);
        }
        let first = usize::try_from(ordinal).unwrap_or(0);
        let lanes = (0..self.lanes.len()).map(|next| &self.lanes[(first + next) % self.lanes.len()]);
        let mut free =
            lanes.filter_map(|lane| Some((lane, Arc::clone(&lane.room).try_acquire_owned().ok()?)));
        let Some((lane, seat)) = free.next() else {
            for counts in [&self.total, &met.counts] {
                add(&counts.unsent, 1);
            }
            return Ok(());
        };
        let body = Full::new(load::order(&self.plan, ordinal, &mut self.random));
        let request = load::request(&lane.target, &format!("{}-{ordinal}", self.run)).body(body)?;
        let (mut sender, total, met) = (lane.sender.clone(), Arc::clone(&self.total), met.clone());
        tokio::spawn(async move {
            let asked = async {
                let response = sender.send_request(request).await.ok()?;
                let answer = judged(response.status(), response.headers().contains_key(RETRY_AFTER));
                // Read to the end, so that the window of the connection stays open.
                response.into_body().collect().await.ok()?;
                Some(answer)
            };
            let answer =
                tokio::time::timeout(ANSWER_LIMIT, asked).await.ok().flatten().unwrap_or(Answer::None);
            total.note(&answer);
            met.note(&answer, due.elapsed());
            drop(seat);
        });
        Ok(())
    }
}

fn judged(status: StatusCode, says_when: bool) -> Answer {
    match (status, says_when) {
        (StatusCode::CREATED, _) => Answer::Accepted,
        (StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS, true) => Answer::Refused,
        (StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS, false) => Answer::RefusedSilently,
        _ => Answer::Failed,
    }
}

impl Lane {
    async fn to(authority: &str) -> Result<Self> {
        ensure!(!authority.is_empty(), "a worker has an address");
        let stream = TcpStream::connect(authority)
            .await
            .with_context(|| format!("cannot reach the service on {authority}"))?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        let room = Arc::new(Semaphore::new(LANE_ROOM as usize));
        Ok(Self { sender, target: format!("http://{authority}/orders"), room })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_counted_as_what_it_is() {
        let counts = Counts::default();
        for (status, says_when) in
            [(201, false), (503, true), (429, true), (503, false), (500, true), (400, false)]
        {
            counts.note(&judged(StatusCode::from_u16(status).unwrap(), says_when));
        }
        counts.note(&Answer::None);
        let counted = counts.read();
        assert_eq!((counted.accepted, counted.refused, counted.refused_without_retry_after), (1, 3, 1));
        assert_eq!((counted.failed, counted.unanswered), (2, 1));
    }
}
