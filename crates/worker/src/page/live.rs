//! What changes while somebody looks on. One service looks at the store for all pages that are open, and each page's
//! stream says which topics have changed; the page fetches them, so a stream never carries data. An idle page costs a
//! line every twenty seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use application::ports::Overview;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use bus::{Fault, Stop};
use domain::OrderId;
use foldhash::quality::FixedState;
use futures_util::stream::unfold;
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::samples::EVERY;
use super::visit::{Viewer, Visit};
use super::{Page, visit};

/// How long a stream is silent at most.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Topics of one page at most, and orders that are looked at in one look.
const TOPICS_MAX: usize = 8;
const ORDERS_MAX: usize = 200;

/// How often a topic that is about all orders changes at most: while orders run, it would at every look, and each page that is open
/// would fetch itself anew.
const PACE: Duration = Duration::from_secs(5);

/// How a topic begins that is one order.
const ORDER: &str = "order:";

/// What was seen last: a number for each topic, another one whenever it has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Versions {
    by_topic: BTreeMap<String, u64>,
    has_ended: bool,
}

/// What changes, for all pages of this process.
pub(super) struct Live {
    versions: watch::Sender<Versions>,
    watched: Mutex<BTreeMap<Uuid, usize>>,
    changed_at: Mutex<BTreeMap<String, Instant>>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            versions: watch::Sender::new(Versions::default()),
            watched: Mutex::default(),
            changed_at: Mutex::default(),
            counts: Mutex::default(),
        }
    }
}

impl Live {
    /// How much there is behind an entry of the navigation, if that is known.
    pub(super) fn count(&self, path: &str) -> Option<u64> {
        lock(&self.counts).get(path).copied()
    }

    fn watch_order(self: &Live, id: Uuid) {
        *lock(&self.watched).entry(id).or_default() += 1;
    }

    fn leave_order(&self, id: Uuid) {
        let mut watched = lock(&self.watched);
        if let Some(pages) = watched.get_mut(&id) {
            *pages -= 1;
            if *pages == 0 {
                watched.remove(&id);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hash(of: impl Hash) -> u64 {
    FixedState::default().hash_one(of)
}

/// Looks for what has changed.
pub struct LiveService {
    page: Arc<Page>,
    every: Duration,
}

impl LiveService {
    /// Its name.
    pub const NAME: &'static str = "page-service";

    pub(super) const fn new(page: Arc<Page>, every: Duration) -> Self {
        Self { page, every }
    }

    /// Looks again and again: often while pages are open, else as often as a sample is due. Ends all streams at its end.
    pub async fn run(self: Arc<Self>, stop: Stop) {
        while !stop.is_stopped() {
            let pulses = &self.page.parts.observation.pulses;
            match self.look().await {
                Ok(()) => pulses.beat(Self::NAME),
                Err(fault) => pulses.fail(Self::NAME, &fault),
            }
            let pages = self.page.live.versions.receiver_count();
            stop.sleep(if pages > 0 { self.every } else { EVERY }).await;
        }
        self.page.live.versions.send_modify(|versions| versions.has_ended = true);
    }

    /// Looks once.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn look(&self) -> Result<(), Fault> {
        let parts = &self.page.parts;
        let overview = parts.readers.overview().await?;
        let now = Instant::now();
        let samples = &self.page.samples;
        let is_due = samples.are_due(now);
        if is_due {
            samples.take(now, &overview, &parts.observation.registry);
        }
        let mut fresh = self.of_overview(&overview);
        self.add_orders(&mut fresh).await?;
        *lock(&self.page.live.counts) = counts(&overview);
        self.page.live.versions.send_if_modified(|versions| {
            let sampled = versions.by_topic.get("samples").copied().unwrap_or(0) + u64::from(is_due);
            pace(&mut lock(&self.page.live.changed_at), &versions.by_topic, &mut fresh, now);
            fresh.insert("samples".to_owned(), sampled);
            let changed = versions.by_topic != fresh;
            versions.by_topic = fresh;
            changed
        });
        Ok(())
    }

    fn of_overview(&self, overview: &Overview) -> BTreeMap<String, u64> {
        let observation = &self.page.parts.observation;
        let report = observation.health.read();
        let health: Vec<_> = report.checks.iter().map(|check| (check.name, check.status)).collect();
        [
            ("orders", hash((&overview.orders, &overview.cancellations, &overview.money))),
            ("sagas", hash(&overview.sagas)),
            ("queues", hash((&overview.queues, overview.waiting, overview.timers))),
            ("consumers", hash(self.paused())),
            ("dead-letters", overview.dead_letters),
            ("health", hash(health)),
        ]
        .into_iter()
        .map(|(topic, version)| (topic.to_owned(), version))
        .collect()
    }

    fn paused(&self) -> Vec<(Arc<str>, Timestamp)> {
        let paused = self.page.parts.pauses.paused();
        paused.into_iter().map(|paused| (paused.queue, paused.at)).collect()
    }

    async fn add_orders(&self, fresh: &mut BTreeMap<String, u64>) -> Result<(), Fault> {
        let watched: Vec<Uuid> = lock(&self.page.live.watched).keys().copied().take(ORDERS_MAX).collect();
        let readers = &self.page.parts.readers;
        for id in watched {
            let order = readers.order(OrderId(id)).await?;
            let saga = readers.saga(OrderId(id)).await?;
            let order = order.map(|order| (order.updated_at, order.status, order.saga_state));
            let saga = saga.map(|saga| (saga.updated_at, saga.state, saga.timers.len()));
            fresh.insert(format!("{ORDER}{id}"), hash((order, saga)));
        }
        Ok(())
    }
}

/// Puts off changes of topics that changed a moment ago; a later look finds them.
fn pace(
    changed_at: &mut BTreeMap<String, Instant>,
    known: &BTreeMap<String, u64>,
    fresh: &mut BTreeMap<String, u64>,
    now: Instant,
) {
    for (topic, version) in fresh.iter_mut().filter(|(topic, _)| !topic.starts_with(ORDER)) {
        let Some(before) = known.get(topic).filter(|before| *before != version) else { continue };
        match changed_at.get(topic) {
            Some(at) if now.duration_since(*at) < PACE => *version = *before,
            Some(_) | None => drop(changed_at.insert(topic.clone(), now)),
        }
    }
}

fn counts(overview: &Overview) -> BTreeMap<&'static str, u64> {
    let waiting = overview.sagas.iter().find(|(state, _)| state == "needs_attention");
    BTreeMap::from([
        ("/attention", waiting.map_or(0, |(_, count)| *count)),
        ("/dead-letters", overview.dead_letters),
    ])
}

/// One page that is open.
struct Reader {
    page: Arc<Page>,
    viewer: Viewer,
    session: Option<String>,
    topics: BTreeSet<String>,
    orders: Vec<Uuid>,
    changes: watch::Receiver<Versions>,
    seen: Versions,
    has_ended: bool,
}

impl Drop for Reader {
    fn drop(&mut self) {
        for id in &self.orders {
            self.page.live.leave_order(*id);
        }
    }
}

impl Reader {
    /// Whether the person may still look: their session goes on and their key is in force.
    fn may_look(&self) -> bool {
        match (&self.viewer, &self.session) {
            (Viewer::Here, _) => !self.page.parts.gate.is_closed(),
            (Viewer::Known(_), Some(token)) => {
                self.page.parts.gate.session(&self.page.parts.sessions, token).is_some()
            }
            // A program with a key in its header; it asks anew when this stream is cut.
            (Viewer::Known(_), None) => true,
        }
    }

    /// The next line of the stream; none at its end.
    async fn next(mut self) -> Option<(Result<Event, axum::Error>, Self)> {
        if self.has_ended {
            return None;
        }
        let woken = timeout(HEARTBEAT, self.changes.changed()).await;
        let versions = self.changes.borrow_and_update().clone();
        if versions.has_ended || matches!(woken, Ok(Err(_))) {
            return None;
        }
        if !self.may_look() {
            self.has_ended = true;
            return Some((Ok(Event::default().event("ended").data("signed out")), self));
        }
        let changed = self.changed(&versions);
        self.seen = versions;
        let event = match changed.as_str() {
            "" => Event::default().comment(""),
            changed => Event::default().event("changed").data(changed),
        };
        Some((Ok(event), self))
    }

    fn changed(&self, versions: &Versions) -> String {
        let version = |versions: &Versions, topic: &String| versions.by_topic.get(topic).copied();
        let changed =
            self.topics.iter().filter(|topic| version(&self.seen, topic) != version(versions, topic));
        changed.map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

/// The stream of one page.
pub(super) async fn stream(State(page): State<Arc<Page>>, headers: HeaderMap, visit: Visit) -> Response {
    let topics: BTreeSet<String> =
        visit.asked("topics").split(' ').filter(|topic| !topic.is_empty()).map(str::to_owned).collect();
    if topics.is_empty() || topics.len() > TOPICS_MAX {
        let lead = format!("A stream tells of 1 to {TOPICS_MAX} topics.");
        return visit::bare(&page, StatusCode::BAD_REQUEST, "No stream", &lead).into_response();
    }
    let order = |topic: &String| topic.strip_prefix(ORDER).and_then(|id| id.parse::<Uuid>().ok());
    let orders: Vec<Uuid> = match visit.may_read("/orders/any") {
        true => topics.iter().filter_map(order).collect(),
        false => Vec::new(),
    };
    for id in &orders {
        page.live.watch_order(*id);
    }
    let mut changes = page.live.versions.subscribe();
    let seen = changes.borrow_and_update().clone();
    let session = visit::cookie(&headers, visit::SESSION).map(str::to_owned);
    let viewer = visit.viewer;
    let reader = Reader { page, viewer, session, topics, orders, changes, seen, has_ended: false };
    let mut response = Sse::new(unfold(reader, Reader::next)).into_response();
    // A proxy that gathers an answer before it passes it on would hold every line back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_all_orders_changes_now_and_then_and_one_order_at_once() {
        let begun = Instant::now();
        let mut changed_at = BTreeMap::new();
        let of =
            |version: u64| BTreeMap::from([("orders".to_owned(), version), ("order:7".to_owned(), version)]);
        let mut known = of(0);
        let mut told = Vec::new();
        for second in 0..12_u64 {
            let mut fresh = of(1 + second);
            pace(&mut changed_at, &known, &mut fresh, begun + Duration::from_secs(second));
            assert_eq!(fresh["order:7"], 1 + second);
            if fresh["orders"] != known["orders"] {
                told.push((second, fresh["orders"]));
            }
            known = fresh;
        }
        assert_eq!(told, [(0, 1), (5, 6), (10, 11)]);
    }
}
