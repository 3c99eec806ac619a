//! Erases personal data of an order over HTTP. Decides nothing; the command does.

use std::sync::Arc;

use application::commands::{EraseContactCommand, EraseContactReply};
use application::ports::Answer;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::OrderId;
use http::StatusCode;
use serde::Serialize;
use uuid::Uuid;

use super::meaning::Meaning;
use super::orders::ORDER_ID;
use super::parameters::OrderInPath;
use super::problem::{Code, Problem};
use super::route::Route;
use super::shape::{Schema, Shape, need};
use super::signature::{SIGNATURE, Signature};
use super::{Api, body, idempotency};

/// The name of the only operation.
const ERASE: &str = "eraseContact";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/orders/{order_id}/erase-contact", ERASE, erase)
            .about(
                "Erases what an order says of who somebody is: contact, addresses but for their countries, note and metadata. \
                 Lines, money and history stay, so the books still agree. Refused while the carrier still has to be told where the \
                 goods go. It cannot be undone.",
            )
            .with(&[ORDER_ID])
            .once()
            .taking(&SIGNATURE)
            .giving(200, &ERASED)
            .failing(&[Code::InvalidParameter, Code::OrderNotFound, Code::AddressNeeded])
            .asking_the_store(),
    ]
}

#[derive(Serialize)]
struct Erased {
    order_id: Uuid,
    erased: &'static str,
}

async fn erase(
    State(api): State<Arc<Api>>,
    OrderInPath(order_id): OrderInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let signed = Signature::of(&body::json(&head.headers, body).await?)?;
    let command = EraseContactCommand { order_id, actor: signed.actor, note: signed.note };
    let meaning = Meaning::of(ERASE).text(&order_id.to_string()).text(&command.actor).text(&command.note);
    idempotency::once(&api, &head, meaning, &command, |reply| erased(order_id, reply)).await
}

fn erased(order_id: OrderId, reply: EraseContactReply) -> Result<Answer, Problem> {
    let erased = match reply {
        EraseContactReply::Erased => "now",
        EraseContactReply::Nothing => "before",
        EraseContactReply::AddressNeeded(why) => return Err(Problem::new(Code::AddressNeeded, why)),
        EraseContactReply::NotFound => {
            return Err(Problem::new(Code::OrderNotFound, format!("no order has the id {order_id}")));
        }
    };
    idempotency::answer(StatusCode::OK, &Erased { order_id: order_id.0, erased })
}

static ERASED: Schema = Schema {
    name: "ContactErased",
    shape: Shape::Object(&[
        need("order_id", Shape::Id, "The order."),
        need("erased", Shape::Choice(&["now", "before"]), "Whether there was anything to erase."),
    ]),
};
