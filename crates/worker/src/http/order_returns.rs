//! Returns of an order over HTTP: await one, take it in, await it no longer. Decides nothing; the commands do.

use std::sync::Arc;

use application::commands::{
    CancelReturnCommand, CancelReturnReply, ReceiveReturnCommand, ReceiveReturnReply, RequestReturnCommand,
    RequestReturnReply, Seen,
};
use application::messages::Amount;
use application::ports::ReturnView;
use application::validators::KEY_BYTES_MAX;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::{Arrival, Currency, LINES_MAX, Money, OrderId, Restock, ReturnId, Sku, UNITS_MAX};
use http::StatusCode;
use serde::Deserialize;

use super::limits::{NOTE_BYTES_MAX, TEXT_BYTES_MAX};
use super::meaning::Meaning;
use super::order_schemas::SEEN;
use super::orders::{ORDER_ID, not_found};
use super::parameters::{OrderInPath, ReturnInPath};
use super::problem::{Code, Problem, Wrong};
use super::return_schemas::RETURN_SCHEMA;
use super::route::{self, Route};
use super::shape::{AMOUNT, Schema, Shape, may, need};
use super::text::Texts;
use super::{Api, body, idempotency};

/// Names of the operations.
const REQUEST_RETURN: &str = "requestReturn";
const RECEIVE_RETURN: &str = "receiveReturn";
const CANCEL_RETURN: &str = "cancelReturn";

const RETURN_ID: route::Parameter = route::path("return_id", Shape::Id, "The return.");

pub(super) fn routes() -> Vec<Route> {
    let failures = &[
        Code::InvalidParameter,
        Code::OrderNotFound,
        Code::ReturnNotFound,
        Code::ReturnRefused,
        Code::ChangedMeanwhile,
    ];
    vec![
        Route::post("/orders/{order_id}/returns", REQUEST_RETURN, request)
            .about(
                "Awaits goods of an order that was shipped: the named units, or all that have not come back yet. A parcel that the \
                 carrier sends back is awaited without this.",
            )
            .with(&[ORDER_ID])
            .once()
            .taking(&WISH)
            .giving(201, &RETURN_SCHEMA)
            .failing(&[Code::InvalidParameter, Code::OrderNotFound, Code::ReturnRefused, Code::ChangedMeanwhile])
            .asking_the_store(),
        Route::post("/orders/{order_id}/returns/{return_id}/receive", RECEIVE_RETURN, receive)
            .about(
                "Takes in what came back: what can be sold again is booked as received, and what is to be paid back is asked of \
                 the gateway under a key of its own.",
            )
            .with(&[ORDER_ID, RETURN_ID])
            .once()
            .taking(&RECEIPT)
            .giving(200, &RETURN_SCHEMA)
            .failing(failures)
            .asking_the_store(),
        Route::post("/orders/{order_id}/returns/{return_id}/cancel", CANCEL_RETURN, cancel)
            .about("Awaits a return no longer. Its goods may be asked for again.")
            .with(&[ORDER_ID, RETURN_ID])
            .once()
            .taking(&CANCELLATION)
            .giving(200, &RETURN_SCHEMA)
            .failing(failures)
            .asking_the_store(),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    lines: Option<Vec<WishedLine>>,
    reason: String,
    actor: String,
    seen: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WishedLine {
    sku: String,
    quantity: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Receipt {
    lines: Option<Vec<ArrivedLine>>,
    restock: Option<bool>,
    refund: Option<Amount>,
    actor: String,
    note: Option<String>,
    seen: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ArrivedLine {
    sku: String,
    received: i64,
    restocked: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancellation {
    actor: String,
    note: Option<String>,
    seen: Option<String>,
}

async fn request(
    State(api): State<Arc<Api>>,
    OrderInPath(order_id): OrderInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let (command, seen) = wish(order_id, &body::json(&head.headers, body).await?)?;
    let RequestReturnCommand { order_id: _, lines, reason, actor } = &command;
    let meaning = Meaning::of(REQUEST_RETURN).text(&order_id.to_string()).text(reason).text(actor);
    let meaning =
        lines.iter().fold(meaning, |meaning, (sku, units)| meaning.text(sku.as_str()).number(*units));
    let wish = (&command, seen.as_ref());
    idempotency::once_if_unchanged(&api, &head, meaning, wish, |reply| match reply {
        RequestReturnReply::Requested(it) => idempotency::answer(StatusCode::CREATED, &ReturnView::from(*it)),
        RequestReturnReply::Refused(why) => Err(Problem::new(Code::ReturnRefused, why)),
        RequestReturnReply::NotFound => Err(not_found(order_id)),
    })
    .await
}

fn wish(order_id: OrderId, text: &[u8]) -> Result<(RequestReturnCommand, Option<Seen>), Problem> {
    let Wish { lines, reason, actor, seen } = body::parse(text, &WISH.shape)?;
    let mut texts = Texts::default();
    texts.needed("/reason", &reason, KEY_BYTES_MAX);
    texts.needed("/actor", &actor, TEXT_BYTES_MAX);
    let lines = lines.unwrap_or_default();
    bounded(lines.len(), &mut texts);
    let lines: Vec<(Sku, i64)> = lines
        .iter()
        .enumerate()
        .filter_map(|(index, line)| {
            texts.within(&format!("/lines/{index}/quantity"), line.quantity, 1, UNITS_MAX);
            Some((sku(index, &line.sku, &mut texts)?, line.quantity))
        })
        .collect();
    let seen = idempotency::seen_of_order(order_id, seen.as_deref(), &mut texts);
    texts.finish()?;
    Ok((RequestReturnCommand { order_id, lines, reason, actor }, seen))
}

async fn receive(
    State(api): State<Arc<Api>>,
    ReturnInPath(order_id, return_id): ReturnInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let (command, seen) = receipt(order_id, return_id, &body::json(&head.headers, body).await?)?;
    let wish = (&command, seen.as_ref());
    idempotency::once_if_unchanged(&api, &head, meaning_of_receipt(&command), wish, |reply| match reply {
        ReceiveReturnReply::Received(it) => idempotency::answer(StatusCode::OK, &ReturnView::from(*it)),
        ReceiveReturnReply::Refused(why) => Err(Problem::new(Code::ReturnRefused, why)),
        ReceiveReturnReply::NoSuchReturn => Err(no_such_return(order_id, return_id)),
        ReceiveReturnReply::NotFound => Err(not_found(order_id)),
    })
    .await
}

fn receipt(
    order_id: OrderId,
    return_id: ReturnId,
    text: &[u8],
) -> Result<(ReceiveReturnCommand, Option<Seen>), Problem> {
    let Receipt { lines, restock, refund, actor, note, seen } = body::parse(text, &RECEIPT.shape)?;
    let mut texts = Texts::default();
    texts.needed("/actor", &actor, TEXT_BYTES_MAX);
    texts.optional("/note", note.as_deref(), NOTE_BYTES_MAX);
    let lines = lines.unwrap_or_default();
    bounded(lines.len(), &mut texts);
    let arrived: Vec<Arrival> = lines
        .iter()
        .enumerate()
        .filter_map(|(index, line)| {
            let ArrivedLine { sku: name, received, restocked } = line;
            texts.within(&format!("/lines/{index}/received"), *received, 1, UNITS_MAX);
            if let Some(restocked) = restocked {
                texts.within(&format!("/lines/{index}/restocked"), *restocked, 0, UNITS_MAX);
            }
            let sku = sku(index, name, &mut texts)?;
            Some(Arrival { sku, received: *received, restocked: *restocked })
        })
        .collect();
    let refund = refund.and_then(|amount| {
        let currency = Currency::parse(&amount.currency);
        let currency = texts.take("/refund/currency", "invalid_currency", currency)?;
        Some(Money::new(amount.minor, currency))
    });
    let seen = idempotency::seen_of_order(order_id, seen.as_deref(), &mut texts);
    texts.finish()?;
    let restock = if restock == Some(true) { Restock::All } else { Restock::None };
    let note = note.unwrap_or_default();
    Ok((ReceiveReturnCommand { order_id, return_id, arrived, restock, refund, actor, note }, seen))
}

fn meaning_of_receipt(command: &ReceiveReturnCommand) -> Meaning {
    let ReceiveReturnCommand { order_id, return_id, arrived, restock, refund, actor, note } = command;
    let meaning = Meaning::of(RECEIVE_RETURN).text(&order_id.to_string()).text(&return_id.to_string());
    let meaning = meaning.text(actor).text(note).optional(refund.map(|amount| amount.to_string()).as_deref());
    let meaning = meaning.number(i64::from(*restock == Restock::All));
    arrived.iter().fold(meaning, |meaning, Arrival { sku, received, restocked }| {
        let restocked = restocked.map(|units| units.to_string());
        meaning.text(sku.as_str()).number(*received).optional(restocked.as_deref())
    })
}

async fn cancel(
    State(api): State<Arc<Api>>,
    ReturnInPath(order_id, return_id): ReturnInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let Cancellation { actor, note, seen } =
        body::parse(&body::json(&head.headers, body).await?, &CANCELLATION.shape)?;
    let mut texts = Texts::default();
    texts.needed("/actor", &actor, TEXT_BYTES_MAX);
    texts.optional("/note", note.as_deref(), NOTE_BYTES_MAX);
    let seen = idempotency::seen_of_order(order_id, seen.as_deref(), &mut texts);
    texts.finish()?;
    let command = CancelReturnCommand { order_id, return_id, actor, note: note.unwrap_or_default() };
    let meaning = Meaning::of(CANCEL_RETURN).text(&order_id.to_string()).text(&return_id.to_string());
    let meaning = meaning.text(&command.actor).text(&command.note);
    let wish = (&command, seen.as_ref());
    idempotency::once_if_unchanged(&api, &head, meaning, wish, |reply| match reply {
        CancelReturnReply::Cancelled(it) => idempotency::answer(StatusCode::OK, &ReturnView::from(*it)),
        CancelReturnReply::Refused(why) => Err(Problem::new(Code::ReturnRefused, why)),
        CancelReturnReply::NoSuchReturn => Err(no_such_return(order_id, return_id)),
        CancelReturnReply::NotFound => Err(not_found(order_id)),
    })
    .await
}

/// No more lines than an order may have.
fn bounded(lines: usize, texts: &mut Texts) {
    if lines > LINES_MAX {
        let detail = format!("at most {LINES_MAX}, these are {lines}");
        texts.add(Wrong::at("/lines", "too_many", detail));
    }
}

fn sku(index: usize, name: &str, texts: &mut Texts) -> Option<Sku> {
    texts.take(&format!("/lines/{index}/sku"), "invalid_sku", Sku::parse(name))
}

fn no_such_return(order_id: OrderId, return_id: ReturnId) -> Problem {
    let detail =
        format!("order {order_id} has no return {return_id}; its returns are in GET /orders/{order_id}");
    Problem::new(Code::ReturnNotFound, detail)
}

static WISH: Schema = Schema {
    name: "ReturnRequest",
    shape: Shape::Object(&[
        may("lines", Shape::List(&WISHED_LINE), "What comes back; all that has not yet, unless said."),
        need("reason", Shape::Text, "Why it comes back: 1 to 255 bytes."),
        need("actor", Shape::Text, "Who asks for it."),
        may("seen", Shape::Time, SEEN),
    ]),
};
const WISHED_LINE: Shape = Shape::Named(&Schema {
    name: "ReturnRequestLine",
    shape: Shape::Object(&[
        need("sku", Shape::Text, "The product."),
        need("quantity", Shape::Units, "Units of it."),
    ]),
});
static RECEIPT: Schema = Schema {
    name: "ReturnReceipt",
    shape: Shape::Object(&[
        may("lines", Shape::List(&ARRIVED_LINE), "What arrived; all that was awaited, unless said."),
        may(
            "restock",
            Shape::Boolean,
            "Whether what arrived is for sale again where its line does not say; false unless said.",
        ),
        may("refund", AMOUNT, "What is paid back, in the currency of the order; nothing unless said."),
        need("actor", Shape::Text, "Who takes it in."),
        may("note", Shape::Text, "What they say to it."),
        may("seen", Shape::Time, SEEN),
    ]),
};
const ARRIVED_LINE: Shape = Shape::Named(&Schema {
    name: "ReturnReceiptLine",
    shape: Shape::Object(&[
        need("sku", Shape::Text, "The product."),
        need("received", Shape::Units, "Units that arrived."),
        may("restocked", Shape::Units, "Of these, for sale again."),
    ]),
});
static CANCELLATION: Schema = Schema {
    name: "ReturnCancellation",
    shape: Shape::Object(&[
        need("actor", Shape::Text, "Who says so."),
        may("note", Shape::Text, "Why."),
        may("seen", Shape::Time, SEEN),
    ]),
};
