//! Putting dead letters back and archiving them over HTTP: by the same filters as they are listed, never more than was asked
//! for, with a result for each. Knows no store.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use application::ports::Answer;
use axum::extract::{Request, State};
use axum::response::Response;
use bus::{DeadLetterFilter, GroupKey, LetterAct, MessageId, Shelf};
use http::StatusCode;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::idempotency::{CHANGED_WORDS, Keyed};
use super::limits::{NOTE_BYTES_MAX, TEXT_BYTES_MAX};
use super::meaning::Meaning;
use super::problem::{Code, Problem, Wrong};
use super::route::Route;
use super::shape::{Schema, Shape, may, need};
use super::text::Texts;
use super::{Api, body, idempotency};
use crate::letters::{self, Errand, Item, Outcome, Pace};

/// Dead letters of one request.
const MAX: i64 = 1_000;

/// Dead letters of a request that does not say how many.
const MAX_DEFAULT: i64 = 100;

/// How many are moved in a second unless a request says otherwise.
const PER_SECOND_DEFAULT: i64 = 100;

/// The highest rate.
const PER_SECOND_MAX: i64 = 10_000;

/// How long one request may take. What it has not reached by then, it leaves and says so.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/dead-letters/redrive", REDRIVE, redrive)
            .about(
                "Puts the first 'max' dead letters that match back into their queues, oldest first and at a rate, and says \
                 what became of each. An archived one is found by its message_id. Takes 20 seconds at most: the outcome of what \
                 was not reached is 'left'.",
            )
            .once()
            .taking(&REDRIVE_WISH)
            .giving(200, &DONE)
            .failing(&[Code::ChangedMeanwhile])
            .asking_the_store(),
        Route::post("/dead-letters/discard", DISCARD, discard)
            .about(
                "Archives the first 'max' dead letters that match, oldest first, and says what became of each. Nothing is \
                 deleted: GET /dead-letters?archived=true lists them, and each can be put back by its message_id.",
            )
            .once()
            .taking(&DISCARD_WISH)
            .giving(200, &DONE)
            .failing(&[Code::ChangedMeanwhile])
            .asking_the_store(),
    ]
}

/// What a client asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    queue: Option<String>,
    kind: Option<String>,
    reason_contains: Option<String>,
    group: Option<String>,
    message_id: Option<Uuid>,
    #[serde(default, deserialize_with = "application::whole_number::read_optional")]
    max: Option<i64>,
    #[serde(default, deserialize_with = "application::whole_number::read_optional")]
    per_second: Option<i64>,
    dry_run: Option<bool>,
    #[serde(default, deserialize_with = "application::whole_number::read_optional")]
    seen: Option<i64>,
    actor: String,
    note: String,
}

/// The same, checked.
struct Checked {
    filter: DeadLetterFilter,
    max: i64,
    per_second: i64,
    dry_run: bool,
    /// The position of the first that matched when the client looked.
    seen: Option<i64>,
    actor: String,
    note: String,
}

#[derive(Serialize)]
struct Done {
    dry_run: bool,
    moved: usize,
    has_more: bool,
    items: Vec<Item>,
}

async fn redrive(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Problem> {
    act(&api, LetterAct::Redrive, request).await
}

async fn discard(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Problem> {
    act(&api, LetterAct::Archive, request).await
}

async fn act(api: &Api, act: LetterAct, request: Request) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let wish = checked(act, &body::json(&head.headers, body).await?)?;
    if wish.dry_run {
        return carried_out(api, act, &wish).await.map(idempotency::given);
    }
    once(api, &head, act, &wish).await
}

/// Each dead letter is moved once: one that was moved is no longer there.
async fn once(api: &Api, head: &Parts, act: LetterAct, wish: &Checked) -> Result<Response, Problem> {
    let keyed = Keyed::of(api, head, meaning(act, wish))?;
    match keyed.answered().await? {
        Some(answered) => Ok(answered),
        None => keyed.keep(carried_out(api, act, wish).await?).await,
    }
}

async fn carried_out(api: &Api, act: LetterAct, wish: &Checked) -> Result<Answer, Problem> {
    let letters = api.dead_letters.as_ref();
    let max = usize::try_from(wish.max).unwrap_or(0);
    let (mut items, has_more) = letters::find(letters, act, &wish.filter, max).await?;
    if !letters::is_as_seen(&items, wish.seen) {
        return Err(Problem::new(Code::ChangedMeanwhile, CHANGED_WORDS));
    }
    if !wish.dry_run {
        let rate = u32::try_from(wish.per_second).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let context = api.commands.context();
        let errand = Errand {
            letters,
            clock: context.clock.as_ref(),
            act,
            actor: &wish.actor,
            note: &wish.note,
            until: Some(Instant::now() + PATIENCE),
        };
        errand.run(&mut items, &mut Pace::new(rate), |_| ()).await?;
    }
    let done = Done { dry_run: wish.dry_run, moved: letters::moved(&items), has_more, items };
    idempotency::answer(StatusCode::OK, &done)
}

/// What a text asks for.
fn checked(act: LetterAct, text: &[u8]) -> Result<Checked, Problem> {
    let schema = match act {
        LetterAct::Redrive => &REDRIVE_WISH,
        LetterAct::Archive => &DISCARD_WISH,
    };
    let wish: Wish = body::parse(text, &schema.shape)?;
    let mut texts = Texts::default();
    for (pointer, text) in
        [("/queue", &wish.queue), ("/kind", &wish.kind), ("/reason_contains", &wish.reason_contains)]
    {
        texts.optional(pointer, text.as_deref(), TEXT_BYTES_MAX);
    }
    if act == LetterAct::Archive && wish.per_second.is_some() {
        let detail = "archiving has no rate; leave per_second out";
        texts.add(Wrong::at("/per_second", "unknown_member", detail));
    }
    let group = wish.group.map(|text| texts.take("/group", "invalid_value", text.parse::<GroupKey>()));
    let (max, per_second) = (wish.max.unwrap_or(MAX_DEFAULT), wish.per_second.unwrap_or(PER_SECOND_DEFAULT));
    texts.within("/max", max, 1, MAX);
    texts.within("/per_second", per_second, 1, PER_SECOND_MAX);
    texts.needed("/actor", &wish.actor, TEXT_BYTES_MAX);
    texts.needed("/note", &wish.note, NOTE_BYTES_MAX);
    texts.finish()?;
    let filter = DeadLetterFilter {
        queue: wish.queue,
        kind: wish.kind,
        reason_contains: wish.reason_contains,
        message_id: wish.message_id.map(MessageId),
        group: group.flatten(),
        after: None,
        shelf: Shelf::Waiting,
    };
    let per_second = match act {
        LetterAct::Redrive => per_second,
        LetterAct::Archive => PER_SECOND_MAX,
    };
    let dry_run = wish.dry_run.unwrap_or(false);
    let Wish { seen, actor, note, .. } = wish;
    Ok(Checked { filter, max, per_second, dry_run, seen, actor, note })
}

fn meaning(act: LetterAct, wish: &Checked) -> Meaning {
    let Checked { filter, max, per_second, dry_run: _, seen, actor, note } = wish;
    let DeadLetterFilter { queue, kind, reason_contains, message_id, group, after: _, shelf: _ } = filter;
    let operation = match act {
        LetterAct::Redrive => REDRIVE,
        LetterAct::Archive => DISCARD,
    };
    let said = Meaning::of(operation)
        .optional(queue.as_deref())
        .optional(kind.as_deref())
        .optional(reason_contains.as_deref())
        .optional(message_id.map(|id| id.to_string()).as_deref())
        .optional(group.map(|group| group.to_string()).as_deref())
        .number(*max)
        .number(*per_second)
        .text(actor)
        .text(note);
    match seen {
        Some(seen) => said.number(*seen),
        None => said,
    }
}

/// What a member 'seen' means.
const SEEN: &str = "The position of the first that matched when you looked: if another is the first by now, nothing is done.";

/// Names of the operations.
const REDRIVE: &str = "redriveDeadLetters";
const DISCARD: &str = "discardDeadLetters";

static REDRIVE_WISH: Schema = Schema {
    name: "DeadLetterRedrive",
    shape: Shape::Object(&[
        may("queue", Shape::Text, "Only from this queue."),
        may("kind", Shape::Text, "Only this kind of message."),
        may("reason_contains", Shape::Text, "Only errors that contain this text."),
        may("group", Shape::Text, "Only this group: its key."),
        may("message_id", Shape::Id, "Only this message, archived or not."),
        may("max", Shape::Integer, "How many at most, 1 to 1000; 100 unless said."),
        may("per_second", Shape::Integer, "How many in a second, 1 to 10000; 100 unless said."),
        may("dry_run", Shape::Boolean, "Only say which it would be."),
        may("seen", Shape::Integer, SEEN),
        need("actor", Shape::Text, "Who."),
        need("note", Shape::Text, "Why."),
    ]),
};
static DISCARD_WISH: Schema = Schema {
    name: "DeadLetterDiscard",
    shape: Shape::Object(&[
        may("queue", Shape::Text, "Only from this queue."),
        may("kind", Shape::Text, "Only this kind of message."),
        may("reason_contains", Shape::Text, "Only errors that contain this text."),
        may("group", Shape::Text, "Only this group: its key."),
        may("message_id", Shape::Id, "Only this message."),
        may("max", Shape::Integer, "How many at most, 1 to 1000; 100 unless said."),
        may("dry_run", Shape::Boolean, "Only say which it would be."),
        may("seen", Shape::Integer, SEEN),
        need("actor", Shape::Text, "Who."),
        need("note", Shape::Text, "Why; kept with each."),
    ]),
};
const ITEM: Shape = Shape::Named(&Schema {
    name: "MovedDeadLetter",
    shape: Shape::Object(&[
        need("position", Shape::Integer, "Its place in the store."),
        need("message_id", Shape::Id, "The message."),
        need("queue", Shape::Text, "The queue that it was meant for."),
        need("kind", Shape::Text, "The kind of message."),
        need(
            "outcome",
            Shape::Choice(Outcome::NAMES),
            "redriven or archived; gone if another was faster; failed if the store did not do it or may have; left if nothing was \
         tried.",
        ),
    ]),
});
static DONE: Schema = Schema {
    name: "DeadLettersMoved",
    shape: Shape::Object(&[
        need("dry_run", Shape::Boolean, "Whether nothing was to be changed."),
        need("moved", Shape::Integer, "How many were put back or archived."),
        need("has_more", Shape::Boolean, "Whether more match than 'max'."),
        need("items", Shape::List(&ITEM), "What became of each, oldest first."),
    ]),
};
