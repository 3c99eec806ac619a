//! Queues over HTTP: list them, pause and resume their consumers. Touches no message.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use bus::{PauseAct, Signed};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::idempotency::Keyed;
use super::limits::{NOTE_BYTES_MAX, TEXT_BYTES_MAX};
use super::meaning::Meaning;
use super::parameters::NameInPath;
use super::problem::{Code, Problem};
use super::route::{self, Parameter, Route};
use super::shape::{Schema, Shape, may, need};
use super::text::Texts;
use super::{Api, body, idempotency};
use crate::operations::{QueuesView, Turned};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/queues", "listQueues", list)
            .about(
                "Lists the queues by name: how many messages wait in the store, and whether the consumer is paused, since when, \
                 by whom and why. A broker counts its own.",
            )
            .giving(200, &QUEUES)
            .asking_the_store(),
        Route::post("/queues/{name}/pause", PAUSE, pause)
            .about(
                "Pauses a consumer: within two seconds no worker of this database takes a message from the queue any more, until \
                 it is resumed. What is in hand is finished, timers and the outbox go on, and nothing is lost.",
            )
            .with(&[NAME])
            .once()
            .taking(&WISH)
            .giving(200, &TURNED)
            .failing(&[Code::InvalidParameter, Code::QueueNotFound])
            .asking_the_store(),
        Route::post("/queues/{name}/resume", RESUME, resume)
            .about("Resumes a consumer that was paused.")
            .with(&[NAME])
            .once()
            .taking(&WISH)
            .giving(200, &TURNED)
            .failing(&[Code::InvalidParameter, Code::QueueNotFound])
            .asking_the_store(),
    ]
}

/// Names of the operations.
const PAUSE: &str = "pauseQueue";
const RESUME: &str = "resumeQueue";

const NAME: Parameter = route::path("name", Shape::Text, "The queue.");

async fn list(State(api): State<Arc<Api>>) -> Result<Json<QueuesView>, Problem> {
    Ok(Json(api.operations.list_queues(api.readers.as_ref()).await?))
}

/// Who, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    actor: String,
    reason: String,
}

#[derive(Serialize)]
struct Done<'a> {
    name: &'a str,
    paused: bool,
    /// `now` or `before`.
    done: &'static str,
}

async fn pause(
    State(api): State<Arc<Api>>,
    NameInPath(name): NameInPath,
    request: Request,
) -> Result<Response, Problem> {
    turn(&api, PauseAct::Pause, &name, request).await
}

async fn resume(
    State(api): State<Arc<Api>>,
    NameInPath(name): NameInPath,
    request: Request,
) -> Result<Response, Problem> {
    turn(&api, PauseAct::Resume, &name, request).await
}

/// Doing it twice is doing it once.
async fn turn(api: &Api, act: PauseAct, name: &str, request: Request) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let wish: Wish = body::parse(&body::json(&head.headers, body).await?, &WISH.shape)?;
    let mut texts = Texts::default();
    texts.needed("/actor", &wish.actor, TEXT_BYTES_MAX);
    texts.needed("/reason", &wish.reason, NOTE_BYTES_MAX);
    texts.finish()?;
    let operation = match act {
        PauseAct::Pause => PAUSE,
        PauseAct::Resume => RESUME,
    };
    let meaning = Meaning::of(operation).text(name).text(&wish.actor).text(&wish.reason);
    let keyed = Keyed::of(api, &head, meaning)?;
    if let Some(answered) = keyed.answered().await? {
        return Ok(answered);
    }
    let context = api.commands.context();
    let by = Signed { actor: &wish.actor, note: &wish.reason, at: context.clock.now() };
    let turned = api.operations.turn(act, name, &by).await?;
    if turned == Turned::Unknown {
        let detail = format!("no queue is called '{name}'; GET /queues lists them");
        return Err(Problem::new(Code::QueueNotFound, detail));
    }
    // This worker need not wait until it looks again.
    context.pauses.read(api.operations.pauses.as_ref()).await?;
    let paused = act == PauseAct::Pause;
    keyed.keep(idempotency::answer(StatusCode::OK, &Done { name, paused, done: turned.as_str() })?).await
}

const QUEUE: Shape = Shape::Named(&Schema {
    name: "Queue",
    shape: Shape::Object(&[
        need("name", Shape::Text, "Its name."),
        need("waiting", Shape::Integer, "Messages that wait in the store."),
        may("paused_at", Shape::Time, "Since when its consumer is paused, if it is."),
        may("paused_by", Shape::Text, "By whom."),
        may("pause_reason", Shape::Text, "Why."),
    ]),
});
static QUEUES: Schema = Schema {
    name: "QueueList",
    shape: Shape::Object(&[need("items", Shape::List(&QUEUE), "The queues, by name.")]),
};
static WISH: Schema = Schema {
    name: "QueuePause",
    shape: Shape::Object(&[need("actor", Shape::Text, "Who."), need("reason", Shape::Text, "Why.")]),
};
static TURNED: Schema = Schema {
    name: "QueuePaused",
    shape: Shape::Object(&[
        need("name", Shape::Text, "The queue."),
        need("paused", Shape::Boolean, "Whether its consumer is paused from now on."),
        need(
            "done",
            Shape::Choice(Turned::NAMES),
            "now, or before if it was so already: then nothing was changed.",
        ),
    ]),
};
