//! Orders over HTTP: accept, show, list, cancel. Accepting is the hot path: one parse, one digest, one turn of the
//! coalescer; must never do per order what can be done per batch.

use std::fmt::Write;
use std::sync::Arc;

use application::commands::{
    CancelOrderCommand, CancelReply, CreateOrderCommand, CreateOrderReply, OrderAccepted, OrderKey, Violation,
};
use application::ports::{Answer, FOUND_BY_ACCEPTANCE, HistoryView, OrderFilter, OrderSort, OrderView};
use application::queries::{GetOrderHistoryQuery, GetOrderStatusQuery};
use application::saga::SagaState;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use domain::text::composed;
use domain::{CancelReason, OrderId, OrderStatus, Sku};
use http::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::cursor::PlaceInOrder;
use super::limits::{NOTE_BYTES_MAX, ORDER_BYTES_MAX, TEXT_BYTES_MAX};
use super::meaning::{self, Meaning};
use super::parameters::{CURSOR, LIMIT, OrderInPath, PageAnswer, Query};
use super::problem::{Code, Problem, Wrong};
use super::route::{self, Route};
use super::shape::{AMOUNT, Schema, Shape, may, need};
use super::{Api, body, draft, idempotency};
use crate::import::IMPORTED_ORDER;

pub(super) fn routes() -> Vec<Route> {
    vec![creating(), listing(), showing(), telling_history(), cancelling()]
}

async fn create(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    body::expect_json(&head.headers)?;
    let body = body::read(body, ORDER_BYTES_MAX).await?;
    let key = idempotency::key(&head.headers)?;
    let caller = match head.headers.get(IMPORTED_ORDER).is_some_and(|said| said == "true") {
        true => idempotency::importer(&head.extensions)?,
        false => idempotency::caller(&head.extensions),
    };
    let _held = key.map(|key| api.in_flight.hold(&caller, CREATE, key)).transpose()?;
    let context = api.commands.context();
    let order_id = OrderId(context.ids.next(context.clock.now()));
    let mut command = draft::command(&body, order_id, &caller).map_err(draft::Refused::problem)?;
    command.traceparent = traceparent(&head.headers);
    command.key = order_key(key, &command)?;
    match api.create.submit(command).await? {
        CreateOrderReply::Created(accepted) => Ok(accepted_answer(&accepted)),
        CreateOrderReply::Replayed(accepted) => Ok(idempotency::replayed(accepted_answer(&accepted))),
        CreateOrderReply::KeyReused { differences } => Err(key_reused(key.unwrap_or_default(), differences)),
        CreateOrderReply::ReferenceReused { order_id, differences } => {
            Err(reference_reused(order_id, differences))
        }
        CreateOrderReply::Rejected(violations) => {
            let wrongs = violations.into_iter().map(Wrong::from).collect();
            Err(Problem::of(Code::ValidationFailed, wrongs))
        }
    }
}

/// Written by hand from what never changes about an order, so that a replay is the same to the byte.
fn accepted_answer(accepted: &OrderAccepted) -> Response {
    const BODY_BYTES: usize = 192;
    let OrderAccepted { order_id, total, created_at } = accepted;
    let mut body = String::with_capacity(BODY_BYTES);
    let written = write!(
        body,
        r#"{{"order_id":"{order_id}","status":"{}","total":{{"minor":{},"currency":"{}"}},"created_at":"{created_at}"}}"#,
        OrderStatus::Pending.as_str(),
        total.minor,
        total.currency.code(),
    );
    debug_assert!(written.is_ok(), "a text takes whatever is written to it");
    let mut response = (StatusCode::CREATED, body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(location) = HeaderValue::try_from(format!("/orders/{order_id}")) {
        headers.insert(LOCATION, location);
    }
    response
}

/// An order is done once under its key; one without a key, once under its reference.
fn order_key(key: Option<&str>, command: &CreateOrderCommand) -> Result<Option<OrderKey>, Problem> {
    match key {
        Some(key) => {
            let digest = meaning::of_order(CREATE, command).digest();
            Ok(Some(OrderKey { key: key.to_owned(), digest }))
        }
        None if command.external_reference.is_some() => Ok(None),
        None => {
            let detail = "send an Idempotency-Key, a text of your own choosing that is new for each order, or give the \
                          order an external_reference, your own name for it";
            Err(Problem::new(Code::IdempotencyKeyMissing, detail))
        }
    }
}

fn key_reused(key: &str, differences: Vec<Violation>) -> Problem {
    let problem = idempotency::reused(key, CREATE);
    if differences.is_empty() {
        return problem;
    }
    let detail = format!("{}; this one differs from it: {}", problem.detail(), in_words(&differences));
    Problem::new(problem.code(), detail).listing(differences.into_iter().map(Wrong::from).collect())
}

fn in_words(differences: &[Violation]) -> String {
    let told: Vec<&str> = differences.iter().map(|difference| difference.message.as_str()).collect();
    told.join("; ")
}

fn reference_reused(order_id: OrderId, differences: Vec<Violation>) -> Problem {
    let detail = format!(
        "this external_reference is borne by order {order_id}, and this request differs from it: {}; give another order \
         another reference",
        in_words(&differences)
    );
    let wrongs = differences.into_iter().map(Wrong::from).collect();
    Problem::new(Code::ReferenceReused, detail).listing(wrongs)
}

/// The trace context of a request, if it is one: `00-<32 hex>-<16 hex>-<2 hex>`.
fn traceparent(headers: &HeaderMap) -> Option<Arc<str>> {
    const LENGTHS: [usize; 4] = [2, 32, 16, 2];
    let text = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = text.split('-');
    let hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let fits =
        LENGTHS.iter().all(|length| parts.next().is_some_and(|part| part.len() == *length && hex(part)));
    (fits && parts.next().is_none()).then(|| Arc::from(text))
}

async fn show(State(api): State<Arc<Api>>, OrderInPath(id): OrderInPath) -> Result<Json<OrderView>, Problem> {
    let query = GetOrderStatusQuery { order_id: id };
    query.read(api.readers.as_ref()).await?.map(Json).ok_or_else(|| not_found(id))
}

async fn history(
    State(api): State<Arc<Api>>,
    OrderInPath(id): OrderInPath,
) -> Result<Json<Timeline>, Problem> {
    let query = GetOrderHistoryQuery { order_id: id };
    let items = query.read(api.readers.as_ref()).await?.ok_or_else(|| not_found(id))?;
    Ok(Json(Timeline { order_id: id.0, items }))
}

#[derive(Serialize)]
struct Timeline {
    order_id: Uuid,
    items: Vec<HistoryView>,
}

async fn list(State(api): State<Arc<Api>>, parts: Parts) -> Result<Json<PageAnswer<OrderView>>, Problem> {
    let mut query = Query::of(&parts, LISTED_BY);
    let filter = filter(&mut query);
    let limit = query.limit();
    query.finish()?;
    let page = api.readers.orders(&filter, limit).await?;
    let next = page.next.map(|place| PlaceInOrder { sort: filter.sort, place });
    Ok(Json(PageAnswer::up_to(page.items, next)))
}

/// What orders are listed by.
const LISTED_BY: &[&str] = &[
    "status",
    "customer_id",
    "external_reference",
    "sku",
    "tracking_number",
    "saga_state",
    "attention",
    "find",
    "created_from",
    "created_before",
    "updated_from",
    "updated_before",
    "sort",
    "cursor",
    "limit",
];

/// Where the sagas are to stand: 'attention' is one state in another word.
fn saga_state(query: &mut Query) -> Option<SagaState> {
    let state = query.take("saga_state", str::parse::<SagaState>);
    let attention = query.take("attention", |text| match (text.parse::<bool>(), state) {
        (Ok(true), Some(state)) if state != SagaState::NeedsAttention => {
            Err(format!("it means saga_state=needs_attention, and that is {state}"))
        }
        (parsed, _) => parsed.map_err(|error| error.to_string()),
    });
    if attention == Some(true) { Some(SagaState::NeedsAttention) } else { state }
}

/// What is to be found, without the blanks that come with copying it.
fn sought(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("say what to find"),
        text => Ok(text.to_owned()),
    }
}

/// The orders of a query. A query by change is sorted by change, unless it says otherwise.
fn filter(query: &mut Query) -> OrderFilter {
    let text = |text: &str| Ok::<_, String>(text.to_owned());
    let mut filter = OrderFilter {
        status: query.take("status", str::parse::<OrderStatus>),
        customer_id: query.take("customer_id", text),
        external_reference: query
            .take("external_reference", |text| Ok::<_, String>(composed(text).into_owned())),
        sku: query.take("sku", str::parse::<Sku>),
        tracking_number: query.take("tracking_number", text),
        saga_state: saga_state(query),
        find: query.take("find", sought),
        created_from: query.take("created_from", str::parse::<Timestamp>),
        created_before: query.take("created_before", str::parse::<Timestamp>),
        updated_from: query.take("updated_from", str::parse::<Timestamp>),
        updated_before: query.take("updated_before", str::parse::<Timestamp>),
        ..OrderFilter::default()
    };
    let is_by_name = filter.find.is_some();
    let sort = query.take("sort", |text| match text.parse::<OrderSort>() {
        Ok(sort) if is_by_name && sort.is_by_change() => Err(FOUND_BY_ACCEPTANCE.to_owned()),
        parsed => parsed.map_err(|error| error.to_string()),
    });
    filter.sort = sort.unwrap_or_else(|| filter.usual_sort());
    let sort = filter.sort;
    filter.after = query.cursor_that(|cursor: PlaceInOrder| {
        (cursor.sort == sort).then_some(cursor.place).ok_or("it belongs to a listing in another order")
    });
    filter
}

/// The wish to cancel, as a client writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelWish {
    reason: Option<String>,
    actor: String,
    note: Option<String>,
}

async fn cancel(
    State(api): State<Arc<Api>>,
    OrderInPath(order_id): OrderInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let command = cancellation(order_id, &body::json(&head.headers, body).await?)?;
    idempotency::once(&api, &head, cancel_meaning(&command), &command, |reply| cancelled(order_id, &reply))
        .await
}

fn cancel_meaning(command: &CancelOrderCommand) -> Meaning {
    let CancelOrderCommand { order_id, reason, actor, note } = command;
    Meaning::of(CANCEL_ORDER).text(&order_id.to_string()).text(reason.as_str()).text(actor).text(note)
}

fn cancelled(order_id: OrderId, reply: &CancelReply) -> Result<Answer, Problem> {
    let (status, outcome) = match reply {
        CancelReply::Accepted => (StatusCode::ACCEPTED, "accepted"),
        CancelReply::Already => (StatusCode::OK, "already"),
        CancelReply::Refused { state, why } => {
            let detail = format!("the order's saga is {state}: {why}");
            return Err(Problem::new(Code::CancellationRefused, detail));
        }
        CancelReply::NotFound => return Err(not_found(order_id)),
    };
    idempotency::answer(status, &CancelAnswer { order_id: order_id.0, outcome })
}

/// The command that a text asks for.
pub(super) fn cancellation(order_id: OrderId, text: &[u8]) -> Result<CancelOrderCommand, Problem> {
    let wish: CancelWish = body::parse(text, &CANCEL.shape)?;
    let mut texts = super::text::Texts::default();
    texts.needed("/actor", &wish.actor, TEXT_BYTES_MAX);
    texts.optional("/note", wish.note.as_deref(), NOTE_BYTES_MAX);
    let reason = cancel_reason(wish.reason.as_deref(), &mut texts);
    texts.finish()?;
    Ok(CancelOrderCommand { order_id, reason, actor: wish.actor, note: wish.note.unwrap_or_default() })
}

#[derive(Serialize)]
struct CancelAnswer {
    order_id: Uuid,
    outcome: &'static str,
}

fn cancel_reason(text: Option<&str>, texts: &mut super::text::Texts) -> CancelReason {
    match text {
        None | Some("customer") => CancelReason::Customer,
        Some("operator") => CancelReason::Operator,
        Some(other) => {
            let detail = format!("must be one of {}, this is '{other}'", CANCEL_REASONS.join(", "));
            texts.add(Wrong::at("/reason", "unknown_value", detail));
            CancelReason::Customer
        }
    }
}

pub(super) fn not_found(id: OrderId) -> Problem {
    Problem::new(Code::OrderNotFound, format!("no order has the id {id}"))
}

/// Names of the operations that write.
const CREATE: &str = "createOrder";
const CANCEL_ORDER: &str = "cancelOrder";

const CANCEL_REASONS: &[&str] = &["customer", "operator"];
pub(super) const ORDER_ID: route::Parameter = route::path("order_id", Shape::Id, "The order.");

static CANCEL: Schema = Schema {
    name: "CancelRequest",
    shape: Shape::Object(&[
        may("reason", Shape::Choice(CANCEL_REASONS), "Whose wish it is; the customer's, unless said."),
        need("actor", Shape::Text, "Who asks."),
        may("note", Shape::Text, "In their words."),
    ]),
};
static CANCELLED: Schema = Schema {
    name: "CancelAnswer",
    shape: Shape::Object(&[
        need("order_id", Shape::Id, "The order."),
        need("outcome", Shape::Choice(&["accepted", "already"]), "Whether anything is new."),
    ]),
};
static ACCEPTED: Schema = Schema {
    name: "OrderAccepted",
    shape: Shape::Object(&[
        need("order_id", Shape::Id, "The order."),
        need("status", Shape::Choice(&["pending"]), "Its first status."),
        need("total", AMOUNT, "What it costs in all."),
        need("created_at", Shape::Time, "When it was accepted."),
    ]),
};
const LINE: Shape = Shape::Named(&Schema {
    name: "OrderLine",
    shape: Shape::Object(&[
        need("sku", Shape::Text, "The product."),
        need("quantity", Shape::Integer, "Units."),
        need("unit_price", AMOUNT, "Price of one."),
    ]),
});
const PAYMENT: Shape = Shape::Named(&Schema {
    name: "Payment",
    shape: Shape::Object(&[
        need("status", Shape::Text, "Where the money stands."),
        need("captured_minor", Shape::Integer, "Minor units taken."),
        need("refunded_minor", Shape::Integer, "Minor units given back."),
        need("idempotency_key", Shape::Text, "Our key of the charge."),
        may("provider_reference", Shape::Text, "The gateway's name for the charge."),
        may("decline_code", Shape::Text, "The gateway's reason, if it declined."),
        may("disputed", Shape::Text, "Where a dispute of the customer's bank stands: open, won or lost."),
    ]),
});
const SHIPMENT: Shape = Shape::Named(&Schema {
    name: "Parcel",
    shape: Shape::Object(&[
        need("status", Shape::Text, "Where the parcel stands."),
        need("idempotency_key", Shape::Text, "Our key of the booking."),
        may("tracking_number", Shape::Text, "The carrier's name for the parcel."),
        may("carrier", Shape::Text, "The carrier."),
    ]),
});
static ORDER: Schema = Schema {
    name: "Order",
    shape: Shape::Object(&[
        need("order_id", Shape::Id, "The order."),
        need("customer_id", Shape::Text, "Whom it is for."),
        need("status", Shape::Text, "The headline status."),
        need("saga_state", Shape::Text, "The saga's state."),
        need("total", AMOUNT, "What it costs in all."),
        may("lines", Shape::List(&LINE), "What is wanted; not in listings."),
        may("payment", PAYMENT, "Where the money stands, once asked for."),
        may("shipment", SHIPMENT, "Where the parcel stands, once asked for."),
        may("cancel_reason", Shape::Text, "Why it was cancelled: a code."),
        may("cancel_note", Shape::Text, "Why it was cancelled, in words."),
        may("external_reference", Shape::Text, "Another system's name for it."),
        need("ordered_at", Shape::Time, "When the customer ordered."),
        need("created_at", Shape::Time, "When it was accepted."),
        need(
            "updated_at",
            Shape::Time,
            "When its status last changed, or its money went back or was disputed.",
        ),
    ]),
};
const ORDER_SHAPE: Shape = Shape::Named(&ORDER);
static ORDERS: Schema = Schema {
    name: "OrderPage",
    shape: Shape::Object(&[
        need("items", Shape::List(&ORDER_SHAPE), "The orders, in the order that was asked for."),
        may("next_cursor", Shape::Text, "Where the next page begins, if there is one."),
    ]),
};
pub(super) const HISTORY_ENTRY: Shape = Shape::Named(&Schema {
    name: "HistoryEntry",
    shape: Shape::Object(&[
        need("at", Shape::Time, "When."),
        need("event", Shape::Text, "What happened."),
        may("status", Shape::Text, "The headline status afterwards."),
        may("saga_state", Shape::Text, "The saga's state afterwards."),
        may("detail", Shape::Text, "In words."),
    ]),
});
static TIMELINE: Schema = Schema {
    name: "OrderHistory",
    shape: Shape::Object(&[
        need("order_id", Shape::Id, "The order."),
        need("items", Shape::List(&HISTORY_ENTRY), "What happened, in order."),
    ]),
};

fn creating() -> Route {
    Route::post("/orders", CREATE, create)
        .about(
            "Accepts an order. The same key and content give the same answer, whenever it is asked for; so do the same \
             external reference and content, and who sends one may leave the key out.",
        )
        .once()
        .with(&[
            route::optional_header(
                "traceparent",
                "W3C trace context, carried on to everything that follows.",
            ),
            route::optional_header(
                "Order-Import",
                "'true' for an order of an imported file, whose external_reference begins with 'import-'; needs the scope \
                 orders:import as well.",
            ),
        ])
        .taking(&draft::ORDER_REQUEST)
        .giving(201, &ACCEPTED)
        .failing(&[Code::IdempotencyKeyMissing, Code::ReferenceReused, Code::Overloaded, Code::Stopping])
        .asking_the_store()
}

fn listing() -> Route {
    Route::get("/orders", "listOrders", list)
        .about(
            "Lists orders, oldest first unless said otherwise. A page may hold fewer than 'limit', or none: go on as long \
             as there is a 'next_cursor'. How to follow all changes: docs/interop.md.",
        )
        .with(&[
            route::query("status", Shape::Text, "Only this status."),
            route::query("customer_id", Shape::Text, "Only this customer."),
            route::query("external_reference", Shape::Text, "Only those that bear this reference."),
            route::query("sku", Shape::Text, "Only those with a line for this product."),
            route::query("tracking_number", Shape::Text, "Only those whose parcel has this number."),
            route::query("saga_state", Shape::Text, "Only those whose saga stands here, such as compensating."),
            route::query("attention", Shape::Boolean, "true: only those that wait for a person."),
            route::query(
                "find",
                Shape::Text,
                "Only those that this names: an order's id, external reference or customer, the sku of a line, a tracking \
                 number, or the gateway's name for the charge. The newest first, unless 'sort' is given; not by change.",
            ),
            route::query("created_from", Shape::Time, "Only those accepted at or after this moment."),
            route::query("created_before", Shape::Time, "Only those accepted before this moment."),
            route::query(
                "updated_from",
                Shape::Time,
                "Only those whose status or money changed at or after this moment; in the order of that change, unless 'sort' is given.",
            ),
            route::query("updated_before", Shape::Time, "Only those whose status or money last changed before this moment."),
            route::query(
                "sort",
                Shape::Choice(&["created_at", "-created_at", "updated_at", "-updated_at", "oldest", "newest"]),
                "Which comes first: by acceptance or by the last change of status; '-' for the latest first. 'oldest' and \
                 'newest' are by acceptance.",
            ),
            CURSOR,
            LIMIT,
        ])
        .giving(200, &ORDERS)
        .failing(&[Code::InvalidParameter])
        .asking_the_store()
}

fn showing() -> Route {
    Route::get("/orders/{order_id}", "getOrder", show)
        .about("Shows an order with its lines, its money and its parcel.")
        .with(&[ORDER_ID])
        .giving(200, &ORDER)
        .failing(&[Code::InvalidParameter, Code::OrderNotFound])
        .asking_the_store()
}

fn telling_history() -> Route {
    Route::get("/orders/{order_id}/history", "getOrderHistory", history)
        .about("Tells what happened to an order.")
        .with(&[ORDER_ID])
        .giving(200, &TIMELINE)
        .failing(&[Code::InvalidParameter, Code::OrderNotFound])
        .asking_the_store()
}

fn cancelling() -> Route {
    Route::post("/orders/{order_id}/cancel", CANCEL_ORDER, cancel)
        .about("Cancels an order, if it still can be; what was done is undone, last step first.")
        .with(&[ORDER_ID])
        .once()
        .taking(&CANCEL)
        .giving(202, &CANCELLED)
        .giving(200, &CANCELLED)
        .failing(&[Code::InvalidParameter, Code::OrderNotFound, Code::CancellationRefused])
        .asking_the_store()
}
