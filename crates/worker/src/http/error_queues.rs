//! A broker's error queues over HTTP: list them, look into them, put messages back and discard them. Never more than was shown.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use bus::AsideCause;
use http::StatusCode;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::idempotency::Keyed;
use super::limits::{NOTE_BYTES_MAX, TEXT_BYTES_MAX};
use super::meaning::Meaning;
use super::parameters::{LIMIT, NameInPath, Query};
use super::problem::{Code, Problem};
use super::route::{self, Parameter, Route};
use super::shape::{Schema, Shape, may, need};
use super::text::Texts;
use super::{Api, body, idempotency};
use crate::set_aside::{self, ErrorAct, ErrorQueuesView, LOOK_MAX, Refused, SetAsideView, Wanted};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/error-queues", "listErrorQueues", list)
            .about(
                "Lists the broker's error queues: how many messages lie in each, of which causes, and why the first and the last of the first 100 do. \
                 Without a broker there are none.",
            )
            .giving(200, &QUEUES)
            .failing(&[Code::BrokerUnavailable, Code::ErrorQueueNotFound]),
        Route::get("/error-queues/{name}/messages", "showErrorQueue", show)
            .about("Shows the first messages of an error queue, whole. They stay in their places.")
            .with(&[NAME, LIMIT])
            .giving(200, &MESSAGES)
            .failing(&[
                Code::InvalidParameter,
                Code::BrokerUnavailable,
                Code::ErrorQueueBusy,
                Code::ErrorQueueNotFound,
                Code::NoBroker,
            ]),
        acting("/error-queues/{name}/put-back", PUT_BACK, put_back).about(
            "Puts the first 'count' messages back into the queue that they came from, if they are those that 'mark' names. If that \
             is broken off, a message may be delivered twice and is never lost.",
        ),
        acting("/error-queues/{name}/discard", DISCARD, discard)
            .about("Discards the first 'count' messages for good, if they are those that 'mark' names."),
    ]
}

/// Names of the operations.
const PUT_BACK: &str = "putBackErrors";
const DISCARD: &str = "discardErrors";

const NAME: Parameter = route::path("name", Shape::Text, "The error queue.");

fn acting<T: 'static>(
    path: &'static str,
    id: &'static str,
    handler: impl axum::handler::Handler<T, Arc<Api>>,
) -> Route {
    Route::post(path, id, handler)
        .with(&[NAME])
        .once()
        .taking(&WISH)
        .giving(200, &DONE)
        .failing(&[
            Code::InvalidParameter,
            Code::BrokerUnavailable,
            Code::ErrorQueueNotFound,
            Code::ErrorQueueBusy,
            Code::ErrorQueueChanged,
            Code::NoBroker,
        ])
        .asking_the_store()
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let code = match &refused {
            Refused::NoBroker => Code::NoBroker,
            Refused::Unknown(_) => Code::ErrorQueueNotFound,
            Refused::Changed(..) => Code::ErrorQueueChanged,
            Refused::Busy(_) => Code::ErrorQueueBusy,
            Refused::Broker(fault) => {
                tracing::warn!(%fault, "the broker did not do what was asked of its error queues");
                let detail = "the broker is away, or did not do all of it; look at the error queue again";
                return Self::new(Code::BrokerUnavailable, detail);
            }
            Refused::Store(fault) => return Self::from(fault),
        };
        Self::new(code, refused.to_string())
    }
}

async fn list(State(api): State<Arc<Api>>) -> Result<Json<ErrorQueuesView>, Problem> {
    Ok(Json(set_aside::list(&api.operations).await?))
}

#[derive(Serialize)]
struct Shown {
    name: String,
    items: Vec<SetAsideView>,
}

async fn show(
    State(api): State<Arc<Api>>,
    NameInPath(name): NameInPath,
    parts: Parts,
) -> Result<Json<Shown>, Problem> {
    let mut query = Query::of(&parts, &["limit"]);
    let limit = query.limit();
    query.finish()?;
    let items = set_aside::look(&api.operations, &name, limit).await?;
    Ok(Json(Shown { name, items }))
}

/// Which, who, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(deserialize_with = "application::whole_number::read")]
    count: i64,
    mark: Uuid,
    actor: String,
    reason: String,
}

#[derive(Serialize)]
struct Done<'a> {
    name: &'a str,
    moved: usize,
}

async fn put_back(
    State(api): State<Arc<Api>>,
    NameInPath(name): NameInPath,
    request: Request,
) -> Result<Response, Problem> {
    act(&api, ErrorAct::PutBack, name, request).await
}

async fn discard(
    State(api): State<Arc<Api>>,
    NameInPath(name): NameInPath,
    request: Request,
) -> Result<Response, Problem> {
    act(&api, ErrorAct::Discard, name, request).await
}

/// What was moved is no longer at the head, so that doing it twice is refused.
async fn act(api: &Api, act: ErrorAct, name: String, request: Request) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let wish: Wish = body::parse(&body::json(&head.headers, body).await?, &WISH.shape)?;
    let mut texts = Texts::default();
    texts.within("/count", wish.count, 1, i64::try_from(LOOK_MAX).unwrap_or(i64::MAX));
    texts.needed("/actor", &wish.actor, TEXT_BYTES_MAX);
    texts.needed("/reason", &wish.reason, NOTE_BYTES_MAX);
    texts.finish()?;
    let operation = match act {
        ErrorAct::PutBack => PUT_BACK,
        ErrorAct::Discard => DISCARD,
    };
    let Wish { count, mark, actor, reason } = &wish;
    let meaning =
        Meaning::of(operation).text(&name).number(*count).text(&mark.to_string()).text(actor).text(reason);
    let keyed = Keyed::of(api, &head, meaning)?;
    if let Some(answered) = keyed.answered().await? {
        return Ok(answered);
    }
    let wanted = Wanted { name, count: usize::try_from(*count).unwrap_or(0), mark: *mark };
    set_aside::carry_out(&api.operations, &api.commands, act, &wanted, (actor, reason)).await?;
    let done = Done { name: &wanted.name, moved: wanted.count };
    keyed.keep(idempotency::answer(StatusCode::OK, &done)?).await
}

const CAUSE: Shape = Shape::Choice(&[
    AsideCause::Unreadable.as_str(),
    AsideCause::UnknownType.as_str(),
    AsideCause::Expired.as_str(),
    AsideCause::DeliveredTooOften.as_str(),
    AsideCause::QueueFull.as_str(),
    AsideCause::Unknown.as_str(),
]);
const QUEUE: Shape = Shape::Named(&Schema {
    name: "ErrorQueue",
    shape: Shape::Object(&[
        need("name", Shape::Text, "Its name."),
        need("queue", Shape::Text, "The queue that it is for."),
        need("messages", Shape::Integer, "Messages that lie in it."),
        need("causes", Shape::Counts, "How many of the first 100 lie there for each cause."),
        may("first_reason", Shape::Text, "Why the first of them lies there."),
        may("last_reason", Shape::Text, "Why the last of the first 100 lies there."),
    ]),
});
static QUEUES: Schema = Schema {
    name: "ErrorQueueList",
    shape: Shape::Object(&[
        need("has_broker", Shape::Boolean, "Whether there is a broker."),
        need("items", Shape::List(&QUEUE), "Its error queues."),
    ]),
};
const MESSAGE: Shape = Shape::Named(&Schema {
    name: "ErrorQueueMessage",
    shape: Shape::Object(&[
        need("place", Shape::Integer, "Its place, from 1 on."),
        need(
            "mark",
            Shape::Id,
            "Names this message and all before it: what is to be moved is named by the mark of the last of them.",
        ),
        may("message_id", Shape::Text, "Its id, if it has one."),
        may("kind", Shape::Text, "Its kind, if it can be read."),
        need("cause", CAUSE, "Why it lies there, in one word."),
        need("reason", Shape::Text, "Why it lies there, in a sentence."),
        may("sent_at", Shape::Time, "When it was sent."),
        may("died_at", Shape::Time, "When it was set aside."),
        need("content_type", Shape::Text, "The media type of its body."),
        need("headers", Shape::Any, "What is written on it: texts by name."),
        may("body", Shape::Any, "What it says: JSON if it is JSON, else a text."),
    ]),
});
static MESSAGES: Schema = Schema {
    name: "ErrorQueueMessages",
    shape: Shape::Object(&[
        need("name", Shape::Text, "The error queue."),
        need("items", Shape::List(&MESSAGE), "Its first messages."),
    ]),
};
static WISH: Schema = Schema {
    name: "ErrorQueueMove",
    shape: Shape::Object(&[
        need("count", Shape::Integer, "How many, from the first on, 1 to 200."),
        need("mark", Shape::Id, "The mark of the last of them, as they were shown."),
        need("actor", Shape::Text, "Who."),
        need("reason", Shape::Text, "Why."),
    ]),
};
static DONE: Schema = Schema {
    name: "ErrorQueueMoved",
    shape: Shape::Object(&[
        need("name", Shape::Text, "The error queue."),
        need("moved", Shape::Integer, "How many were moved: all that were asked for."),
    ]),
};
