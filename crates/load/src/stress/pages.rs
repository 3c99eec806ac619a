//! The operators' page over many stored orders, while others run: how long each page takes, and what people who look on cost the
//! orders. They do what a browser does: open a page, follow its stream, and fetch the page again whenever it has changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Args;
use hdrhistogram::Histogram;
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::criteria;
use super::environment::{Burst, Environment};
use super::ramp::rate;
use super::report::{Figure, Report};
use super::step::{self, Step};
use super::tuning::Tuning;
use crate::bench::PATIENCE;
use crate::client::{Client, Connection};
use crate::generator::sku;
use crate::setup::Setup;

/// Orders on their way at once while the store is filled.
const IN_HAND: u64 = 4_096;

/// How an event of a page's stream begins that says what has changed.
const CHANGED: &[u8] = b"event: changed";

#[derive(Clone, Debug, Args)]
pub(crate) struct Pages {
    /// Orders stored before anybody looks.
    #[arg(long, default_value_t = 250_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    orders: u64,
    /// People who look on, each with one page open.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    people: u64,
    /// Seconds for which each of them stays on a page before they open the next.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    stay_seconds: u64,
    /// Seconds of the even load under which the pages are timed.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// That load, as a share of the maximum.
    #[arg(long, default_value_t = 0.5)]
    load: f64,
    /// Orders of each burst, one at which nobody looks and one at which people do.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    turn: u64,
    /// Pairs of bursts. The median tells what people cost.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    pairs: u64,
}

/// What was seen of one page.
#[derive(Clone, Debug)]
pub(crate) struct PageTimes {
    /// Microseconds from asking to the last byte.
    pub(crate) took_us: Histogram<u64>,
    /// Bytes of the largest answer.
    pub(crate) bytes_max: usize,
}

/// What was seen, by the page's path.
pub(crate) type Seen = BTreeMap<String, PageTimes>;

impl Pages {
    pub(crate) async fn run(&self, setup: &Setup) -> Result<Report> {
        ensure!((0.01..=0.9).contains(&self.load), "--load is from 0.01 to 0.9 of what it can do");
        let environment = Environment::open(setup, Tuning::default()).await?;
        eprintln!("storing {} orders first", self.orders);
        environment.send_in_hand("growth", self.orders, IN_HAND).await?;
        environment.worked_off(0, PATIENCE).await?;
        let client = Client::new(environment.service());
        let paths: Arc<[String]> = paths(&client).await?.into();
        let each_s = (paths.len() as u64).div_ceil(self.people) * self.stay_seconds;
        ensure!(
            each_s < self.seconds,
            "{} people need {each_s} s to look at {} pages: take more --people, more --seconds or fewer --stay-seconds",
            self.people,
            paths.len()
        );
        let pairs = self.in_turn(&environment, &client, &paths).await?;
        let best = |bursts: fn(&(Burst, Burst)) -> Burst| {
            pairs.iter().map(bursts).fold(Burst::NONE, Burst::or_better)
        };
        let (alone, looked_at) = (best(|pair| pair.0), best(|pair| pair.1));
        let mut load = environment.open_loop("even").await?;
        let people = self.people(&client, &paths);
        let time = Duration::from_secs(self.seconds);
        let step =
            Step::run(&environment, &mut load, "looked at", rate(alone.per_s, self.load), time).await?;
        let seen = people.leave().await?;
        load.answered().await?;
        environment.worked_off(0, PATIENCE).await?;
        let steps = step::reports(&environment, vec![step]).await?;
        let speeds: Vec<(f64, f64)> = pairs.iter().map(|pair| (pair.0.per_s, pair.1.per_s)).collect();
        let about =
            "Orders run over a store with many of them, and people look at all pages, one after the other.";
        let (mut report, _) = environment.close("pages", about).await?;
        report.settings.push(("people who look on".to_owned(), self.people.to_string()));
        report.checks = vec![
            criteria::pages_are_quick(&seen, paths.len()),
            criteria::pages_are_small(&seen),
            criteria::people_cost_nothing(&speeds),
            criteria::all_was_sent(&steps),
            criteria::refuses_politely(&steps),
            criteria::nothing_lost(&report.totals),
        ];
        let looks = seen.values().map(|times| times.took_us.len()).sum::<u64>();
        report.figures = vec![
            Figure::new("nobody looks on, the best burst", alone.per_s, "orders/s"),
            Figure::new("people look on, the best burst", looked_at.per_s, "orders/s"),
            Figure::new("CPU of the workers, nobody looks on", alone.cpu_ms, "ms per order"),
            Figure::new("CPU of the workers, people look on", looked_at.cpu_ms, "ms per order"),
            Figure::new("pages fetched under the even load", looks as f64 / self.seconds as f64, "1/s"),
        ];
        report.steps = steps;
        Ok(report)
    }

    /// Pairs of bursts, with nobody and with people looking on. Which of them comes first takes turns, since a store that
    /// grows becomes slower.
    async fn in_turn(
        &self,
        environment: &Environment,
        client: &Client,
        paths: &Arc<[String]>,
    ) -> Result<Vec<(Burst, Burst)>> {
        let mut pairs = Vec::new();
        for turn in 1..=self.pairs {
            let (mut nobody, mut somebody) = (Burst::NONE, Burst::NONE);
            for is_looked_at in [turn % 2 == 0, turn % 2 == 1] {
                if is_looked_at {
                    let people = self.people(client, paths);
                    somebody = environment.burst(&format!("people {turn}"), self.turn, 0).await?;
                    people.leave().await?;
                } else {
                    nobody = environment.burst(&format!("nobody {turn}"), self.turn, 0).await?;
                }
            }
            eprintln!(
                "pair {turn}: {:.0} orders/s with nobody, {:.0} with people",
                nobody.per_s, somebody.per_s
            );
            pairs.push((nobody, somebody));
        }
        Ok(pairs)
    }

    fn people(&self, client: &Client, paths: &Arc<[String]>) -> People {
        let (stop, stopped) = watch::channel(false);
        let stay = Duration::from_secs(self.stay_seconds);
        let mut looking = JoinSet::new();
        for number in 0..self.people {
            let person = Person {
                client: client.clone(),
                paths: Arc::clone(paths),
                stay,
                stopped: stopped.clone(),
                seen: Seen::new(),
            };
            let first = number * paths.len() as u64 / self.people;
            looking.spawn(person.look(usize::try_from(first).unwrap_or(0)));
        }
        People { stop, looking }
    }
}

/// Every page of the navigation, and one of each kind that it leads to.
async fn paths(client: &Client) -> Result<Vec<String>> {
    let newest = client.get("/orders?sort=-created_at&limit=1").await?;
    let order = newest["items"][0]["order_id"].as_str().context("an order is stored")?.to_owned();
    let customer = "C00001";
    let product = sku(1);
    let more = [
        format!("/orders/{order}"),
        format!("/orders?find={order}"),
        format!("/orders?customer_id={customer}"),
        format!("/orders?sku={product}"),
        "/orders?status=delivered".to_owned(),
        "/orders?status=cancelled".to_owned(),
        format!("/stock/{product}"),
    ];
    let pages = worker::page::paths().map(str::to_owned).chain(more);
    Ok(pages.map(|path| format!("/ui{path}")).collect())
}

/// People who look on until they leave.
struct People {
    stop: watch::Sender<bool>,
    looking: JoinSet<Result<Seen>>,
}

impl People {
    async fn leave(mut self) -> Result<Seen> {
        self.stop.send_replace(true);
        let mut seen = Seen::new();
        while let Some(person) = self.looking.join_next().await {
            for (path, times) in person?? {
                let all = seen.entry(path).or_insert_with(PageTimes::new);
                all.took_us.add(&times.took_us).expect("the histogram grows with what it records");
                all.bytes_max = all.bytes_max.max(times.bytes_max);
            }
        }
        Ok(seen)
    }
}

impl PageTimes {
    pub(crate) fn new() -> Self {
        Self { took_us: Histogram::new(3).expect("three digits are allowed"), bytes_max: 0 }
    }
}

struct Person {
    client: Client,
    paths: Arc<[String]>,
    stay: Duration,
    stopped: watch::Receiver<bool>,
    seen: Seen,
}

impl Person {
    /// Opens one page after the other, beginning with this one.
    async fn look(mut self, first: usize) -> Result<Seen> {
        let mut stopped = self.stopped.clone();
        for at in first.. {
            let path = self.paths[at % self.paths.len()].clone();
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => break,
                stayed = self.stay_on(&path) => stayed?,
            }
        }
        Ok(self.seen)
    }

    /// Opens a page and fetches it again whenever it has changed.
    async fn stay_on(&mut self, path: &str) -> Result<()> {
        let until = tokio::time::Instant::now() + self.stay;
        let mut pages = self.client.connect().await?;
        let page = self.fetch(&mut pages, path).await?;
        let Some(address) = stream_of(&page) else {
            tokio::time::sleep_until(until).await;
            return Ok(());
        };
        let mut stream = self.client.connect().await?.open(&address).await?;
        while let Ok(changed) = tokio::time::timeout_at(until, next_change(&mut stream)).await {
            changed?;
            self.fetch(&mut pages, path).await?;
        }
        Ok(())
    }

    async fn fetch(&mut self, pages: &mut Connection, path: &str) -> Result<Bytes> {
        let asked = Instant::now();
        let reply = pages.call(Method::GET, path, None, Bytes::new()).await?;
        ensure!(reply.status.is_success(), "{path} answered {}", reply.status);
        let times = self.seen.entry(path.to_owned()).or_insert_with(PageTimes::new);
        let took_us = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
        times.took_us.record(took_us).expect("the histogram grows with what it records");
        times.bytes_max = times.bytes_max.max(reply.body.len());
        Ok(reply.body)
    }
}

/// The address of a page's stream, if it has one.
fn stream_of(page: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(page).ok()?;
    let (_, rest) = text.split_once("data-live=\"")?;
    Some(rest.split_once('"')?.0.replace("&amp;", "&"))
}

/// Waits until the stream says that something has changed.
async fn next_change(stream: &mut Incoming) -> Result<()> {
    loop {
        let frame = stream.frame().await.context("a page's stream ended")??;
        if frame.data_ref().is_some_and(|data| data.windows(CHANGED.len()).any(|part| part == CHANGED)) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_of_a_page_is_found_where_it_has_one() {
        let page = br#"<body data-live="/ui/live?topics=orders&amp;x=1"><p>"#;
        assert_eq!(stream_of(page).as_deref(), Some("/ui/live?topics=orders&x=1"));
        assert_eq!(stream_of(b"<body><p>"), None);
    }
}
