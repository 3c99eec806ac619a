//! Cancels lines of an order over HTTP. Decides nothing; the command does.

use std::sync::Arc;

use application::commands::{CancelLinesCommand, CancelLinesReply, LinesCancelled, Seen};
use application::messages::Amount;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::{CancelledUnits, Currency, LINES_MAX, Money, OrderId, Sku, UNITS_MAX};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::limits::{NOTE_BYTES_MAX, TEXT_BYTES_MAX};
use super::meaning::Meaning;
use super::order_schemas::SEEN;
use super::orders::{ORDER_ID, not_found};
use super::parameters::OrderInPath;
use super::problem::{Code, Problem, Wrong};
use super::route::Route;
use super::shape::{AMOUNT, Schema, Shape, may, need};
use super::text::Texts;
use super::{Api, body, idempotency};

/// Name of the operation.
const CANCEL_LINES: &str = "cancelLines";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/orders/{order_id}/cancel-lines", CANCEL_LINES, cancel)
            .about(
                "Cancels units of an order that is on hold or waits for goods. What was reserved for them is for sale again; less is \
                 captured of an authorised payment, and captured money is asked back under a key of its own.",
            )
            .with(&[ORDER_ID])
            .once()
            .taking(&WISH)
            .giving(200, &ANSWER)
            .failing(&[Code::InvalidParameter, Code::OrderNotFound, Code::LinesRefused, Code::ChangedMeanwhile])
            .asking_the_store(),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    lines: Vec<WishedLine>,
    amount: Option<Amount>,
    actor: String,
    note: Option<String>,
    seen: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WishedLine {
    sku: String,
    quantity: Option<i64>,
}

#[derive(Serialize)]
struct Cancelled {
    order_id: Uuid,
    lines: Vec<CancelledLine>,
    amount: Amount,
    total: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_key: Option<String>,
}

#[derive(Serialize)]
struct CancelledLine {
    sku: String,
    quantity: i64,
}

async fn cancel(
    State(api): State<Arc<Api>>,
    OrderInPath(order_id): OrderInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let (command, seen) = wish(order_id, &body::json(&head.headers, body).await?)?;
    let wish = (&command, seen.as_ref());
    idempotency::once_if_unchanged(&api, &head, meaning(&command), wish, |reply| match reply {
        CancelLinesReply::Cancelled(it) => idempotency::answer(StatusCode::OK, &cancelled(order_id, *it)),
        CancelLinesReply::Refused(why) => Err(Problem::new(Code::LinesRefused, why)),
        CancelLinesReply::NotFound => Err(not_found(order_id)),
    })
    .await
}

fn wish(order_id: OrderId, text: &[u8]) -> Result<(CancelLinesCommand, Option<Seen>), Problem> {
    let Wish { lines, amount, actor, note, seen } = body::parse(text, &WISH.shape)?;
    let mut texts = Texts::default();
    texts.needed("/actor", &actor, TEXT_BYTES_MAX);
    texts.optional("/note", note.as_deref(), NOTE_BYTES_MAX);
    if !(1..=LINES_MAX).contains(&lines.len()) {
        let detail = format!("1 to {LINES_MAX}, these are {}", lines.len());
        texts.add(Wrong::at("/lines", "out_of_range", detail));
    }
    let line = |(index, line): (usize, &WishedLine)| {
        if let Some(units) = line.quantity {
            texts.within(&format!("/lines/{index}/quantity"), units, 1, UNITS_MAX);
        }
        let sku = texts.take(&format!("/lines/{index}/sku"), "invalid_sku", Sku::parse(&line.sku))?;
        Some((sku, line.quantity))
    };
    let lines: Vec<(Sku, Option<i64>)> = lines.iter().enumerate().filter_map(line).collect();
    let amount = amount.and_then(|amount| {
        let currency = Currency::parse(&amount.currency);
        let currency = texts.take("/amount/currency", "invalid_currency", currency)?;
        Some(Money::new(amount.minor, currency))
    });
    let seen = idempotency::seen_of_order(order_id, seen.as_deref(), &mut texts);
    texts.finish()?;
    let note = note.unwrap_or_default();
    Ok((CancelLinesCommand { order_id, lines, amount, actor, note }, seen))
}

fn meaning(command: &CancelLinesCommand) -> Meaning {
    let CancelLinesCommand { order_id, lines, amount, actor, note } = command;
    let meaning = Meaning::of(CANCEL_LINES).text(&order_id.to_string()).text(actor).text(note);
    let meaning = meaning.optional(amount.map(|amount| amount.to_string()).as_deref());
    lines.iter().fold(meaning, |meaning, (sku, units)| {
        meaning.text(sku.as_str()).optional(units.map(|units| units.to_string()).as_deref())
    })
}

fn cancelled(order_id: OrderId, it: LinesCancelled) -> Cancelled {
    let line = |line: CancelledUnits| CancelledLine { sku: line.sku.to_string(), quantity: line.units };
    Cancelled {
        order_id: order_id.0,
        lines: it.lines.into_iter().map(line).collect(),
        amount: it.amount.into(),
        total: it.total.into(),
        refund_key: it.refund_key,
    }
}

static WISH: Schema = Schema {
    name: "LineCancellation",
    shape: Shape::Object(&[
        need("lines", Shape::List(&WISHED_LINE), "What the customer wants no longer."),
        may("amount", AMOUNT, "How much less the order costs; the price of the units unless said."),
        need("actor", Shape::Text, "Who asks for it."),
        may("note", Shape::Text, "Why."),
        may("seen", Shape::Time, SEEN),
    ]),
};
const WISHED_LINE: Shape = Shape::Named(&Schema {
    name: "LineCancellationLine",
    shape: Shape::Object(&[
        need("sku", Shape::Text, "The product."),
        may("quantity", Shape::Units, "Units of it; all that are left unless said."),
    ]),
});
static ANSWER: Schema = Schema {
    name: "LinesCancelled",
    shape: Shape::Object(&[
        need("order_id", Shape::Id, "The order."),
        need("lines", Shape::List(&CANCELLED_LINE), "The units, one entry for each product."),
        need("amount", AMOUNT, "How much less the order costs."),
        need("total", AMOUNT, "What it costs now."),
        may(
            "refund_key",
            Shape::Text,
            "The key under which the gateway gives the money back once, if it had taken it.",
        ),
    ]),
};
const CANCELLED_LINE: Shape = Shape::Named(&Schema {
    name: "LinesCancelledLine",
    shape: Shape::Object(&[
        need("sku", Shape::Text, "The product."),
        need("quantity", Shape::Integer, "Units that were cancelled."),
    ]),
});
