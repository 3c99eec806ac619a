//! Dead letters over HTTP: list, read and group them. Moves none.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bus::{Archived, DeadLetter, DeadLetterFilter, GroupKey, MessageId, Shelf};
use http::request::Parts;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::Api;
use super::cursor::Position;
use super::parameters::{CURSOR, LIMIT, More, PageAnswer, Query};
use super::problem::{Code, Problem};
use super::route::{self, Parameter, Route};
use super::shape::{Schema, Shape, may, need};
use crate::letters::GroupsView;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/dead-letters", "listDeadLetters", list)
            .about("Lists messages that could not be handled, oldest first, each with the last error.")
            .with(&WANTED)
            .with(&[route::query("archived", Shape::Boolean, "Those that were archived instead."), CURSOR, LIMIT])
            .giving(200, &DEAD_LETTERS)
            .failing(&[Code::InvalidParameter])
            .asking_the_store(),
        Route::get("/dead-letters/groups", "groupDeadLetters", groups)
            .about(
                "Groups dead letters by cause: queue, kind, and the error without ids, numbers, times and quoted texts. The \
                 most numerous group first. Reads the latest 10,000; 'is_partial' says that there are more, so that counts \
                 are 'at least'.",
            )
            .with(&WANTED)
            .with(&[LIMIT])
            .giving(200, &GROUPS)
            .failing(&[Code::InvalidParameter])
            .asking_the_store(),
    ]
}

/// What dead letters are listed and grouped by.
const WANTED: [Parameter; 5] = [
    route::query("queue", Shape::Text, "Only this queue."),
    route::query("kind", Shape::Text, "Only this kind of message."),
    route::query("reason_contains", Shape::Text, "Only errors that contain this text."),
    route::query("message_id", Shape::Id, "Only this message."),
    route::query("group", Shape::Text, "Only this group: its key."),
];

/// A dead letter as it is shown.
#[derive(Serialize)]
struct DeadLetterView {
    position: i64,
    group: String,
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
    archived_at: Option<Timestamp>,
    archived_by: Option<String>,
    archive_note: Option<String>,
    /// As JSON if it is JSON, else as text with whatever is no text replaced.
    body: Value,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        let group = letter.group().to_string();
        let envelope = letter.envelope;
        let (archived_at, archived_by, archive_note) = match letter.archived {
            Some(Archived { at, by, note }) => (Some(at), Some(by), Some(note)),
            None => (None, None, None),
        };
        let body = serde_json::from_slice(&envelope.body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&envelope.body).into_owned()));
        Self {
            position: letter.position,
            group,
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
            archived_at,
            archived_by,
            archive_note,
            body,
        }
    }
}

/// The dead letters that a query asks for.
fn filter(query: &mut Query) -> DeadLetterFilter {
    let text = |text: &str| Ok::<_, String>(text.to_owned());
    DeadLetterFilter {
        queue: query.take("queue", text),
        kind: query.take("kind", text),
        reason_contains: query.take("reason_contains", text),
        message_id: query.take("message_id", str::parse::<Uuid>).map(MessageId),
        group: query.take("group", str::parse::<GroupKey>),
        after: None,
        shelf: Shelf::Waiting,
    }
}

async fn list(
    State(api): State<Arc<Api>>,
    parts: Parts,
) -> Result<Json<PageAnswer<DeadLetterView>>, Problem> {
    let known: Vec<&str> = WANTED.iter().map(|it| it.name).chain(["archived", "cursor", "limit"]).collect();
    let mut query = Query::of(&parts, &known);
    let after = query.cursor::<Position>().map(|Position(position)| position);
    let shelf = match query.take("archived", str::parse::<bool>) {
        Some(true) => Shelf::Archived,
        Some(false) | None => Shelf::Waiting,
    };
    let filter = DeadLetterFilter { after, shelf, ..filter(&mut query) };
    let limit = query.limit();
    query.finish()?;
    let mut letters = api.dead_letters.list_dead_letters(&filter, limit + 1).await?;
    let more = More::from(letters.len() > limit);
    letters.truncate(limit);
    let items = letters.into_iter().map(DeadLetterView::from).collect();
    Ok(Json(PageAnswer::new(items, more, |letter: &DeadLetterView| Some(Position(letter.position)))))
}

async fn groups(State(api): State<Arc<Api>>, parts: Parts) -> Result<Json<GroupsView>, Problem> {
    let known: Vec<&str> = WANTED.iter().map(|it| it.name).chain(["limit"]).collect();
    let mut query = Query::of(&parts, &known);
    let filter = filter(&mut query);
    let limit = query.limit();
    query.finish()?;
    Ok(Json(api.dead_letters.group_dead_letters(&filter, limit).await?.into()))
}

const DEAD_LETTER: Shape = Shape::Named(&Schema {
    name: "DeadLetter",
    shape: Shape::Object(&[
        need("position", Shape::Integer, "Its place in the store."),
        need("group", Shape::Text, "The key of its group: of those with the same cause."),
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
        may("archived_at", Shape::Time, "When it was archived, if it was."),
        may("archived_by", Shape::Text, "By whom."),
        may("archive_note", Shape::Text, "Why."),
        may("body", Shape::Any, "What it says."),
    ]),
});
static DEAD_LETTERS: Schema = Schema {
    name: "DeadLetterPage",
    shape: Shape::Object(&[
        need("items", Shape::List(&DEAD_LETTER), "The messages, oldest first."),
        may("next_cursor", Shape::Text, "Where the next page begins, if there is one."),
    ]),
};
const GROUP: Shape = Shape::Named(&Schema {
    name: "DeadLetterGroup",
    shape: Shape::Object(&[
        need("key", Shape::Text, "Its key, for the filter 'group'."),
        need("queue", Shape::Text, "The queue."),
        need("kind", Shape::Text, "The kind of message."),
        need(
            "pattern",
            Shape::Text,
            "The error, with # for ids, numbers and times and '…' for quoted texts.",
        ),
        need("count", Shape::Integer, "How many were read."),
        need("sample", Shape::Integer, "The position of one of them, the latest."),
        need("first_died_at", Shape::Time, "When the first of those was set aside."),
        need("last_died_at", Shape::Time, "When the last of those was set aside."),
    ]),
});
static GROUPS: Schema = Schema {
    name: "DeadLetterGroups",
    shape: Shape::Object(&[
        need("items", Shape::List(&GROUP), "The groups, the most numerous first."),
        need(
            "is_partial",
            Shape::Boolean,
            "Whether there are dead letters that were not read: counts are 'at least'.",
        ),
        need("has_more", Shape::Boolean, "Whether there are more groups."),
    ]),
};
