//! Tells the customer of an order again, over HTTP. Decides nothing; the command does.

use std::sync::Arc;

use application::commands::{TellAgainCommand, TellAgainReply};
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
const TELL_AGAIN: &str = "tellCustomerAgain";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/orders/{order_id}/notifications", TELL_AGAIN, tell)
            .about(
                "Tells the order's customer once more where the order stands. Every configured channel sends it: mail, webhooks. \
                 The notification keeps its id, so a receiver that has it already detects the repeat.",
            )
            .with(&[ORDER_ID])
            .once()
            .taking(&SIGNATURE)
            .giving(202, &ASKED)
            .failing(&[Code::InvalidParameter, Code::OrderNotFound, Code::NothingToTell])
            .asking_the_store(),
    ]
}

#[derive(Serialize)]
struct Asked {
    order_id: Uuid,
    notification: &'static str,
    channels: usize,
}

async fn tell(
    State(api): State<Arc<Api>>,
    OrderInPath(order_id): OrderInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let signed = Signature::of(&body::json(&head.headers, body).await?)?;
    let channels = Arc::clone(&api.channels);
    let command = TellAgainCommand { order_id, channels, actor: signed.actor, note: signed.note };
    let meaning =
        Meaning::of(TELL_AGAIN).text(&order_id.to_string()).text(&command.actor).text(&command.note);
    idempotency::once(&api, &head, meaning, &command, |reply| asked(order_id, reply)).await
}

fn asked(order_id: OrderId, reply: TellAgainReply) -> Result<Answer, Problem> {
    match reply {
        TellAgainReply::Asked { kind, channels } => {
            let asked = Asked { order_id: order_id.0, notification: kind.as_str(), channels };
            idempotency::answer(StatusCode::ACCEPTED, &asked)
        }
        TellAgainReply::Refused { why } => Err(Problem::new(Code::NothingToTell, why)),
        TellAgainReply::NotFound => {
            Err(Problem::new(Code::OrderNotFound, format!("no order has the id {order_id}")))
        }
    }
}

static ASKED: Schema = Schema {
    name: "NotificationAsked",
    shape: Shape::Object(&[
        need("order_id", Shape::Id, "The order."),
        need("notification", Shape::Text, "What its customer is told, such as order.shipped."),
        need("channels", Shape::Integer, "Through how many channels."),
    ]),
};
