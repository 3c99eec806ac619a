//! The events of all orders over HTTP, for programs that follow them: a stretch at a time, waiting for the next, or as a stream.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use application::ports::{EVENT_TYPES, EventFilter, EventPage, EventsRead, OrderEventView};
use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use http::header::ACCEPT;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use tokio::time::Instant;

use super::Api;
use super::integrations::{Follower, Waited};
use super::limits::{EVENT_STREAM_MAX, PAGE_DEFAULT, PREFERRED_WAIT_MAX};
use super::parameters::{LIMIT, Query};
use super::problem::{Code, Problem};
use super::route::{self, Route};
use super::shape::{Schema, Shape, may, need};
use crate::webhook_endpoints::check_type;

/// The media type of a stream of events.
const EVENT_STREAM: &str = "text/event-stream";

/// How long a stream is silent at most.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/events", "listEvents", list)
            .about(
                "Lists the events of all orders in one order and without a gap: what is behind a position once is behind it \
                 always. Ask again with 'next' for what comes then. With the Accept header 'text/event-stream' the events come as \
                 a stream; a client that is cut off goes on where its Last-Event-ID was.",
            )
            .with(&[
                route::query(
                    "after",
                    Shape::Text,
                    "The position to begin behind: 'next' of the answer before; 0, as if left out, for the oldest that is kept; \
                     'newest' for what happens from now on.",
                ),
                route::query(
                    "types",
                    Shape::Text,
                    "Only these types of events, with commas between; all if left out.",
                ),
                LIMIT,
                route::query(
                    "wait",
                    Shape::Integer,
                    "Seconds to wait for an event if there is none, 0 to 30; 0 unless said.",
                ),
                route::optional_header("Last-Event-ID", "For a stream: the id of the last event that came."),
            ])
            .giving(200, &EVENTS)
            .giving_text(200, EVENT_STREAM)
            .failing(&[Code::InvalidParameter, Code::EventsGone, Code::PositionUnknown, Code::Overloaded])
            .asking_the_store(),
    ]
}

/// A stretch of events, as it is answered.
#[derive(Serialize)]
struct Stretch {
    items: Vec<OrderEventView>,
    next: i64,
    has_more: bool,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Position(i64),
    Newest,
}

/// What is asked for.
struct Wish {
    after: After,
    types: Vec<String>,
    limit: usize,
    wait: Duration,
}

async fn list(State(api): State<Arc<Api>>, parts: Parts) -> Result<Response, Problem> {
    let is_stream = parts.headers.get_all(ACCEPT).iter().any(|value| {
        value.to_str().is_ok_and(|text| text.split(',').any(|kind| kind.trim().starts_with(EVENT_STREAM)))
    });
    let wish = wish(&parts)?;
    let after = match wish.after {
        After::Position(position) => position,
        After::Newest => api.integrations.log.newest_event().await?,
    };
    let filter = EventFilter { after, types: wish.types };
    if is_stream { stream(api, filter).await } else { stretch(&api, filter, wish.limit, wish.wait).await }
}

fn wish(parts: &Parts) -> Result<Wish, Problem> {
    let mut query = Query::of(parts, &["after", "types", "limit", "wait"]);
    let after = query.take("after", |text| match text {
        "newest" => Ok(After::Newest),
        text => position(text).map(After::Position),
    });
    let types = query.take("types", |text| {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(|name| check_type(name).map(|()| name.to_owned())).collect::<Result<Vec<_>, _>>()
    });
    let limit = query.limit();
    let wait = query.take("wait", |text| match text.parse::<u64>() {
        Ok(seconds) if seconds <= PREFERRED_WAIT_MAX.as_secs() => Ok(Duration::from_secs(seconds)),
        Ok(_) | Err(_) => {
            Err(format!("a whole number from 0 to {}, not '{text}'", PREFERRED_WAIT_MAX.as_secs()))
        }
    });
    query.finish()?;
    let last = last_event_id(&parts.headers)?.map(After::Position);
    Ok(Wish {
        after: last.or(after).unwrap_or(After::Position(0)),
        types: types.unwrap_or_default(),
        limit,
        wait: wait.unwrap_or_default(),
    })
}

fn position(text: &str) -> Result<i64, String> {
    let parsed = text.parse::<i64>().ok().filter(|position| *position >= 0);
    parsed.ok_or_else(|| format!("'next' of the answer before, 0 or 'newest', not '{text}'"))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get("last-event-id").filter(|value| !value.is_empty()) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    position(text).map(Some).map_err(|_| {
        Problem::new(
            Code::InvalidParameter,
            "Last-Event-ID is the id of an event of this stream, a whole number",
        )
    })
}

async fn read(api: &Api, filter: &EventFilter, max: usize) -> Result<EventPage, Problem> {
    match api.integrations.log.events(filter, max).await? {
        EventsRead::Page(page) => Ok(page),
        EventsRead::Swept { up_to } => {
            let detail = format!(
                "events up to {up_to} are past their time; read the orders anew, and go on with after={up_to}"
            );
            Err(Problem::new(Code::EventsGone, detail))
        }
        EventsRead::Beyond { newest } => {
            let detail = format!(
                "the newest event is {newest}; a position beyond it is another database's, or was given before this one \
                 was restored: read the orders anew, and go on with after={newest}"
            );
            Err(Problem::new(Code::PositionUnknown, detail))
        }
    }
}

/// One stretch; waits for its first event if it may.
async fn stretch(
    api: &Api,
    mut filter: EventFilter,
    limit: usize,
    wait: Duration,
) -> Result<Response, Problem> {
    let until = Instant::now() + wait;
    let mut follower = None;
    loop {
        let page = read(api, &filter, limit).await?;
        let left = until.saturating_duration_since(Instant::now());
        if !page.events.is_empty() || page.has_more || left.is_zero() {
            return Ok(answer(page));
        }
        // What was read holds none of the wanted types.
        filter.after = page.next;
        let follower = match &mut follower {
            Some(follower) => follower,
            none => none.insert(api.integrations.follow().ok_or_else(too_many)?),
        };
        match follower.beyond(page.next, left).await {
            Waited::Woken => {}
            Waited::TooLong | Waited::Stopping => return Ok(answer(page)),
        }
    }
}

fn answer(page: EventPage) -> Response {
    Json(Stretch { items: page.events, next: page.next, has_more: page.has_more }).into_response()
}

fn too_many() -> Problem {
    Problem::new(
        Code::Overloaded,
        "too many programs wait for events; ask without 'wait', or again in a moment",
    )
}

/// A stream of events. It ends after a while, so that a key that was revoked is found out; a client comes again by itself.
struct Stream {
    api: Arc<Api>,
    filter: EventFilter,
    follower: Follower,
    ready: VecDeque<OrderEventView>,
    /// The place that the client knows; none before the first line.
    known: Option<i64>,
    ends_at: Instant,
    has_ended: bool,
}

impl Stream {
    /// The next line; none at the end.
    async fn next(mut self) -> Option<(Result<Event, axum::Error>, Self)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.known = Some(event.position);
                return Some((told(&event), self));
            }
            if self.has_ended || Instant::now() >= self.ends_at {
                return None;
            }
            let page = match read(&self.api, &self.filter, PAGE_DEFAULT).await {
                Ok(page) => page,
                Err(problem) => {
                    // The client finds out what it is when it comes again.
                    self.has_ended = true;
                    let event = Event::default().event("ended").data(problem.detail());
                    return Some((Ok(event), self));
                }
            };
            self.filter.after = page.next;
            let has_more = page.has_more;
            self.ready = page.events.into();
            if !self.ready.is_empty() || has_more {
                continue;
            }
            // Without an event too, the client must know from where to go on when it comes again.
            if self.known != Some(self.filter.after) {
                let place = self.place();
                return Some((Ok(place), self));
            }
            let left = HEARTBEAT.min(self.ends_at.saturating_duration_since(Instant::now()));
            match self.follower.beyond(self.filter.after, left).await {
                Waited::Woken => {}
                Waited::TooLong => self.known = None,
                Waited::Stopping => return None,
            }
        }
    }

    /// A line that is no event, and moves the client's `Last-Event-ID` to where this stream stands.
    fn place(&mut self) -> Event {
        self.known = Some(self.filter.after);
        Event::default().id(self.filter.after.to_string())
    }
}

fn told(event: &OrderEventView) -> Result<Event, axum::Error> {
    Event::default().id(event.position.to_string()).event(&event.event_type).json_data(event)
}

async fn stream(api: Arc<Api>, filter: EventFilter) -> Result<Response, Problem> {
    // What is wrong with the position is answered as a problem.
    read(&api, &filter, 1).await?;
    let follower = api.integrations.follow().ok_or_else(too_many)?;
    let ends_at = Instant::now() + EVENT_STREAM_MAX;
    let stream =
        Stream { api, filter, follower, ready: VecDeque::new(), known: None, ends_at, has_ended: false };
    let mut response = Sse::new(unfold(stream, Stream::next)).into_response();
    // A proxy that gathers an answer before it passes it on would hold every event back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// One event.
const EVENT: Shape = Shape::Named(&Schema {
    name: "OrderEvent",
    shape: Shape::Object(&[
        need(
            "position",
            Shape::Integer,
            "Its place among the events of all orders; grows from event to event, with gaps.",
        ),
        need("type", Shape::Choice(&EVENT_TYPES), "What happened."),
        need("order_id", Shape::Id, "The order."),
        may("external_reference", Shape::Text, "The order's reference in another system."),
        need("at", Shape::Time, "When."),
        may("status", Shape::Text, "The order's status afterwards."),
        may("saga_state", Shape::Text, "The saga's state afterwards."),
        may("detail", Shape::Text, "More, in words."),
    ]),
});
static EVENTS: Schema = Schema {
    name: "OrderEvents",
    shape: Shape::Object(&[
        need("items", Shape::List(&EVENT), "The events, in order; there may be none although more follow."),
        need("next", Shape::Integer, "Where to go on: 'after' of the next question."),
        need("has_more", Shape::Boolean, "Whether there is more to read already."),
    ]),
};
