//! Holds of an order over HTTP: place one, release one. Decides nothing; the commands do.

use std::sync::Arc;

use application::commands::{HoldOrderCommand, HoldOrderReply, ReleaseHoldCommand, ReleaseHoldReply, Seen};
use application::ports::{Answer, HoldView};
use application::validators::{KEY_BYTES_MAX, hold_point};
use axum::extract::{Request, State};
use axum::response::Response;
use domain::{HoldId, OrderId};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::hold_schemas::{HOLD_POINTS, HOLD_SCHEMA};
use super::limits::{NOTE_BYTES_MAX, TEXT_BYTES_MAX};
use super::meaning::Meaning;
use super::order_schemas::SEEN;
use super::orders::{ORDER_ID, not_found};
use super::parameters::{HoldInPath, OrderInPath};
use super::problem::{Code, Problem};
use super::route::{self, Route};
use super::shape::{Schema, Shape, may, need};
use super::text::Texts;
use super::{Api, body, idempotency};

/// Names of the operations.
const HOLD_ORDER: &str = "holdOrder";
const RELEASE_HOLD: &str = "releaseHold";

const HOLD_ID: route::Parameter = route::path("hold_id", Shape::Id, "The hold.");

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/orders/{order_id}/holds", HOLD_ORDER, hold)
            .about(
                "Puts an order on hold: it goes on to its payment or its parcel only when nothing keeps it from there any more. \
                 Its limit stops meanwhile, and its stock stays reserved. Possible until that step is asked for; an order that \
                 must not be paid at once is created with its holds.",
            )
            .with(&[ORDER_ID])
            .once()
            .taking(&WISH)
            .giving(201, &HOLD_SCHEMA)
            .failing(&[Code::InvalidParameter, Code::OrderNotFound, Code::HoldRefused, Code::ChangedMeanwhile])
            .asking_the_store(),
        Route::post("/orders/{order_id}/holds/{hold_id}/release", RELEASE_HOLD, release)
            .about("Releases a hold. The order goes on if it was the last before its next step.")
            .with(&[ORDER_ID, HOLD_ID])
            .once()
            .taking(&RELEASE)
            .giving(200, &RELEASED)
            .failing(&[
                Code::InvalidParameter,
                Code::OrderNotFound,
                Code::HoldNotFound,
                Code::ChangedMeanwhile,
            ])
            .asking_the_store(),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    before: String,
    reason: String,
    actor: String,
    seen: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    actor: String,
    note: Option<String>,
    seen: Option<String>,
}

#[derive(Serialize)]
struct Released {
    order_id: Uuid,
    hold_id: Uuid,
    outcome: &'static str,
}

async fn hold(
    State(api): State<Arc<Api>>,
    OrderInPath(order_id): OrderInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let (command, seen) = wish(order_id, &body::json(&head.headers, body).await?)?;
    let HoldOrderCommand { order_id: _, before, reason, actor } = &command;
    let meaning = Meaning::of(HOLD_ORDER).text(&order_id.to_string()).text(before.as_str());
    let meaning = meaning.text(reason).text(actor);
    let wish = (&command, seen.as_ref());
    idempotency::once_if_unchanged(&api, &head, meaning, wish, |reply| placed(order_id, reply)).await
}

fn wish(order_id: OrderId, text: &[u8]) -> Result<(HoldOrderCommand, Option<Seen>), Problem> {
    let Wish { before, reason, actor, seen } = body::parse(text, &WISH.shape)?;
    let mut texts = Texts::default();
    texts.needed("/reason", &reason, KEY_BYTES_MAX);
    texts.needed("/actor", &actor, TEXT_BYTES_MAX);
    let before = texts.take("/before", "unknown_value", hold_point(&before));
    let seen = idempotency::seen_of_order(order_id, seen.as_deref(), &mut texts);
    texts.finish()?;
    let before = before.ok_or_else(|| Problem::new(Code::HoldRefused, "there is no step"))?;
    Ok((HoldOrderCommand { order_id, before, reason, actor }, seen))
}

fn placed(order_id: OrderId, reply: HoldOrderReply) -> Result<Answer, Problem> {
    match reply {
        HoldOrderReply::Placed(hold) => idempotency::answer(StatusCode::CREATED, &HoldView::from(hold)),
        HoldOrderReply::Refused(why) => Err(Problem::new(Code::HoldRefused, why)),
        HoldOrderReply::NotFound => Err(not_found(order_id)),
    }
}

async fn release(
    State(api): State<Arc<Api>>,
    HoldInPath(order_id, hold_id): HoldInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let Release { actor, note, seen } = body::parse(&body::json(&head.headers, body).await?, &RELEASE.shape)?;
    let mut texts = Texts::default();
    texts.needed("/actor", &actor, TEXT_BYTES_MAX);
    texts.optional("/note", note.as_deref(), NOTE_BYTES_MAX);
    let seen = idempotency::seen_of_order(order_id, seen.as_deref(), &mut texts);
    texts.finish()?;
    let command = ReleaseHoldCommand { order_id, hold_id, actor, note: note.unwrap_or_default() };
    let meaning = Meaning::of(RELEASE_HOLD).text(&order_id.to_string()).text(&hold_id.to_string());
    let meaning = meaning.text(&command.actor).text(&command.note);
    let wish = (&command, seen.as_ref());
    idempotency::once_if_unchanged(&api, &head, meaning, wish, |reply| released(order_id, hold_id, &reply))
        .await
}

fn released(order_id: OrderId, hold_id: HoldId, reply: &ReleaseHoldReply) -> Result<Answer, Problem> {
    let outcome = match reply {
        ReleaseHoldReply::Released { .. } => "released",
        ReleaseHoldReply::Before(_) => "already",
        ReleaseHoldReply::NoSuchHold => {
            let detail =
                format!("order {order_id} has no hold {hold_id}; its holds are in GET /orders/{order_id}");
            return Err(Problem::new(Code::HoldNotFound, detail));
        }
        ReleaseHoldReply::NotFound => return Err(not_found(order_id)),
    };
    let released = Released { order_id: order_id.0, hold_id: hold_id.0, outcome };
    idempotency::answer(StatusCode::OK, &released)
}

static WISH: Schema = Schema {
    name: "HoldRequest",
    shape: Shape::Object(&[
        need("before", Shape::Choice(HOLD_POINTS), "The step that it keeps the order from."),
        need("reason", Shape::Text, "Why: 1 to 255 bytes."),
        need("actor", Shape::Text, "Who asks for it."),
        may("seen", Shape::Time, SEEN),
    ]),
};
static RELEASE: Schema = Schema {
    name: "HoldRelease",
    shape: Shape::Object(&[
        need("actor", Shape::Text, "Who releases it."),
        may("note", Shape::Text, "Why."),
        may("seen", Shape::Time, SEEN),
    ]),
};
static RELEASED: Schema = Schema {
    name: "HoldReleased",
    shape: Shape::Object(&[
        need("order_id", Shape::Id, "The order."),
        need("hold_id", Shape::Id, "The hold."),
        need("outcome", Shape::Choice(&["released", "already"]), "Whether anything is new."),
    ]),
};
