//! Orders in bulk, as CSV, as JSON, or as one JSON order per line. Each order goes the way of every other order, under a key made
//! from its reference, so that an import can be repeated until all of it is in; each gets an answer of its own.

use std::io::Read;
use std::sync::Arc;

use application::commands::CreateOrderReply;
use application::ports::Caller;
use application::validators::{KEY_BYTES_MAX, validate_order};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use domain::OrderId;
use flate2::bufread::MultiGzDecoder;
use futures_util::{StreamExt, stream};
use http::StatusCode;

use super::idempotency::Keyed;
use super::import_answer::{IMPORT, ImportAnswer, ImportedOrder, Outcome, RowAnswer};
use super::limits::{IMPORT_AT_ONCE_MAX, IMPORT_BYTES_MAX, IMPORT_ORDERS_MAX, IMPORT_UNPACKED_BYTES_MAX};
use super::meaning::{self, Meaning};
use super::problem::{Code, Problem, Wrong};
use super::route::Route;
use super::shape::{Schema, Shape, may, need};
use super::sheets::{self, Options};
use super::{Api, body, csv_orders, idempotency, json_orders, ndjson_orders};

/// How a packed body begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The media type of workbooks.
const WORKBOOK: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

async fn import(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let format = Format::of(body::media_type(&head.headers))?;
    let options = Options::of(&head)?;
    let body = unpacked(body::read(body, IMPORT_BYTES_MAX).await?)?;
    if let Some(options) = options {
        return sheets::import(&api, &head, body, options).await;
    }
    let orders = format.read(&body)?;
    if orders.len() > IMPORT_ORDERS_MAX {
        let detail = format!("at most {IMPORT_ORDERS_MAX} orders at once, these are {}", orders.len());
        return Err(Problem::of(Code::ValidationFailed, vec![Wrong::at("", "too_many", detail)]));
    }
    let keyed = Keyed::of(&api, &head, meaning(&orders))?;
    if let Some(answered) = keyed.answered().await? {
        return Ok(answered);
    }
    let (api, caller) = (api.as_ref(), &idempotency::caller(&head.extensions));
    let accepting = stream::iter(orders).map(|order| accept(api, caller, order)).buffered(IMPORT_AT_ONCE_MAX);
    let results: Vec<RowAnswer> = accepting.collect().await;
    let summed_up = summed_up(results);
    let answer = idempotency::answer(StatusCode::OK, &summed_up)?;
    // What was not tried to the end, or came to nothing, may be sent again under its key.
    if summed_up.not_done > 0 || summed_up.created + summed_up.replayed == 0 {
        return Ok(idempotency::given(answer));
    }
    keyed.keep(answer).await
}

/// Each order by itself is done once under its reference.
fn meaning(orders: &[ImportedOrder]) -> Meaning {
    orders.iter().fold(Meaning::of(IMPORT), |said, ImportedOrder { reference, row: _, line: _, draft }| {
        let said = said.text(reference);
        match draft {
            Ok(draft) => meaning::of_draft(said, draft),
            Err(wrongs) => wrongs.iter().fold(said, |said, wrong| said.text(&wrong.code).text(&wrong.detail)),
        }
    })
}

/// The body as it was before it was packed, if it was.
fn unpacked(body: Bytes) -> Result<Bytes, Problem> {
    if !body.starts_with(&GZIP) {
        return Ok(body);
    }
    let mut text = Vec::new();
    let unpacking =
        MultiGzDecoder::new(&*body).take(IMPORT_UNPACKED_BYTES_MAX as u64 + 1).read_to_end(&mut text);
    if let Err(error) = unpacking {
        let detail = format!("the packed file breaks off or is damaged: {error}");
        return Err(Problem::of(Code::ValidationFailed, vec![Wrong::at("", "unreadable_file", detail)]));
    }
    if text.len() > IMPORT_UNPACKED_BYTES_MAX {
        let detail =
            format!("at most {IMPORT_UNPACKED_BYTES_MAX} bytes are taken here when they are unpacked");
        return Err(Problem::new(Code::BodyTooLarge, detail));
    }
    Ok(text.into())
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
    Json,
    Ndjson,
    /// What only a mapping makes sense of.
    Sheet,
}

impl Format {
    fn of(media_type: Option<&str>) -> Result<Self, Problem> {
        match media_type.map(str::to_ascii_lowercase).as_deref() {
            Some("text/csv" | "application/csv" | "text/tab-separated-values") => Ok(Self::Csv),
            Some(WORKBOOK) => Ok(Self::Sheet),
            Some("application/json") => Ok(Self::Json),
            Some("application/x-ndjson" | "application/ndjson" | "application/jsonl") => Ok(Self::Ndjson),
            Some(_) | None => {
                let detail = format!(
                    "application/json, application/x-ndjson, text/csv and {WORKBOOK} are taken here; say which it is"
                );
                Err(Problem::new(Code::UnsupportedMediaType, detail))
            }
        }
    }

    fn read(self, body: &Bytes) -> Result<Vec<ImportedOrder>, Problem> {
        match self {
            Self::Csv => csv_orders::read(body),
            Self::Json => json_orders::read(body),
            Self::Ndjson => Ok(ndjson_orders::read(body)),
            Self::Sheet => {
                let detail = "a workbook needs a mapping; name one with ?mapping=";
                Err(Problem::of(Code::ValidationFailed, vec![Wrong::at("", "mapping_missing", detail)]))
            }
        }
    }
}

async fn accept(api: &Api, caller: &Caller, order: ImportedOrder) -> RowAnswer {
    let ImportedOrder { reference, row, line, draft } = order;
    let told = |outcome, order_id: Option<OrderId>, errors| RowAnswer {
        order_ref: reference.clone(),
        row: Some(row),
        line,
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
    let command = match validate_order(&draft, id, caller) {
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
        Ok(
            CreateOrderReply::ReferenceReused { differences, .. }
            | CreateOrderReply::KeyReused { differences },
        ) => rejected(differences.into_iter().map(Wrong::from).collect()),
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

fn checked_reference(reference: &str) -> Result<(), Vec<Wrong>> {
    if (1..=KEY_BYTES_MAX).contains(&reference.len()) {
        return Ok(());
    }
    let detail = format!("an imported order has a reference of 1 to {KEY_BYTES_MAX} bytes");
    Err(vec![Wrong::at("/external_reference", "invalid_reference", detail)])
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/imports", IMPORT, import)
            .about(
                "Accepts many orders. JSON is an object with the list 'orders', or that list alone, each order with its \
                 external_reference; NDJSON has one such order per line. CSV has the columns order_ref, customer_id, ordered_at, sku, quantity, \
                 unit_price_minor, currency, one row per line of an order, and an order with a row that is wrong is not taken. With a mapping, exports of shops as CSV or workbook are read as `orderwright import` reads \
                 them; products are never made, and the key needs the scope orders:import as well. Any of them may be packed with gzip. Repeating an import changes nothing.",
            )
            .with(sheets::PARAMETERS)
            .once()
            .taking(&json_orders::IMPORT_REQUEST)
            .taking_text("text/csv")
            .taking_text("application/x-ndjson")
            .taking_text(WORKBOOK)
            .giving(200, &REPORT)
            .failing(&[Code::UnsupportedMediaType, Code::ValidationFailed, Code::InvalidParameter])
            .asking_the_store(),
    ]
}

const WRONG: Shape = Shape::Named(&Schema {
    name: "ImportResultError",
    shape: Shape::Object(&[
        need("pointer", Shape::Text, "JSON pointer into the order."),
        need("code", Shape::Text, "What is wrong, as a code."),
        need("detail", Shape::Text, "What is wrong, in words."),
    ]),
});
const FILE: Shape = Shape::Named(&Schema {
    name: "ImportFile",
    shape: Shape::Object(&[
        need("dry_run", Shape::Boolean, "Whether nothing was changed."),
        need("verdict", Shape::Text, "What it all came to."),
        need("notes", Shape::List(&Shape::Text), "What was found out about the file."),
        need("tally", TALLY, "Rows and orders, by what became of them."),
        need("told", Shape::List(&TOLD), "Each row that is not simply a line of an order now."),
    ]),
});
const TALLY: Shape = Shape::Named(&Schema {
    name: "ImportTally",
    shape: Shape::Object(&[
        need("rows", Shape::Integer, "Rows read."),
        need("rows_imported", Shape::Integer, "Rows that became lines of new orders."),
        need("rows_replayed", Shape::Integer, "Rows of orders that were there before."),
        need("rows_rejected", Shape::Counts, "Rows that became nothing, by reason."),
        need("rows_left_out", Shape::Counts, "Rows that are left out, by reason."),
        need("rows_cancelling", Shape::Counts, "Rows that take something back, by what became of them."),
        need("products_new", Shape::Integer, "Products that were new."),
        need("products", Shape::Integer, "Products in the file."),
        need("orders_new", Shape::Integer, "Orders that were new."),
        need("orders_replayed", Shape::Integer, "Orders that were there before."),
        need("orders_refused", Shape::Integer, "Orders that the service would not have."),
        need(
            "orders_torn",
            Shape::Integer,
            "Of those, orders of which the service took a part before it refused another; what it took is being cancelled.",
        ),
        need("orders_held_back", Shape::Integer, "Orders that are held back until the file is mended."),
        need("orders_cancelled", Shape::Integer, "Orders whose cancellation was accepted."),
    ]),
});
const TOLD: Shape = Shape::Named(&Schema {
    name: "ImportedRow",
    shape: Shape::Object(&[
        need("line", Shape::Integer, "Line of the file."),
        need("order", Shape::Text, "The other system's name for the order; may be empty."),
        need(
            "what",
            Shape::Choice(&["rejected", "held_back", "left_out", "cancellation"]),
            "What became of it.",
        ),
        need("why", Shape::Text, "Why, as a code."),
        need("detail", Shape::Text, "Why, in words."),
    ]),
});
const RESULT: Shape = Shape::Named(&Schema {
    name: "ImportResult",
    shape: Shape::Object(&[
        need("order_ref", Shape::Text, "The order's reference."),
        may(
            "row",
            Shape::Integer,
            "The row where it begins, from 1 and without the headings; not with a mapping.",
        ),
        need("line", Shape::Integer, "The line of the body where it begins, from 1."),
        need(
            "outcome",
            Shape::Choice(&["created", "replayed", "rejected", "not_done"]),
            "What became of it.",
        ),
        may("order_id", Shape::Id, "The order, if it is accepted."),
        may("errors", Shape::List(&WRONG), "Everything that is wrong with it."),
    ]),
});
static REPORT: Schema = Schema {
    name: "ImportReport",
    shape: Shape::Object(&[
        need("orders", Shape::Integer, "How many there were."),
        need("created", Shape::Integer, "Accepted now."),
        need("replayed", Shape::Integer, "Accepted before."),
        need("rejected", Shape::Integer, "Not acceptable."),
        need("not_done", Shape::Integer, "Not tried to the end; import them again."),
        need("results", Shape::List(&RESULT), "Each order, in the order of the import."),
        may("file", FILE, "With a mapping: what is told of the file beside its orders."),
    ]),
};
