//! The webhooks that this worker has received lately: when, what, for which order, and what came of it. In memory, and bounded;
//! nothing of what an event tells is kept, so no personal data is.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use application::commands::NewsFate;
use application::ports::{Provider, ProviderNews};
use axum::Json;
use axum::extract::State;
use domain::OrderId;
use domain::text::{Lines, clean};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::Api;
use super::problem::Problem;
use super::route::Route;
use super::shape::{Schema, Shape, may, need};

/// Events that are kept, and webhooks that were not believed or not stored. Apart: anybody may send the latter, and nobody is to
/// push out what the providers told.
const EVENTS_MAX: usize = 200;
const REFUSALS_MAX: usize = 50;

/// Characters of an id or a kind; both are the provider's.
const TEXT_CHARS_MAX: usize = 80;

/// What came of an event, or of a whole webhook.
const TAKEN: &str = "taken";
const REPEAT: &str = "repeat";
const UNMATCHED: &str = "unmatched";
const REFUSED: &str = "refused";
const FAILED: &str = "failed";

/// One event, or a webhook that was refused as a whole.
#[derive(Clone, Debug, Serialize)]
struct Received {
    at: Timestamp,
    provider: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<Uuid>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    took_ms: u64,
}

/// A webhook on its way: when it came, and from whom.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) provider: Provider,
    pub(super) at: Timestamp,
    pub(super) took: Duration,
}

/// What was received lately.
#[derive(Debug)]
pub(super) struct ReceivedLately {
    since: Timestamp,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Received>,
    refusals: VecDeque<Received>,
}

impl ReceivedLately {
    /// Nothing yet, from this moment on.
    pub(super) fn since(since: Timestamp) -> Self {
        Self { since, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes events that were taken, each with its fate.
    pub(super) fn took(&self, arrival: Arrival, events: Vec<Glimpse>, fates: &[NewsFate]) {
        let mut kept = self.kept();
        for (glimpse, fate) in events.into_iter().zip(fates) {
            let (outcome, reason) = match fate {
                NewsFate::Taken => (TAKEN, None),
                NewsFate::Repeat => (REPEAT, None),
                NewsFate::Unmatched(mismatch) => (UNMATCHED, Some(mismatch.as_str().to_owned())),
            };
            keep(&mut kept.events, EVENTS_MAX, glimpse.received(arrival, outcome, reason));
        }
    }

    /// Notes events that could not be stored; their provider sends them again.
    pub(super) fn failed(&self, arrival: Arrival, events: Vec<Glimpse>) {
        let mut kept = self.kept();
        for glimpse in events {
            let reason = Some("not stored; the provider sends it again".to_owned());
            keep(&mut kept.events, EVENTS_MAX, glimpse.received(arrival, FAILED, reason));
        }
    }

    /// Notes a webhook that was not believed, or not understood.
    pub(super) fn refused(&self, arrival: Arrival, reason: String) {
        let received = Glimpse::default().received(arrival, REFUSED, Some(reason));
        keep(&mut self.kept().refusals, REFUSALS_MAX, received);
    }

    fn latest_first(&self) -> Vec<Received> {
        let kept = self.kept();
        let mut all: Vec<Received> = kept.events.iter().chain(&kept.refusals).rev().cloned().collect();
        // Stable: of one moment, the later comes first.
        all.sort_by_key(|received| Reverse(received.at));
        all
    }
}

fn keep(kept: &mut VecDeque<Received>, max: usize, received: Received) {
    if kept.len() == max {
        kept.pop_front();
    }
    kept.push_back(received);
}

/// What is kept of an event: its names.
#[derive(Default)]
pub(super) struct Glimpse {
    event_id: Option<String>,
    kind: Option<String>,
    order_id: Option<Uuid>,
}

impl Glimpse {
    pub(super) fn of(news: &ProviderNews) -> Self {
        let text = |text: &str| Some(clean(text, Lines::One, TEXT_CHARS_MAX).into_owned());
        let order_id = news.reference.parse::<OrderId>().ok().map(|id| id.0);
        Self { event_id: text(&news.event_id), kind: text(&news.type_name), order_id }
    }

    fn received(self, arrival: Arrival, outcome: &'static str, reason: Option<String>) -> Received {
        let Self { event_id, kind, order_id } = self;
        let Arrival { provider, at, took } = arrival;
        let (provider, took_ms) = (provider.as_str(), u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        Received { at, provider, event_id, kind, order_id, outcome, reason, took_ms }
    }
}

#[derive(Serialize)]
struct ReceivedView {
    since: Timestamp,
    items: Vec<Received>,
}

async fn list(State(api): State<Arc<Api>>) -> Result<Json<ReceivedView>, Problem> {
    let received = api.webhooks.received();
    Ok(Json(ReceivedView { since: received.since, items: received.latest_first() }))
}

pub(super) fn route() -> Route {
    Route::get("/provider-events/received", "listReceivedEvents", list)
        .about(
            "Lists what the providers told lately, latest first, with what came of it. It is what this worker remembers since its \
             start: up to 200 events, and 50 webhooks that were refused. Other workers have received others.",
        )
        .giving(200, &RECEIVED_LIST)
}

const RECEIVED: Shape = Shape::Named(&Schema {
    name: "ReceivedEvent",
    shape: Shape::Object(&[
        need("at", Shape::Time, "When it came."),
        need("provider", Shape::Text, "payments or shipping."),
        may("event_id", Shape::Text, "The provider's id of the event; not of a webhook that was refused."),
        may("kind", Shape::Text, "The provider's word for what it is."),
        may("order_id", Shape::Id, "The order that it names, whether there is such an order or not."),
        need(
            "outcome",
            Shape::Choice(&[TAKEN, REPEAT, UNMATCHED, REFUSED, FAILED]),
            "taken into its order; repeat: taken before; unmatched: kept in the list of those that belong to no order; refused: the \
             webhook was not believed or not understood; failed: it could not be stored.",
        ),
        may("reason", Shape::Text, "Why, if it was not taken."),
        need("took_ms", Shape::Integer, "Milliseconds from its arrival to its answer."),
    ]),
});
static RECEIVED_LIST: Schema = Schema {
    name: "ReceivedEvents",
    shape: Shape::Object(&[
        need("since", Shape::Time, "Since when this worker remembers: its start."),
        need("items", Shape::List(&RECEIVED), "The events and refusals, latest first."),
    ]),
};

#[cfg(test)]
mod tests {
    use application::ports::NewsKind;

    use super::*;

    #[test]
    fn no_flood_of_what_is_refused_pushes_out_what_was_told_and_both_stay_bounded() {
        let lately = ReceivedLately::since(Timestamp::UNIX_EPOCH);
        let (provider, took) = (Provider::Payments, Duration::from_millis(3));
        let at = |second| Timestamp::from_second(second).expect("a moment");
        let news = |number: i64| {
            let kind = NewsKind::PaymentDeclined { code: "no".to_owned() };
            ProviderNews::honest(&format!("e-{number}"), OrderId(Uuid::from_u128(7)), kind, at(0))
        };
        for number in 0..300 {
            let arrival = Arrival { provider, at: at(number), took };
            lately.took(arrival, vec![Glimpse::of(&news(number))], &[NewsFate::Taken]);
        }
        for number in 300..900 {
            lately.refused(Arrival { provider, at: at(number), took }, "no signature fits".to_owned());
        }
        let all = lately.latest_first();
        assert_eq!(all.len(), EVENTS_MAX + REFUSALS_MAX);
        assert_eq!((all[0].at, all[0].outcome), (at(899), REFUSED));
        let told = &all[REFUSALS_MAX];
        assert_eq!((told.event_id.as_deref(), told.outcome, told.took_ms), (Some("e-299"), TAKEN, 3));
        assert_eq!(all.last().and_then(|last| last.event_id.as_deref()), Some("e-100"));
    }
}
