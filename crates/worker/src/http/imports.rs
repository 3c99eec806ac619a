//! Orders in bulk, as CSV or as one JSON order per line. Each order goes the way of every other order, under a key made
//! from its reference, so that an import can be repeated until all of it is in; each gets an answer of its own.

use std::sync::Arc;

use application::commands::CreateOrderReply;
use application::validators::{KEY_BYTES_MAX, OrderDraft, validate_order};
use axum::Json;
use axum::extract::{Request, State};
use bytes::Bytes;
use domain::OrderId;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::limits::{IMPORT_AT_ONCE_MAX, IMPORT_BYTES_MAX, IMPORT_ORDERS_MAX};
use super::problem::{Code, Problem, Wrong};
use super::route::Route;
use super::shape::{Schema, Shape, may, need};
use super::{Api, body, csv_orders, ndjson_orders};

/// An order as it was found in an import.
pub(super) struct ImportedOrder {
    /// Its reference, as far as it has one.
    pub(super) reference: String,
    /// The row or line where it begins, from 1.
    pub(super) row: usize,
    /// What it asks for.
    pub(super) draft: Result<OrderDraft, Vec<Wrong>>,
}

/// What became of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// It is accepted.
    Created,
    /// It was accepted before.
    Replayed,
    /// It cannot be accepted.
    Rejected,
    /// It was not tried to the end; import it again.
    NotDone,
}

#[derive(Serialize)]
struct RowAnswer {
    order_ref: String,
    row: usize,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Wrong>,
}

#[derive(Default, Serialize)]
struct ImportAnswer {
    orders: usize,
    created: usize,
    replayed: usize,
    rejected: usize,
    not_done: usize,
    results: Vec<RowAnswer>,
}

async fn import(State(api): State<Arc<Api>>, request: Request) -> Result<Json<ImportAnswer>, Problem> {
    let (head, body) = request.into_parts();
    let format = Format::of(body::media_type(&head.headers))?;
    let body = body::read(body, IMPORT_BYTES_MAX).await?;
    let orders = format.read(&body)?;
    if orders.len() > IMPORT_ORDERS_MAX {
        let detail = format!("at most {IMPORT_ORDERS_MAX} orders at once, these are {}", orders.len());
        return Err(Problem::of(Code::ValidationFailed, vec![Wrong::at("", "too_many", detail)]));
    }
    let api = api.as_ref();
    let accepting = stream::iter(orders).map(|order| accept(api, order)).buffered(IMPORT_AT_ONCE_MAX);
    let results: Vec<RowAnswer> = accepting.collect().await;
    Ok(Json(summed_up(results)))
}

fn summed_up(results: Vec<RowAnswer>) -> ImportAnswer {
    let mut answer = ImportAnswer { orders: results.len(), ..ImportAnswer::default() };
    for result in &results {
        *match result.outcome {
            Outcome::Created => &mut answer.created,
            Outcome::Replayed => &mut answer.replayed,
            Outcome::Rejected => &mut answer.rejected,
            Outcome::NotDone => &mut answer.not_done,
        } += 1;
    }
    answer.results = results;
    answer
}

/// How an import is written.
#[derive(Clone, Copy)]
enum Format {
    Csv,
    Ndjson,
}

impl Format {
    fn of(media_type: Option<&str>) -> Result<Self, Problem> {
        match media_type.map(str::to_ascii_lowercase).as_deref() {
            Some("text/csv" | "application/csv") => Ok(Self::Csv),
            Some("application/x-ndjson" | "application/ndjson" | "application/jsonl") => Ok(Self::Ndjson),
            Some(_) | None => {
                let detail = "text/csv and application/x-ndjson are taken here; say which it is";
                Err(Problem::new(Code::UnsupportedMediaType, detail))
            }
        }
    }

    fn read(self, body: &Bytes) -> Result<Vec<ImportedOrder>, Problem> {
        match self {
            Self::Csv => csv_orders::read(body),
            Self::Ndjson => Ok(ndjson_orders::read(body)),
        }
    }
}

async fn accept(api: &Api, order: ImportedOrder) -> RowAnswer {
    let ImportedOrder { reference, row, draft } = order;
    let told = |outcome, order_id: Option<OrderId>, errors| RowAnswer {
        order_ref: reference.clone(),
        row,
        outcome,
        order_id: order_id.map(|OrderId(id)| id),
        errors,
    };
    let rejected = |errors| told(Outcome::Rejected, None, errors);
    let draft = match draft.and_then(|draft| checked_reference(&reference).map(|()| draft)) {
        Ok(draft) => draft,
        Err(wrongs) => return rejected(wrongs),
    };
    let context = api.commands.context();
    let id = OrderId(context.ids.next(context.clock.now()));
    let command = match validate_order(&draft, id, &format!("{KEY_PREFIX}{reference}"), meaning(&draft)) {
        Ok(command) => command,
        Err(violations) => return rejected(violations.into_iter().map(Wrong::from).collect()),
    };
    match api.create.submit(command).await {
        Ok(CreateOrderReply::Created(accepted)) => {
            told(Outcome::Created, Some(accepted.order_id), Vec::new())
        }
        Ok(CreateOrderReply::Replayed(accepted)) => {
            told(Outcome::Replayed, Some(accepted.order_id), Vec::new())
        }
        Ok(CreateOrderReply::Reused { what }) => {
            let detail = format!("this {what} belongs to an order with other content");
            rejected(vec![Wrong::at("/external_reference", "reused", detail)])
        }
        Ok(CreateOrderReply::Rejected(violations)) => {
            rejected(violations.into_iter().map(Wrong::from).collect())
        }
        Err(overloaded) => {
            let problem = Problem::from(overloaded);
            let wrong = Wrong::at("", problem.code().as_str(), problem.detail());
            told(Outcome::NotDone, None, vec![wrong])
        }
    }
}

/// How the keys of imported orders begin.
const KEY_PREFIX: &str = "import-";

fn checked_reference(reference: &str) -> Result<(), Vec<Wrong>> {
    let bytes_max = KEY_BYTES_MAX - KEY_PREFIX.len();
    if (1..=bytes_max).contains(&reference.len()) {
        return Ok(());
    }
    let detail = format!("an imported order has a reference of 1 to {bytes_max} bytes");
    Err(vec![Wrong::at("/external_reference", "invalid_reference", detail)])
}

/// Digest of what an order asks for, whichever way it was written.
fn meaning(draft: &OrderDraft) -> [u8; 32] {
    let mut digest = Sha256::new();
    let mut text = |text: Option<&str>| match text {
        None => digest.update([0]),
        Some(text) => {
            digest.update([1]);
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        }
    };
    text(Some(&draft.customer_id));
    text(draft.payment_token.as_deref());
    text(draft.external_reference.as_deref());
    text(draft.ordered_at.as_deref());
    for line in &draft.lines {
        text(Some(&line.sku));
        text(Some(&line.quantity.to_string()));
        let price = line.unit_price.as_ref().map(|price| format!("{} {}", price.minor, price.currency));
        text(price.as_deref());
    }
    digest.finalize().into()
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/imports", "importOrders", import)
            .about(
                "Accepts many orders. CSV has the columns order_ref, customer_id, ordered_at, sku, quantity, \
                 unit_price_minor, currency, one row per line of an order; NDJSON has one order per line, with its \
                 external_reference. Repeating an import changes nothing.",
            )
            .taking_text("text/csv")
            .taking_text("application/x-ndjson")
            .giving(200, &REPORT)
            .failing(&[Code::UnsupportedMediaType, Code::ValidationFailed]),
    ]
}

const WRONG: Shape = Shape::Object(&[
    need("pointer", Shape::Text, "JSON pointer into the order."),
    need("code", Shape::Text, "What is wrong, as a code."),
    need("detail", Shape::Text, "What is wrong, in words."),
]);
const RESULT: Shape = Shape::Object(&[
    need("order_ref", Shape::Text, "The order's reference."),
    need("row", Shape::Integer, "The row or line where it begins, from 1."),
    need("outcome", Shape::Choice(&["created", "replayed", "rejected", "not_done"]), "What became of it."),
    may("order_id", Shape::Id, "The order, if it is accepted."),
    may("errors", Shape::List(&WRONG), "Everything that is wrong with it."),
]);
static REPORT: Schema = Schema {
    name: "ImportReport",
    shape: Shape::Object(&[
        need("orders", Shape::Integer, "How many there were."),
        need("created", Shape::Integer, "Accepted now."),
        need("replayed", Shape::Integer, "Accepted before."),
        need("rejected", Shape::Integer, "Not acceptable."),
        need("not_done", Shape::Integer, "Not tried to the end; import them again."),
        need("results", Shape::List(&RESULT), "Each order, in the order of the import."),
    ]),
};
