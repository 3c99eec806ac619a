//! Refunds over HTTP: part of a delivered order's money, or all of it, is paid back. Decides nothing; the command does.

use std::sync::Arc;

use application::commands::{RefundOrderCommand, RefundReply, Seen};
use application::messages::Amount;
use application::ports::Answer;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::{Currency, Money, OrderId};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::limits::{NOTE_BYTES_MAX, TEXT_BYTES_MAX};
use super::meaning::Meaning;
use super::order_schemas::SEEN;
use super::orders::ORDER_ID;
use super::parameters::OrderInPath;
use super::problem::{Code, Problem};
use super::route::Route;
use super::shape::{AMOUNT, Schema, Shape, may, need};
use super::text::Texts;
use super::{Api, body, idempotency};

/// The name of the only operation.
const REFUND: &str = "refundOrder";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/orders/{order_id}/refunds", REFUND, refund)
            .about(
                "Pays part of a delivered order's money back, or all of it. The order's history tells when the gateway has \
                 done it. Goods that come back are a return.",
            )
            .with(&[ORDER_ID])
            .once()
            .taking(&WISH)
            .giving(202, &ASKED)
            .failing(&[Code::InvalidParameter, Code::OrderNotFound, Code::RefundRefused, Code::ChangedMeanwhile])
            .asking_the_store(),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    amount: Amount,
    actor: String,
    reason: String,
    seen: Option<String>,
}

#[derive(Serialize)]
struct Asked {
    order_id: Uuid,
    refund_key: String,
}

async fn refund(
    State(api): State<Arc<Api>>,
    OrderInPath(order_id): OrderInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let (command, seen) = wish(order_id, &body::json(&head.headers, body).await?)?;
    let wish = (&command, seen.as_ref());
    idempotency::once_if_unchanged(&api, &head, meaning(&command), wish, |reply| asked(order_id, reply)).await
}

fn wish(order_id: OrderId, text: &[u8]) -> Result<(RefundOrderCommand, Option<Seen>), Problem> {
    let Wish { amount, actor, reason, seen } = body::parse(text, &WISH.shape)?;
    let mut texts = Texts::default();
    texts.needed("/actor", &actor, TEXT_BYTES_MAX);
    texts.needed("/reason", &reason, NOTE_BYTES_MAX);
    let currency = texts.take("/amount/currency", "invalid_currency", Currency::parse(&amount.currency));
    let amount = currency.map(|currency| Money::new(amount.minor, currency));
    let seen = idempotency::seen_of_order(order_id, seen.as_deref(), &mut texts);
    texts.finish()?;
    let amount = amount.ok_or_else(|| Problem::new(Code::RefundRefused, "there is no amount"))?;
    Ok((RefundOrderCommand { order_id, amount, actor, reason }, seen))
}

fn meaning(command: &RefundOrderCommand) -> Meaning {
    let RefundOrderCommand { order_id, amount, actor, reason } = command;
    Meaning::of(REFUND).text(&order_id.to_string()).text(&amount.to_string()).text(actor).text(reason)
}

fn asked(order_id: OrderId, reply: RefundReply) -> Result<Answer, Problem> {
    match reply {
        RefundReply::Accepted { refund_key } => {
            idempotency::answer(StatusCode::ACCEPTED, &Asked { order_id: order_id.0, refund_key })
        }
        RefundReply::Refused { why } => Err(Problem::new(Code::RefundRefused, why)),
        RefundReply::NotFound => {
            Err(Problem::new(Code::OrderNotFound, format!("no order has the id {order_id}")))
        }
    }
}

static WISH: Schema = Schema {
    name: "RefundRequest",
    shape: Shape::Object(&[
        need("amount", AMOUNT, "How much, in the currency of the order."),
        need("actor", Shape::Text, "Who asks."),
        need("reason", Shape::Text, "Why."),
        may("seen", Shape::Time, SEEN),
    ]),
};
static ASKED: Schema = Schema {
    name: "RefundAsked",
    shape: Shape::Object(&[
        need("order_id", Shape::Id, "The order."),
        need(
            "refund_key",
            Shape::Text,
            "Under which the gateway is asked, and under which it gives back once.",
        ),
    ]),
};
