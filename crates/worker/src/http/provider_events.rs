//! Events of providers that belong to no order, over HTTP: list them, and note that a person has seen to one. Changes no order.

use std::sync::Arc;

use application::commands::{SeeToEventCommand, TakeEventAgainCommand, TakenAgain};
use application::ports::{Answer, Provider, Seen, UnmatchedFilter, UnmatchedView, Which};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use serde::Serialize;

use super::cursor::Position;
use super::meaning::Meaning;
use super::parameters::{CURSOR, LIMIT, PageAnswer, PositionInPath, Query};
use super::problem::{Code, Problem};
use super::route::{self, Route};
use super::shape::{Schema, Shape, may, need};
use super::signature::{SIGNATURE, Signature};
use super::{Api, body, idempotency, received};

/// The names of the operations that write.
const SEE_TO: &str = "seeToUnmatchedEvent";
const TAKE_AGAIN: &str = "takeUnmatchedEventAgain";

pub(super) fn routes() -> Vec<Route> {
    vec![
        received::route(),
        Route::get("/provider-events/unmatched", "listUnmatchedEvents", list)
            .about(
                "Lists events of the providers that belong to no order of ours, oldest first: of unknown orders, under another \
                 order's key, about parcels that are not ours, of unknown kinds.",
            )
            .with(&[
                route::query("provider", Shape::Text, "Only this provider: payments or shipping."),
                route::query("which", Shape::Text, "unseen, which is the default, or all."),
                CURSOR,
                LIMIT,
            ])
            .giving(200, &EVENTS)
            .failing(&[Code::InvalidParameter])
            .asking_the_store(),
        Route::post("/provider-events/unmatched/{position}/seen", SEE_TO, see_to)
            .about("Notes that a person has seen to an event, and what came of it. Moves no money and no order.")
            .with(&[route::path("position", Shape::Integer, "Its place in the list.")])
            .once()
            .taking(&SIGNATURE)
            .giving(200, &SEEN)
            .failing(&[Code::InvalidParameter, Code::EventNotFound])
            .asking_the_store(),
        Route::post("/provider-events/unmatched/{position}/take-again", TAKE_AGAIN, take_again)
            .about(
                "Takes an event once more: the order that it belongs to may be known by now. It then counts as if it had just \
                 come, and is marked as seen to.",
            )
            .with(&[route::path("position", Shape::Integer, "Its place in the list.")])
            .once()
            .taking(&SIGNATURE)
            .giving(200, &TAKEN)
            .failing(&[Code::InvalidParameter, Code::EventNotFound, Code::EventUnmatched])
            .asking_the_store(),
    ]
}

async fn list(State(api): State<Arc<Api>>, parts: Parts) -> Result<Json<PageAnswer<UnmatchedView>>, Problem> {
    let mut query = Query::of(&parts, &["provider", "which", "cursor", "limit"]);
    let filter = UnmatchedFilter {
        provider: query.take("provider", str::parse::<Provider>),
        which: query.take("which", which).unwrap_or_default(),
        after: query.cursor::<Position>().map(|Position(position)| position),
    };
    let limit = query.limit();
    query.finish()?;
    let page = api.readers.unmatched(&filter, limit).await?;
    let place = |event: &UnmatchedView| Some(Position(event.position));
    Ok(Json(PageAnswer::new(page.items, page.has_more.into(), place)))
}

fn which(text: &str) -> Result<Which, String> {
    match text {
        "unseen" => Ok(Which::Unseen),
        "all" => Ok(Which::All),
        other => Err(format!("unseen or all, not '{other}'")),
    }
}

#[derive(Serialize)]
struct SeenTo {
    position: i64,
    /// `now` or `before`.
    seen: &'static str,
}

async fn see_to(
    State(api): State<Arc<Api>>,
    PositionInPath(position): PositionInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let signed = Signature::of(&body::json(&head.headers, body).await?)?;
    let command = SeeToEventCommand { position, actor: signed.actor, note: signed.note };
    let SeeToEventCommand { actor, note, .. } = &command;
    let meaning = Meaning::of(SEE_TO).text(&position.to_string()).text(actor).text(note);
    idempotency::once(&api, &head, meaning, &command, |seen| seen_to(position, seen)).await
}

fn seen_to(position: i64, seen: Seen) -> Result<Answer, Problem> {
    let told = |seen| idempotency::answer(StatusCode::OK, &SeenTo { position, seen });
    match seen {
        Seen::Now => told("now"),
        Seen::Before => told("before"),
        Seen::NotFound => Err(not_there(position)),
    }
}

#[derive(Serialize)]
struct Taken {
    position: i64,
    /// `now` or `before`.
    taken: &'static str,
}

async fn take_again(
    State(api): State<Arc<Api>>,
    PositionInPath(position): PositionInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let signed = Signature::of(&body::json(&head.headers, body).await?)?;
    let command = TakeEventAgainCommand { position, actor: signed.actor, note: signed.note };
    let TakeEventAgainCommand { actor, note, .. } = &command;
    let meaning = Meaning::of(TAKE_AGAIN).text(&position.to_string()).text(actor).text(note);
    idempotency::once(&api, &head, meaning, &command, |taken| taken_again(position, taken)).await
}

fn taken_again(position: i64, taken: TakenAgain) -> Result<Answer, Problem> {
    let told = |taken| idempotency::answer(StatusCode::OK, &Taken { position, taken });
    match taken {
        TakenAgain::Taken => told("now"),
        TakenAgain::Before => told("before"),
        TakenAgain::Unmatched(mismatch) => Err(Problem::new(
            Code::EventUnmatched,
            format!("the event at position {position} still belongs to no order: {mismatch}"),
        )),
        TakenAgain::NotFound => Err(not_there(position)),
    }
}

fn not_there(position: i64) -> Problem {
    let detail = format!(
        "there is no unmatched event at position {position}; GET /provider-events/unmatched lists them"
    );
    Problem::new(Code::EventNotFound, detail)
}

const EVENT: Shape = Shape::Named(&Schema {
    name: "UnmatchedEvent",
    shape: Shape::Object(&[
        need("position", Shape::Integer, "Its place in the list."),
        need("provider", Shape::Text, "payments or shipping."),
        need("event_id", Shape::Text, "The provider's id of the event."),
        need("kind", Shape::Text, "The provider's word for what it is."),
        need(
            "reason",
            Shape::Text,
            "Why it belongs to no order, as a code such as unknown_order or another_key.",
        ),
        need("reference", Shape::Text, "Whose it is, as the provider says."),
        need("idempotency_key", Shape::Text, "Under which key, as the provider says."),
        need("detail", Shape::Text, "What it tells, in words."),
        need("occurred_at", Shape::Time, "When it happened, by the provider's clock."),
        need("received_at", Shape::Time, "When it came."),
        may("seen_at", Shape::Time, "When a person saw to it."),
        may("seen_by", Shape::Text, "Who that was."),
        may("note", Shape::Text, "What came of it."),
    ]),
});
static EVENTS: Schema = Schema {
    name: "UnmatchedEventPage",
    shape: Shape::Object(&[
        need("items", Shape::List(&EVENT), "The events, oldest first."),
        may("next_cursor", Shape::Text, "Where the next page begins, if there is one."),
    ]),
};
static TAKEN: Schema = Schema {
    name: "UnmatchedEventTaken",
    shape: Shape::Object(&[
        need("position", Shape::Integer, "Its place in the list."),
        need("taken", Shape::Text, "now, or before if it was seen to already."),
    ]),
};
static SEEN: Schema = Schema {
    name: "UnmatchedEventSeen",
    shape: Shape::Object(&[
        need("position", Shape::Integer, "Its place in the list."),
        need("seen", Shape::Text, "now, or before if somebody had seen to it already."),
    ]),
};
