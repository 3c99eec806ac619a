//! One round for one endpoint: what is sent, what an answer means, and what is noted of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use application::ports::{
    Delivery, DeliveryFilter, DeliveryState, EventPage, OrderEventView, Progress, WebhookEndpoint,
};
use bus::Fault;
use futures_util::StreamExt;
use futures_util::stream;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use providers::notifications::{Signer, WebhookAnswer, WebhookMessage};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::{EVENTS_MAX, Parts};
use crate::metrics::Metric;

/// Messages under way to one endpoint.
const AT_ONCE_MAX: usize = 8;

/// How long a round goes on sending.
const ROUND_MAX: Duration = Duration::from_secs(5);

/// When an event that was refused is tried again; after the last it has failed.
const REFUSED_PAUSES_S: [u64; 6] = [30, 120, 600, 3_600, 6 * 3_600, 24 * 3_600];

/// How long an endpoint that is away is left alone: twice as long each time, or as long as it asks for.
const AWAY_PAUSE_FIRST: Duration = Duration::from_secs(1);
const AWAY_PAUSE_MAX: Duration = Duration::from_secs(300);
const ASKED_PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// How long an endpoint may be away before it is closed.
const AWAY_MAX: SignedDuration = SignedDuration::from_hours(3 * 24);

/// What sending one message came to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sent {
    /// It was taken.
    Taken,
    /// It was answered, and not taken: another event may well be.
    Refused(String),
    /// The endpoint is away, or wants to be left alone for so long.
    Away(String, Option<Duration>),
    /// The endpoint wants no more at all.
    Gone,
}

impl Sent {
    fn of(answer: Result<WebhookAnswer, String>) -> Self {
        let WebhookAnswer { status, retry_after } = match answer {
            Ok(answer) => answer,
            Err(why) => return Self::Away(why, None),
        };
        let words = format!("answered {status}");
        match status {
            status if status.is_success() => Self::Taken,
            StatusCode::GONE => Self::Gone,
            StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_EARLY
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Self::Away(words, retry_after),
            _ => Self::Refused(words),
        }
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Taken => "delivered",
            Self::Refused(_) => "refused",
            Self::Away(..) => "away",
            Self::Gone => "gone",
        }
    }
}

/// A message that was sent: when, how long it took, and what came of it.
struct Attempt {
    at: Timestamp,
    took: Duration,
    sent: Sent,
}

/// One round.
pub(super) struct Run<'a> {
    parts: &'a Parts,
    endpoint: &'a WebhookEndpoint,
    signer: &'a Signer,
    progress: Progress,
}

impl<'a> Run<'a> {
    pub(super) fn new(parts: &'a Parts, endpoint: &'a WebhookEndpoint, signer: &'a Signer) -> Self {
        Self { parts, endpoint, signer, progress: standing(endpoint) }
    }

    /// What is to be noted, if anything is.
    pub(super) fn progress(self) -> Option<Progress> {
        (self.progress != standing(self.endpoint)).then_some(self.progress)
    }

    /// Goes on behind events that are past their time.
    pub(super) fn skip_to(&mut self, up_to: i64) {
        tracing::warn!(endpoint = %self.endpoint.id, up_to, "events were past their time before a webhook endpoint had them");
        self.progress.to = up_to;
        self.progress.trouble = format!("events up to {up_to} were past their time and were not sent");
    }

    /// The endpoint stands where no event is yet: this database is older than its place.
    pub(super) fn note_beyond(&mut self, newest: i64) {
        self.close(format!(
            "stood behind {}, and the newest event was {newest}: was an older database restored? Set the position and resume",
            self.endpoint.position
        ));
    }

    /// Sends deliveries again that were set aside, until one is held up. The others stay due.
    pub(super) async fn again(&mut self, due: Vec<Delivery>) -> Result<(), Fault> {
        let mut chains = Vec::with_capacity(due.len());
        let mut attempts = BTreeMap::new();
        for delivery in due {
            let event = self.parts.events.event(delivery.order_id, delivery.position).await?;
            let Some(event) = event else {
                let answer = "the event is not there any more".to_owned();
                let failed = Delivery { state: DeliveryState::Failed, next_at: None, answer, ..delivery };
                self.progress.deliveries.push(failed);
                continue;
            };
            attempts.insert(event.position, delivery.attempts);
            chains.push(vec![event]);
        }
        let before = |position: i64| attempts.get(&position).copied().unwrap_or(0);
        let sent = self.send_chains(chains).await;
        self.take(sent, before);
        Ok(())
    }

    /// Sends new events, except those that this endpoint had already behind its place. Returns whether all of them are done.
    pub(super) async fn send(&mut self, page: EventPage) -> Result<bool, Fault> {
        let known = self.known_behind(page.next).await?;
        let fresh = page.events.into_iter().filter(|event| !known.contains(&event.position)).collect();
        let sent = self.send_chains(by_order(fresh)).await;
        let held_up_at = self.take(sent, |_| 0);
        self.progress.to = held_up_at.map_or(page.next, |at| at - 1);
        Ok(held_up_at.is_none())
    }

    /// Events behind the endpoint's place that it got, or refused, in a round that was held up.
    async fn known_behind(&self, next: i64) -> Result<BTreeSet<i64>, Fault> {
        let filter = DeliveryFilter { state: None, before: next.checked_add(1) };
        let endpoints = &self.parts.endpoints;
        let latest = endpoints.deliveries(self.endpoint.id, filter, EVENTS_MAX).await?.items;
        let is_known =
            |it: &Delivery| it.position > self.endpoint.position && it.revision == self.endpoint.revision;
        Ok(latest.into_iter().filter(is_known).map(|it| it.position).collect())
    }

    /// Each chain one after the other, several chains beside each other, until one is held up or the round has lasted long
    /// enough: what a person changes is heeded between two rounds.
    async fn send_chains(&self, chains: Vec<Vec<OrderEventView>>) -> Vec<(OrderEventView, Option<Attempt>)> {
        let is_held_up = AtomicBool::new(false);
        let until = Instant::now() + ROUND_MAX;
        let sending = stream::iter(chains).map(|events| self.send_in_order(events, &is_held_up, until));
        sending.buffer_unordered(AT_ONCE_MAX).flat_map(stream::iter).collect().await
    }

    /// Notes what came of messages; returns the position of the first that is held up.
    fn take(
        &mut self,
        sent: Vec<(OrderEventView, Option<Attempt>)>,
        attempts_before: impl Fn(i64) -> u32,
    ) -> Option<i64> {
        let held_up = sent.iter().filter(|(_, attempt)| !is_done(attempt));
        let held_up_at = held_up.map(|(event, _)| event.position).min();
        let outcome = |attempt: &Option<Attempt>| attempt.as_ref().map(|attempt| attempt.sent.clone());
        let away = sent.iter().find_map(|(_, attempt)| match outcome(attempt)? {
            Sent::Away(why, asked) => Some((why, asked)),
            Sent::Taken | Sent::Refused(_) | Sent::Gone => None,
        });
        let is_gone = sent.iter().any(|(_, attempt)| outcome(attempt) == Some(Sent::Gone));
        let got_through = sent.iter().any(|(_, attempt)| is_done(attempt));
        let revision = self.endpoint.revision;
        let done = sent.into_iter().filter(|(_, attempt)| is_done(attempt));
        let done = done.filter_map(|(event, attempt)| {
            Some(after(&event, attempts_before(event.position), &attempt?, revision))
        });
        self.progress.deliveries.extend(done);
        match away {
            _ if is_gone => self.close("answered 410 Gone: it wants no more".to_owned()),
            Some((why, asked)) => self.note_away(why, asked, got_through),
            None if got_through => self.note_well(),
            None => {}
        }
        held_up_at
    }

    /// Whether nothing more is to be sent in this round.
    pub(super) const fn is_over(&self) -> bool {
        self.progress.closes || self.progress.next_attempt_at.is_some()
    }

    /// The events of one chain, one after the other, until one is held up.
    async fn send_in_order(
        &self,
        events: Vec<OrderEventView>,
        is_held_up: &AtomicBool,
        until: Instant,
    ) -> Vec<(OrderEventView, Option<Attempt>)> {
        let mut sent = Vec::with_capacity(events.len());
        for event in events {
            if is_held_up.load(Ordering::Relaxed) || Instant::now() >= until {
                sent.push((event, None));
                continue;
            }
            let attempt = self.attempt(&event).await;
            if matches!(attempt.sent, Sent::Away(..) | Sent::Gone) {
                is_held_up.store(true, Ordering::Relaxed);
            }
            sent.push((event, Some(attempt)));
        }
        sent
    }

    async fn attempt(&self, event: &OrderEventView) -> Attempt {
        let at = self.parts.clock.now();
        let begun = Instant::now();
        let id = message_id(event);
        let body =
            json!({"type": event.event_type, "timestamp": event.at.to_string(), "data": event}).to_string();
        let message = WebhookMessage { id: &id, sent_at_s: at.as_second(), body };
        let sent = Sent::of(self.parts.client.post(&self.endpoint.url, self.signer, message).await);
        self.parts.registry.add(Metric::WebhookDeliveries, &[sent.word()], 1);
        Attempt { at, took: begun.elapsed(), sent }
    }

    fn note_well(&mut self) {
        if !self.progress.closes {
            got_through(&mut self.progress);
        }
    }

    fn note_away(&mut self, why: String, asked: Option<Duration>, got_through: bool) {
        if got_through {
            self.note_well();
        }
        if away_for(&mut self.progress, self.parts.clock.now(), asked) > AWAY_MAX {
            self.close(format!("was away for three days: {why}"));
        } else {
            self.progress.trouble = why;
        }
    }

    fn close(&mut self, why: String) {
        tracing::warn!(endpoint = %self.endpoint.id, why, "a webhook endpoint is closed and gets no more");
        self.progress.trouble = why;
        self.progress.closes = true;
    }
}

/// Notes that the endpoint answered: nothing troubles it now.
fn got_through(progress: &mut Progress) {
    progress.trouble.clear();
    progress.failures = 0;
    progress.failing_since = None;
    progress.next_attempt_at = None;
}

/// Notes that an endpoint is away at this moment; returns for how long it has been.
fn away_for(progress: &mut Progress, now: Timestamp, asked: Option<Duration>) -> SignedDuration {
    let since = *progress.failing_since.get_or_insert(now);
    progress.next_attempt_at = Some(later(now, away_pause(progress.failures, asked)));
    progress.failures = progress.failures.saturating_add(1);
    now.duration_since(since)
}

/// Whether an event need not be sent once more before those behind it count.
const fn is_done(attempt: &Option<Attempt>) -> bool {
    matches!(attempt, Some(Attempt { sent: Sent::Taken | Sent::Refused(_), .. }))
}

/// An endpoint as it is, with nothing to note.
fn standing(endpoint: &WebhookEndpoint) -> Progress {
    Progress {
        revision: endpoint.revision,
        from: endpoint.position,
        to: endpoint.position,
        deliveries: Vec::new(),
        trouble: endpoint.trouble.clone(),
        failures: endpoint.failures,
        failing_since: endpoint.failing_since,
        next_attempt_at: endpoint.next_attempt_at,
        closes: false,
    }
}

/// The same for every attempt and every endpoint, so that a receiver detects a repeat.
fn message_id(event: &OrderEventView) -> String {
    format!("evt_{}_{}", event.order_id.simple(), event.position)
}

/// The events of each order together, those first whose first event came first.
fn by_order(events: Vec<OrderEventView>) -> Vec<Vec<OrderEventView>> {
    let mut orders: BTreeMap<Uuid, Vec<OrderEventView>> = BTreeMap::new();
    for event in events {
        orders.entry(event.order_id).or_default().push(event);
    }
    let mut orders: Vec<_> = orders.into_values().collect();
    orders.sort_by_key(|events| events.first().map(|event| event.position));
    orders
}

/// What is noted of an event after this attempt, which followed so many.
fn after(event: &OrderEventView, attempts_before: u32, attempt: &Attempt, revision: i64) -> Delivery {
    let attempts = attempts_before.saturating_add(1);
    let refused = |pause: Option<&u64>| match pause {
        Some(pause) => (DeliveryState::Waiting, Some(later(attempt.at, Duration::from_secs(*pause)))),
        None => (DeliveryState::Failed, None),
    };
    let index = usize::try_from(attempts_before).unwrap_or(usize::MAX);
    let ((state, next_at), answer, attempts) = match &attempt.sent {
        Sent::Taken => ((DeliveryState::Delivered, None), "taken".to_owned(), attempts),
        Sent::Refused(why) => (refused(REFUSED_PAUSES_S.get(index)), why.clone(), attempts),
        // It says nothing about this event.
        Sent::Away(why, _) => (refused(REFUSED_PAUSES_S.first()), why.clone(), attempts_before),
        Sent::Gone => (refused(REFUSED_PAUSES_S.first()), "answered 410 Gone".to_owned(), attempts_before),
    };
    Delivery {
        position: event.position,
        order_id: event.order_id,
        event_type: event.event_type.clone(),
        state,
        attempts,
        last_at: attempt.at,
        next_at,
        took_ms: u32::try_from(attempt.took.as_millis()).unwrap_or(u32::MAX),
        answer,
        revision,
    }
}

fn away_pause(failures_before: u32, asked: Option<Duration>) -> Duration {
    let doubled = AWAY_PAUSE_FIRST.saturating_mul(1_u32.checked_shl(failures_before).unwrap_or(u32::MAX));
    doubled.min(AWAY_PAUSE_MAX).max(asked.unwrap_or_default().min(ASKED_PAUSE_MAX))
}

fn later(at: Timestamp, pause: Duration) -> Timestamp {
    at.checked_add(pause).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_about_the_event_is_the_endpoint_being_away() {
        let answer = |status: u16| {
            let status = StatusCode::from_u16(status).expect("a status");
            Sent::of(Ok(WebhookAnswer { status, retry_after: Some(Duration::from_secs(7)) })).word()
        };
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(answer(status), "delivered", "{status}");
        }
        for status in [408, 425, 429, 502, 503, 504] {
            assert_eq!(answer(status), "away", "{status}");
        }
        for status in [300, 302, 400, 401, 404, 413, 422, 500, 501] {
            assert_eq!(answer(status), "refused", "{status}");
        }
        assert_eq!(answer(410), "gone");
        assert_eq!(Sent::of(Err("no route".to_owned())).word(), "away");
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_heed_what_is_asked_for() {
        let pauses: Vec<u64> = (0..10).map(|failures| away_pause(failures, None).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(away_pause(u32::MAX, None), AWAY_PAUSE_MAX);
        assert_eq!(away_pause(0, Some(Duration::from_secs(90))).as_secs(), 90);
        assert_eq!(away_pause(0, Some(Duration::from_secs(90_000))), ASKED_PAUSE_MAX);
    }

    #[test]
    fn an_event_that_is_refused_again_and_again_fails_at_last() {
        let event = OrderEventView {
            position: 7,
            event_type: "OrderShipped".to_owned(),
            order_id: Uuid::from_u128(1),
            external_reference: None,
            at: Timestamp::UNIX_EPOCH,
            status: None,
            saga_state: None,
            detail: None,
        };
        let refused = Attempt {
            at: Timestamp::UNIX_EPOCH,
            took: Duration::from_millis(3),
            sent: Sent::Refused("answered 422".to_owned()),
        };
        let mut delivery = after(&event, 0, &refused, 0);
        let mut pauses = Vec::new();
        while let Some(at) = delivery.next_at {
            assert_eq!(delivery.state, DeliveryState::Waiting);
            pauses.push(u64::try_from(at.as_second()).expect("later"));
            delivery = after(&event, delivery.attempts, &refused, 0);
        }
        assert_eq!(pauses, REFUSED_PAUSES_S);
        assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Failed, 7));
        let away = Attempt { sent: Sent::Away("no route".to_owned(), None), ..refused };
        assert_eq!(after(&event, 3, &away, 0).attempts, 3, "it was not this event's fault");
    }

    #[test]
    fn the_time_away_counts_from_the_last_event_that_got_through() {
        let hour = |hours: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
        let mut progress = Progress {
            revision: 0,
            from: 0,
            to: 0,
            deliveries: Vec::new(),
            trouble: String::new(),
            failures: 0,
            failing_since: None,
            next_attempt_at: None,
            closes: false,
        };
        assert_eq!(away_for(&mut progress, hour(1), None), SignedDuration::ZERO);
        assert_eq!(away_for(&mut progress, hour(73), None), AWAY_MAX);
        assert_eq!((progress.failing_since, progress.failures), (Some(hour(1)), 2));
        assert_eq!(progress.next_attempt_at, Some(later(hour(73), AWAY_PAUSE_FIRST * 2)));
        progress.trouble = "no route".to_owned();
        got_through(&mut progress);
        assert_eq!(
            (progress.trouble.as_str(), progress.failing_since, progress.next_attempt_at),
            ("", None, None)
        );
        assert_eq!(away_for(&mut progress, hour(74), None), SignedDuration::ZERO);
        assert_eq!(progress.failures, 1);
    }
}
