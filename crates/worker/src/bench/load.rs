//! The load: orders over real HTTP, either as fast as the connections manage or at a fixed rate. At a fixed rate latency
//! counts from the moment at which a request was due, so a slow answer is not hidden by sending less.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::http::request::Builder;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Plan;

/// Refused requests are sent again after this pause, up to a bound.
const OVERLOADED_PAUSE: Duration = Duration::from_millis(20);
const OVERLOADED_TRIES_MAX: u32 = 500;

/// What came of it.
pub(super) struct Outcome {
    /// Orders accepted.
    pub(super) accepted: u64,
    /// Requests that were told to come again.
    pub(super) overloaded: u64,
    /// From sending, or from when it was due, to the answer; microseconds.
    pub(super) latencies: Histogram<u64>,
}

/// The sku of the product with this number.
pub(super) fn sku(number: u32) -> String {
    format!("BENCH-{number:04}")
}

/// What the connections share.
struct Course {
    plan: Plan,
    authorities: Vec<String>,
    run: String,
    next: AtomicU64,
    started: Instant,
    /// Orders that may be sent by now; all without a rate.
    released: Option<watch::Receiver<u64>>,
}

/// Sends the plan's orders to all workers and waits for every answer.
pub(super) async fn send(plan: &Plan, authorities: &[String], run: &str) -> Result<Outcome> {
    send_released(plan, authorities, run, None).await
}

/// The same, no more orders in all than have been released so far.
pub(super) async fn send_released(
    plan: &Plan,
    authorities: &[String],
    run: &str,
    released: Option<watch::Receiver<u64>>,
) -> Result<Outcome> {
    let course = Arc::new(Course {
        plan: plan.clone(),
        authorities: authorities.to_vec(),
        run: run.to_owned(),
        next: AtomicU64::new(0),
        started: Instant::now(),
        released,
    });
    let mut connections = JoinSet::new();
    for number in 0..plan.connections {
        let course = Arc::clone(&course);
        connections.spawn(async move { course.drive(number).await });
    }
    let mut total = Outcome { accepted: 0, overloaded: 0, latencies: Histogram::new(3)? };
    while let Some(done) = connections.join_next().await {
        let part = done??;
        total.accepted += part.accepted;
        total.overloaded += part.overloaded;
        total.latencies.add(part.latencies)?;
    }
    Ok(total)
}

impl Course {
    async fn drive(&self, number: usize) -> Result<Outcome> {
        let authority = &self.authorities[number % self.authorities.len()];
        let mut connection = connect(authority).await?;
        let mut random = SmallRng::seed_from_u64(number as u64);
        let mut outcome = Outcome { accepted: 0, overloaded: 0, latencies: Histogram::new(3)? };
        loop {
            let ordinal = self.next.fetch_add(1, Ordering::Relaxed);
            if ordinal >= self.plan.orders {
                return Ok(outcome);
            }
            self.wait_until_released(ordinal).await?;
            let due = self.wait_until_due(ordinal).await;
            let body = order(&self.plan, ordinal, &mut random);
            for _ in 0..OVERLOADED_TRIES_MAX {
                let status = self.post(&mut connection, authority, ordinal, &body).await?;
                if status != StatusCode::SERVICE_UNAVAILABLE {
                    ensure!(status == StatusCode::CREATED, "POST /orders answered {status}");
                    outcome.accepted += 1;
                    break;
                }
                outcome.overloaded += 1;
                tokio::time::sleep(OVERLOADED_PAUSE).await;
            }
            let took_us = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
            outcome.latencies.record(took_us)?;
        }
    }

    /// At a fixed rate every request has its moment; else it is due now.
    async fn wait_until_due(&self, ordinal: u64) -> Instant {
        let Some(rate) = self.plan.rate else { return Instant::now() };
        let due = self.started + Duration::from_secs_f64(ordinal as f64 / rate as f64);
        tokio::time::sleep_until(due.into()).await;
        due
    }

    async fn wait_until_released(&self, ordinal: u64) -> Result<()> {
        let Some(mut released) = self.released.clone() else { return Ok(()) };
        released.wait_for(|released| ordinal < *released).await.context("nobody releases orders any more")?;
        Ok(())
    }

    async fn post(
        &self,
        connection: &mut SendRequest<Full<Bytes>>,
        authority: &str,
        ordinal: u64,
        body: &Bytes,
    ) -> Result<StatusCode> {
        let key = format!("{}-{ordinal}", self.run);
        let request = request("/orders", &key).header("host", authority);
        let request = request.body(Full::new(body.clone()))?;
        connection.ready().await.context("the service closed the connection")?;
        let answer = connection.send_request(request).await?;
        let status = answer.status();
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(status)
    }
}

/// The head of a request for an order.
pub(super) fn request(target: &str, key: &str) -> Builder {
    Request::post(target).header("content-type", "application/json").header("idempotency-key", key)
}

/// An order, as a client writes it.
pub(super) fn order(plan: &Plan, ordinal: u64, random: &mut SmallRng) -> Bytes {
    let first = random.random_range(0..plan.products);
    let lines: Vec<String> = (0..plan.lines)
        .map(|line| {
            let product = (first + u32::try_from(line).unwrap_or(0)) % plan.products;
            format!("{{\"sku\":\"{}\",\"quantity\":{}}}", sku(product), random.random_range(1..4))
        })
        .collect();
    Bytes::from(format!("{{\"customer_id\":\"C{:05}\",\"lines\":[{}]}}", ordinal % 10_000, lines.join(",")))
}

async fn connect(authority: &str) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(authority)
        .await
        .with_context(|| format!("cannot reach the service on {authority}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
