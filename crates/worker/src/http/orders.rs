//! Orders over HTTP: accept, show, list, cancel. Accepting is the hot path: one parse, one digest, one turn of the
//! coalescer; must never do per order what can be done per batch.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use application::commands::{
    CancelOrderCommand, CancelReply, CreateOrderCommand, CreateOrderReply, OrderAccepted, OrderKey, Seen,
    Violation,
};
use application::messages::Amount;
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
use tokio::time::Instant;
use uuid::Uuid;

use super::cursor::PlaceInOrder;
use super::limits::{NOTE_BYTES_MAX, ORDER_BYTES_MAX, TEXT_BYTES_MAX};
use super::meaning::{self, Meaning};
use super::measuring::Wished;
use super::order_schemas::{ACCEPTED, CANCEL, CANCEL_REASONS, CANCELLED, ORDER, ORDERS, TIMELINE};
use super::parameters::{CURSOR, LIMIT, OrderInPath, PageAnswer, Query};
use super::problem::{Code, Problem, Wrong};
use super::route::{self, Route};
use super::shape::Shape;
use super::{Api, body, draft, idempotency, prefer};
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
    let held = key.map(|key| api.in_flight.hold(&caller, CREATE, key)).transpose()?;
    let context = api.commands.context();
    let order_id = OrderId(context.ids.next(context.clock.now()));
    let mut command = draft::command(&body, order_id, &caller).map_err(draft::Refused::problem)?;
    command.traceparent = traceparent(&head.headers);
    command.key = order_key(key, &command)?;
    let reply = api.create.submit(command).await?;
    // It is accepted or refused by now: a repeat gets that answer, however long this one waits.
    drop(held);
    match reply {
        CreateOrderReply::Created(accepted) => Ok(answered(&api, &head.headers, &accepted).await),
        CreateOrderReply::Replayed(accepted) => {
            Ok(idempotency::replayed(answered(&api, &head.headers, &accepted).await))
        }
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

/// The answer to an order that was accepted, now or before: at once, or when it is known what became of its money, if the
/// client would rather wait for that.
async fn answered(api: &Api, headers: &HeaderMap, accepted: &OrderAccepted) -> Response {
    let at_once = || accepted_answer(accepted);
    let Some(wait) = prefer::wait(headers) else { return at_once() };
    let began_at = Instant::now();
    if !wait.is_zero() && !api.awaited.known(accepted.order_id, wait).await {
        return at_once();
    }
    let waited = began_at.elapsed();
    let mut response =
        match (GetOrderStatusQuery { order_id: accepted.order_id }).read(api.readers.as_ref()).await {
            Ok(Some(order)) => standing_answer(wait, order),
            Ok(None) => at_once(),
            Err(fault) => {
                // It is accepted all the same, and the client must hear that.
                tracing::warn!(%fault, "cannot tell how an order stands that its caller waited for");
                at_once()
            }
        };
    response.extensions_mut().insert(Wished(waited));
    response
}

#[derive(Serialize)]
struct StandingAnswer {
    order_id: Uuid,
    status: String,
    total: Amount,
    created_at: Timestamp,
    order: OrderView,
}

fn standing_answer(wait: Duration, order: OrderView) -> Response {
    let (order_id, status, total) = (order.order_id, order.status.clone(), order.total.clone());
    let body = StandingAnswer { order_id, status, total, created_at: order.created_at, order };
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    prefer::applied(response.headers_mut(), wait);
    located(response, OrderId(order_id))
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
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    located(response, *order_id)
}

/// The same answer with the address of the order.
fn located(mut response: Response, order_id: OrderId) -> Response {
    if let Ok(location) = HeaderValue::try_from(format!("/orders/{order_id}")) {
        response.headers_mut().insert(LOCATION, location);
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
    seen: Option<String>,
}

async fn cancel(
    State(api): State<Arc<Api>>,
    OrderInPath(order_id): OrderInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let (command, seen) = cancellation(order_id, &body::json(&head.headers, body).await?)?;
    let (meaning, wish) = (cancel_meaning(&command), (&command, seen.as_ref()));
    idempotency::once_if_unchanged(&api, &head, meaning, wish, |reply| cancelled(order_id, &reply)).await
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
pub(super) fn cancellation(
    order_id: OrderId,
    text: &[u8],
) -> Result<(CancelOrderCommand, Option<Seen>), Problem> {
    let wish: CancelWish = body::parse(text, &CANCEL.shape)?;
    let mut texts = super::text::Texts::default();
    texts.needed("/actor", &wish.actor, TEXT_BYTES_MAX);
    texts.optional("/note", wish.note.as_deref(), NOTE_BYTES_MAX);
    let reason = cancel_reason(wish.reason.as_deref(), &mut texts);
    let seen = idempotency::seen_of_order(order_id, wish.seen.as_deref(), &mut texts);
    texts.finish()?;
    let note = wish.note.unwrap_or_default();
    Ok((CancelOrderCommand { order_id, reason, actor: wish.actor, note }, seen))
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

pub(super) const ORDER_ID: route::Parameter = route::path("order_id", Shape::Id, "The order.");

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
                "Prefer",
                "RFC 7240: 'wait=10' has the answer wait up to 10 seconds, at most 30, until the order is paid, has ended, \
                 waits for a person or is on hold; it then holds the order as it stands. What cannot be read is ignored.",
            ),
            route::optional_header(
                "Order-Import",
                "'true' for an order of an imported file, whose external_reference begins with 'import-'; needs the scope \
                 orders:import as well.",
            ),
        ])
        .taking(&draft::ORDER_REQUEST)
        .giving(201, &ACCEPTED)
        .heading(201, "Location", "The address of the order.")
        .heading(201, "Idempotent-Replayed", "'true' if the order was accepted before.")
        .heading(201, "Preference-Applied", "'wait=10' if the answer waited, or would have.")
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
        .failing(&[
            Code::InvalidParameter,
            Code::OrderNotFound,
            Code::CancellationRefused,
            Code::ChangedMeanwhile,
        ])
        .asking_the_store()
}
