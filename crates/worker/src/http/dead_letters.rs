//! Dead letters over HTTP: list and read them. Puts none back.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bus::{DeadLetter, DeadLetterFilter, MessageId};
use http::request::Parts;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::Api;
use super::cursor::Position;
use super::parameters::{CURSOR, LIMIT, More, PageAnswer, Query};
use super::problem::{Code, Problem};
use super::route::{self, Route};
use super::shape::{Schema, Shape, may, need};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/dead-letters", "listDeadLetters", list)
            .about("Lists messages that could not be handled, oldest first, each with the last error.")
            .with(&[
                route::query("queue", Shape::Text, "Only this queue."),
                route::query("kind", Shape::Text, "Only this kind of message."),
                route::query("reason_contains", Shape::Text, "Only errors that contain this text."),
                route::query("message_id", Shape::Id, "Only this message."),
                CURSOR,
                LIMIT,
            ])
            .giving(200, &DEAD_LETTERS)
            .failing(&[Code::InvalidParameter])
            .asking_the_store(),
    ]
}

/// A dead letter as it is shown.
#[derive(Serialize)]
struct DeadLetterView {
    position: i64,
    queue: String,
    kind: String,
    message_id: Uuid,
    correlation_id: Uuid,
    causation_id: Option<Uuid>,
    conversation_id: Uuid,
    traceparent: Option<String>,
    attempt: u32,
    reason: String,
    sent_at: Timestamp,
    died_at: Timestamp,
    /// As JSON if it is JSON, else as text with whatever is no text replaced.
    body: Value,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        let envelope = letter.envelope;
        let body = serde_json::from_slice(&envelope.body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&envelope.body).into_owned()));
        Self {
            position: letter.position,
            queue: letter.queue.to_string(),
            kind: envelope.kind.to_string(),
            message_id: envelope.id.0,
            correlation_id: envelope.correlation_id.0,
            causation_id: envelope.causation_id.map(|MessageId(id)| id),
            conversation_id: envelope.conversation_id.0,
            traceparent: envelope.traceparent.map(|text| text.to_string()),
            attempt: envelope.attempt,
            reason: letter.reason,
            sent_at: envelope.sent_at,
            died_at: letter.died_at,
            body,
        }
    }
}

async fn list(
    State(api): State<Arc<Api>>,
    parts: Parts,
) -> Result<Json<PageAnswer<DeadLetterView>>, Problem> {
    let known = ["queue", "kind", "reason_contains", "message_id", "cursor", "limit"];
    let mut query = Query::of(&parts, &known);
    let text = |text: &str| Ok::<_, String>(text.to_owned());
    let filter = DeadLetterFilter {
        queue: query.take("queue", text),
        kind: query.take("kind", text),
        reason_contains: query.take("reason_contains", text),
        message_id: query.take("message_id", str::parse::<Uuid>).map(MessageId),
        after: query.cursor::<Position>().map(|Position(position)| position),
    };
    let limit = query.limit();
    query.finish()?;
    let mut letters = api.dead_letters.list_dead_letters(&filter, limit + 1).await?;
    let more = More::from(letters.len() > limit);
    letters.truncate(limit);
    let items = letters.into_iter().map(DeadLetterView::from).collect();
    Ok(Json(PageAnswer::new(items, more, |letter: &DeadLetterView| Some(Position(letter.position)))))
}

const DEAD_LETTER: Shape = Shape::Object(&[
    need("position", Shape::Integer, "Its place in the store."),
    need("queue", Shape::Text, "The queue that it was meant for."),
    need("kind", Shape::Text, "The kind of message."),
    need("message_id", Shape::Id, "The message."),
    need("correlation_id", Shape::Id, "The order that it is about."),
    may("causation_id", Shape::Id, "The message that caused it."),
    need("conversation_id", Shape::Id, "The message that all began with."),
    may("traceparent", Shape::Text, "W3C trace context."),
    need("attempt", Shape::Integer, "How often handling it has failed."),
    need("reason", Shape::Text, "The last error."),
    need("sent_at", Shape::Time, "When it was sent."),
    need("died_at", Shape::Time, "When it was set aside."),
    may("body", Shape::Any, "What it says."),
]);
static DEAD_LETTERS: Schema = Schema {
    name: "DeadLetterPage",
    shape: Shape::Object(&[
        need("items", Shape::List(&DEAD_LETTER), "The messages, oldest first."),
        may("next_cursor", Shape::Text, "Where the next page begins, if there is one."),
    ]),
};
