//! Sagas over HTTP: show, list, and what a person may do about one that needs attention. Decides nothing: the saga does.

use std::sync::Arc;

use application::commands::{OperateReply, OperateSagaCommand, SagaOperation, Seen};
use application::ports::{Answer, SagaFilter, SagaView};
use application::saga::SagaState;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::OrderId;
use http::StatusCode;
use http::request::Parts;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::meaning::Meaning;
use super::order_schemas::{HISTORY_ENTRY, SEEN};
use super::orders::ORDER_ID;
use super::parameters::{CURSOR, LIMIT, OrderInPath, PageAnswer, Query};
use super::problem::{Code, Problem};
use super::route::{self, Route};
use super::shape::{Schema, Shape, may, need};
use super::signature::Signature;
use super::text::Texts;
use super::{Api, body, idempotency};

pub(super) fn routes() -> Vec<Route> {
    vec![
        showing(),
        listing(),
operating("/sagas/{order_id}/retry", SagaOperation::Retry).about(
            "Asks the provider again and goes on: with the undoing that does not get on, or where the order stood.",
        ),
        operating("/sagas/{order_id}/skip", SagaOperation::Skip)
            .about("Takes things as they are and goes on: with the next undoing, or where the order stood."),
        operating("/sagas/{order_id}/force", SagaOperation::Force).about(
            "Closes the order, taking what is open as settled by hand. 'attention' of the saga says what that means now.",
        ),
    ]
}

async fn show(State(api): State<Arc<Api>>, OrderInPath(id): OrderInPath) -> Result<Json<SagaView>, Problem> {
    api.readers.saga(id).await?.map(Json).ok_or_else(|| not_found(id))
}

async fn list(State(api): State<Arc<Api>>, parts: Parts) -> Result<Json<PageAnswer<SagaView>>, Problem> {
    let mut query = Query::of(&parts, &["state", "unmoved_since", "cursor", "limit"]);
    let filter = SagaFilter {
        state: query.take("state", str::parse::<SagaState>),
        unmoved_since: query.take("unmoved_since", str::parse::<Timestamp>),
        after: query.cursor(),
    };
    let limit = query.limit();
    query.finish()?;
    let page = api.readers.sagas(&filter, limit).await?;
    Ok(Json(PageAnswer::up_to(page.items, page.next)))
}

/// The operator, the reason, and when the saga had last moved as far as the operator saw.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Operation {
    actor: String,
    note: String,
    seen: Option<String>,
}

#[derive(Serialize)]
struct Operated {
    order_id: Uuid,
    state: &'static str,
}

async fn operate(
    api: Arc<Api>,
    order_id: OrderId,
    operation: SagaOperation,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let (signature, seen) = operation_in(order_id, &body::json(&head.headers, body).await?)?;
    let command = OperateSagaCommand { order_id, operation, actor: signature.actor, note: signature.note };
    let wish = (&command, seen.as_ref());
    idempotency::once_if_unchanged(&api, &head, meaning(&command), wish, |reply| operated(order_id, &reply))
        .await
}

fn meaning(command: &OperateSagaCommand) -> Meaning {
    let OperateSagaCommand { order_id, operation, actor, note } = command;
    Meaning::of(name(*operation)).text(&order_id.to_string()).text(actor).text(note)
}

fn operated(order_id: OrderId, reply: &OperateReply) -> Result<Answer, Problem> {
    match reply {
        OperateReply::Done(state) => {
            let operated = Operated { order_id: order_id.0, state: state.as_str() };
            idempotency::answer(StatusCode::OK, &operated)
        }
        OperateReply::Refused { state, why } => {
            Err(Problem::new(Code::OperationRefused, format!("the saga is {state}: {why}")))
        }
        OperateReply::NotFound => Err(not_found(order_id)),
    }
}

/// The operator, the reason and what was seen, from a text.
pub(super) fn operation_in(order_id: OrderId, text: &[u8]) -> Result<(Signature, Option<Seen>), Problem> {
    let Operation { actor, note, seen } = body::parse(text, &OPERATION.shape)?;
    let signature = Signature { actor, note };
    let mut texts = Texts::default();
    signature.check(&mut texts);
    let seen = idempotency::seen_of_order(order_id, seen.as_deref(), &mut texts);
    texts.finish()?;
    Ok((signature, seen))
}

fn not_found(id: OrderId) -> Problem {
    Problem::new(Code::SagaNotFound, format!("no order has the id {id}, hence no saga"))
}

static OPERATION: Schema = Schema {
    name: "SagaOperation",
    shape: Shape::Object(&[
        need("actor", Shape::Text, "Who."),
        need("note", Shape::Text, "Why."),
        may("seen", Shape::Time, SEEN),
    ]),
};
static OPERATED: Schema = Schema {
    name: "SagaOperated",
    shape: Shape::Object(&[
        need("order_id", Shape::Id, "The order."),
        need("state", Shape::Text, "Where its saga stands now."),
    ]),
};
const TIMER: Shape = Shape::Named(&Schema {
    name: "SagaTimer",
    shape: Shape::Object(&[
        need("name", Shape::Text, "Its name."),
        need("due_at", Shape::Time, "When it fires."),
    ]),
});
const ATTENTION: Shape = Shape::Named(&Schema {
    name: "SagaAttention",
    shape: Shape::Object(&[
        need(
            "cause",
            Shape::Text,
            "As a code, such as disputed; undoing for an undoing that does not get on.",
        ),
        need("why", Shape::Text, "In words."),
        need("retry", Shape::Text, "What retry would do."),
        need("skip", Shape::Text, "What skip would do."),
        need("force", Shape::Text, "What force would do."),
    ]),
});
static SAGA: Schema = Schema {
    name: "Saga",
    shape: Shape::Object(&[
        need("order_id", Shape::Id, "Its order."),
        need("state", Shape::Text, "Where it stands."),
        need("stock", Shape::Text, "What became of the stock."),
        need("payment", Shape::Text, "What became of the money."),
        need("shipment", Shape::Text, "What became of the parcel."),
        may("reason", Shape::Text, "Why it is being undone."),
        may("pending_undo", Shape::Text, "The undoing that waits for a person."),
        may("attention", ATTENTION, "What a person is asked about, and what each answer would do."),
        may("last_event", HISTORY_ENTRY, "Why it stands where it stands."),
        need("timers", Shape::List(&TIMER), "Timers that are running."),
        need("version", Shape::Integer, "Version of its definition."),
        need("created_at", Shape::Time, "When it began."),
        need("updated_at", Shape::Time, "When it last moved; later with each change."),
        need(
            "expires_at",
            Shape::Time,
            "When its first limit ends; after a hold or a question to a person the timer tells.",
        ),
    ]),
};
const SAGA_SHAPE: Shape = Shape::Named(&SAGA);
static SAGAS: Schema = Schema {
    name: "SagaPage",
    shape: Shape::Object(&[
        need("items", Shape::List(&SAGA_SHAPE), "The sagas, by id, which is by time."),
        may("next_cursor", Shape::Text, "Where the next page begins, if there is one."),
    ]),
};

fn showing() -> Route {
    Route::get("/orders/{order_id}/saga", "getSaga", show)
        .about("Shows where an order's saga stands, and why.")
        .with(&[ORDER_ID])
        .giving(200, &SAGA)
        .failing(&[Code::InvalidParameter, Code::SagaNotFound])
        .asking_the_store()
}

fn listing() -> Route {
    Route::get("/sagas", "listSagas", list)
        .about(
            "Lists sagas, oldest first. A page may hold fewer than 'limit', or none: go on as long as there is a 'next_cursor'.",
        )
        .with(&[
            route::query("state", Shape::Text, "Only this state, such as needs_attention."),
            route::query("unmoved_since", Shape::Time, "Only those that last moved before this moment."),
            CURSOR,
            LIMIT,
        ])
        .giving(200, &SAGAS)
        .failing(&[Code::InvalidParameter])
        .asking_the_store()
}

/// Names of the operations that write.
const fn name(operation: SagaOperation) -> &'static str {
    match operation {
        SagaOperation::Retry => "retrySaga",
        SagaOperation::Skip => "skipSaga",
        SagaOperation::Force => "forceSaga",
    }
}

fn operating(path: &'static str, operation: SagaOperation) -> Route {
    let handler = move |State(api): State<Arc<Api>>, OrderInPath(order_id): OrderInPath, request: Request| {
        operate(api, order_id, operation, request)
    };
    Route::post(path, name(operation), handler)
        .with(&[ORDER_ID])
        .once()
        .taking(&OPERATION)
        .giving(200, &OPERATED)
        .failing(&[
            Code::InvalidParameter,
            Code::SagaNotFound,
            Code::OperationRefused,
            Code::ChangedMeanwhile,
        ])
        .asking_the_store()
}
