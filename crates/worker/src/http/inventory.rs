//! Stock over HTTP: levels, the ledger of one product, receiving, adjusting and booking a count. Decides nothing.

use std::sync::Arc;

use application::commands::{AdjustStockCommand, Seen, StockChange, StockReply};
use application::ports::{
    Answer, Caller, EndangeredOrderView, InventoryView, LowOnly, MovementView, RequestKey,
};
use application::queries::{GetInventoryLevelsQuery, GetStockOfProductQuery};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::{Availability, Inventory, ProductId, Rejection, Sku, UNITS_MAX};
use http::StatusCode;
use http::request::Parts;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::cursor::Position;
use super::limits::{ORDER_BYTES_MAX, PAGE_MAX, TEXT_BYTES_MAX};
use super::meaning::Meaning;
use super::parameters::{CURSOR, LIMIT, More, PageAnswer, Query, SkuInPath};
use super::problem::{Code, Problem, Wrong};
use super::route::{self, Route};
use super::shape::{Schema, Shape, may, need};
use super::text::Texts;
use super::{Api, body, idempotency};

pub(super) fn routes() -> Vec<Route> {
    vec![
        listing(),
        showing(),
        listing_movements(),
        listing_endangered(),
        receiving(),
        adjusting(),
        counting(),
    ]
}

async fn list(State(api): State<Arc<Api>>, parts: Parts) -> Result<Json<PageAnswer<InventoryView>>, Problem> {
    let mut query = Query::of(&parts, &["low", "cursor", "limit"]);
    let low = query.take("low", str::parse::<bool>).unwrap_or(false);
    let (after, limit) = (query.cursor::<Sku>(), query.limit());
    query.finish()?;
    let low = if low { LowOnly::Yes } else { LowOnly::No };
    let query = GetInventoryLevelsQuery { low, after, max: limit };
    let page = query.read(api.readers.as_ref()).await?;
    Ok(Json(PageAnswer::new(page.items, page.has_more.into(), |level| Sku::parse(&level.sku).ok())))
}

async fn show(
    State(api): State<Arc<Api>>,
    SkuInPath(sku): SkuInPath,
) -> Result<Json<InventoryView>, Problem> {
    level_of(&api, &sku).await.map(Json)
}

pub(super) async fn level_of(api: &Api, sku: &Sku) -> Result<InventoryView, Problem> {
    let query = GetStockOfProductQuery { sku };
    query.read(api.readers.as_ref()).await?.ok_or_else(|| not_found(sku))
}

async fn movements(
    State(api): State<Arc<Api>>,
    SkuInPath(sku): SkuInPath,
    parts: Parts,
) -> Result<Json<PageAnswer<MovementView>>, Problem> {
    let mut query = Query::of(&parts, &["cursor", "limit"]);
    let before = query.cursor::<Position>().map(|Position(position)| position);
    let limit = query.limit();
    query.finish()?;
    level_of(&api, &sku).await?;
    let mut items = api.readers.movements(ProductId::of(&sku), before, limit + 1).await?;
    let more = More::from(items.len() > limit);
    items.truncate(limit);
    Ok(Json(PageAnswer::new(items, more, |movement| Some(Position(movement.position)))))
}

/// Orders that lack units which they were promised.
#[derive(Serialize)]
struct Endangered {
    short: i64,
    orders: Vec<EndangeredOrderView>,
    /// Whether there are more than are listed.
    more: bool,
}

impl Endangered {
    async fn of(api: &Api, sku: &Sku, short: i64) -> Result<Self, Problem> {
        if short == 0 {
            return Ok(Self { short, orders: Vec::new(), more: false });
        }
        let page = api.readers.endangered_orders(ProductId::of(sku), PAGE_MAX).await?;
        Ok(Self { short, orders: page.items, more: page.has_more })
    }
}

async fn endangered(
    State(api): State<Arc<Api>>,
    SkuInPath(sku): SkuInPath,
) -> Result<Json<Endangered>, Problem> {
    let level = level_of(&api, &sku).await?;
    Endangered::of(&api, &sku, level.short).await.map(Json)
}

/// A change of stock, as a client writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(deserialize_with = "application::whole_number::read")]
    quantity: i64,
    reason: String,
    actor: String,
    #[serde(default, deserialize_with = "application::whole_number::read_optional")]
    seen: Option<i64>,
}

/// The stock of a product after a change.
#[derive(Serialize)]
struct Changed {
    product_id: Uuid,
    sku: String,
    available: i64,
    reserved: i64,
    shipped: i64,
    received: i64,
    adjusted: i64,
    short: i64,
    reorder_level: i64,
    low: bool,
    last_updated: Timestamp,
}

impl Changed {
    fn new(sku: &Sku, inventory: &Inventory, availability: Availability) -> Self {
        let counters = inventory.counters();
        Self {
            product_id: inventory.product_id().0,
            sku: sku.to_string(),
            available: counters.available,
            reserved: counters.reserved,
            shipped: counters.shipped,
            received: counters.received,
            adjusted: counters.adjusted,
            short: counters.short,
            reorder_level: inventory.reorder_level(),
            low: inventory.is_low(availability),
            last_updated: inventory.last_updated(),
        }
    }
}

async fn receive(
    State(api): State<Arc<Api>>,
    SkuInPath(sku): SkuInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, wish) = wish(request, 1).await?;
    carry_out(&api, &head, sku, StockChange::Receive(wish.quantity), wish).await
}

async fn adjust(
    State(api): State<Arc<Api>>,
    SkuInPath(sku): SkuInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, wish) = wish(request, -UNITS_MAX).await?;
    if wish.quantity == 0 {
        let zero = Wrong::at("/quantity", "out_of_range", "an adjustment by nothing is none");
        return Err(Problem::of(Code::ValidationFailed, vec![zero]));
    }
    carry_out(&api, &head, sku, StockChange::Adjust(wish.quantity), wish).await
}

/// A count is absolute, so booking it twice is booking it once. The stored answer has the level; the affected orders
/// are looked up again.
async fn count(
    State(api): State<Arc<Api>>,
    SkuInPath(sku): SkuInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, wish) = wish(request, 0).await?;
    let change = StockChange::Count(wish.quantity);
    let (answer, level) = carry_out(&api, &head, sku.clone(), change, wish).await?.into_parts();
    let level = body::read(level, ORDER_BYTES_MAX).await?;
    let mut counted: Value = body::parse(&level, &LEVEL.shape)?;
    let endangered = Endangered::of(&api, &sku, counted["short"].as_i64().unwrap_or(0)).await?;
    counted["endangered"] = json!(endangered);
    Ok(Response::from_parts(answer, counted.to_string().into()))
}

async fn wish(request: Request, quantity_min: i64) -> Result<(Parts, Change), Problem> {
    let (head, body) = request.into_parts();
    let change = change(&body::json(&head.headers, body).await?, quantity_min)?;
    Ok((head, change))
}

/// What a text asks for, of at least so many units.
fn change(text: &[u8], quantity_min: i64) -> Result<Change, Problem> {
    let wish: Change = body::parse(text, &CHANGE.shape)?;
    let mut texts = Texts::default();
    texts.within("/quantity", wish.quantity, quantity_min, UNITS_MAX);
    texts.needed("/reason", &wish.reason, TEXT_BYTES_MAX);
    texts.needed("/actor", &wish.actor, TEXT_BYTES_MAX);
    texts.finish()?;
    Ok(wish)
}

/// Whether a text asks for an adjustment.
pub(super) fn is_adjustment(text: &[u8]) -> Result<(), Problem> {
    change(text, -UNITS_MAX).map(drop)
}

async fn carry_out(
    api: &Api,
    head: &Parts,
    sku: Sku,
    change: StockChange,
    wish: Change,
) -> Result<Response, Problem> {
    let seen = wish.seen.map(|booked| Seen::Stock(sku.clone(), booked));
    let command = &AdjustStockCommand { sku, change, reason: wish.reason, actor: wish.actor };
    let wish = (command, seen.as_ref());
    idempotency::once_if_unchanged(api, head, meaning(command), wish, |reply| match reply {
        StockReply::Done { inventory, availability } => booked(&command.sku, &inventory, availability)
            .ok_or_else(|| Problem::new(Code::Internal, "the answer cannot be written")),
        StockReply::Rejected(rejection) => Err(refused(&command.sku, &rejection)),
        StockReply::UnknownSku => Err(not_found(&command.sku)),
    })
    .await
}

/// What is answered to a change that was booked, and kept under its key; none if it cannot be written.
pub(crate) fn booked(sku: &Sku, inventory: &Inventory, availability: Availability) -> Option<Answer> {
    idempotency::answer(StatusCode::OK, &Changed::new(sku, inventory, availability)).ok()
}

/// The key of a wish of somebody who has no API key, as it would be if the wish had come over HTTP.
pub(crate) fn key_of(command: &AdjustStockCommand, seen: Option<&Seen>, key: String) -> RequestKey {
    let meaning = meaning(command).seen(seen);
    let (operation, caller) = (meaning.operation(), Caller::without_key());
    RequestKey { caller, operation, key, digest: meaning.digest() }
}

fn meaning(command: &AdjustStockCommand) -> Meaning {
    let AdjustStockCommand { sku, change, reason, actor } = command;
    let (operation, units) = match *change {
        StockChange::Receive(units) => (RECEIVE, units),
        StockChange::Adjust(units) => (ADJUST, units),
        StockChange::Count(units) => (COUNT, units),
    };
    Meaning::of(operation).text(sku.as_str()).number(units).text(reason).text(actor)
}

fn refused(sku: &Sku, rejection: &Rejection) -> Problem {
    if let Rejection::InsufficientStock { requested, available, .. } = *rejection {
        let detail = format!(
            "{sku}: {requested} units to take away, {available} available; to book what was found on the shelf, reserved \
             units among it, count it: POST /inventory/{{sku}}/count"
        );
        Problem::new(Code::InsufficientStock, detail).with_stock(requested, available)
    } else {
        Problem::new(Code::StockRefused, format!("{sku}: {rejection}"))
    }
}

fn not_found(sku: &Sku) -> Problem {
    Problem::new(Code::SkuNotFound, format!("no product has the sku '{sku}'"))
}

/// Names of the operations that write.
const RECEIVE: &str = "receiveStock";
const ADJUST: &str = "adjustStock";
const COUNT: &str = "countStock";

pub(super) const SKU: route::Parameter = route::path("sku", Shape::Text, "The product's name in the trade.");

static CHANGE: Schema = Schema {
    name: "StockChange",
    shape: Shape::Object(&[
        need(
            "quantity",
            Shape::Units,
            "Whole units, at most 1000000000000000; negative only for an adjustment.",
        ),
        need("reason", Shape::Text, "Why; kept in the ledger."),
        need("actor", Shape::Text, "Who."),
        may(
            "seen",
            Shape::Integer,
            "'received' + 'adjusted' of the product as you saw it: if something was booked since, nothing is done. Orders do \
             not change that sum.",
        ),
    ]),
};
static LEVEL: Schema = Schema {
    name: "StockLevel",
    shape: Shape::Object(&[
        need("product_id", Shape::Id, "The product."),
        need("sku", Shape::Text, "Its name in the trade."),
        need("available", Shape::Integer, "Units for sale."),
        need("reserved", Shape::Integer, "Units set aside for orders."),
        need("shipped", Shape::Integer, "Units that left the house, ever."),
        need("received", Shape::Integer, "Units that came in, ever."),
        need("adjusted", Shape::Integer, "Units found or lost, ever."),
        need("short", Shape::Integer, SHORT),
        need("reorder_level", Shape::Integer, "At this many or fewer it is time to reorder."),
        need("low", Shape::Boolean, "Whether it is; never for what is no longer sold."),
        need("last_updated", Shape::Time, "When it last moved."),
    ]),
};
const LEVEL_SHAPE: Shape = Shape::Named(&LEVEL);
const SHORT: &str = "Units set aside for orders that are not there; what comes in makes that good first.";
const ENDANGERED_ORDER: Shape = Shape::Named(&Schema {
    name: "EndangeredOrder",
    shape: Shape::Object(&[
        need("order_id", Shape::Id, "The order."),
        may("external_reference", Shape::Text, "Another system's name for it."),
        need("customer_id", Shape::Text, "Whom it is for."),
        need("status", Shape::Text, "The headline status."),
        need("reserved", Shape::Integer, "Units of the product that are set aside for it."),
        need("missing", Shape::Integer, "How many of those are not there."),
    ]),
});
static ENDANGERED: Schema = Schema {
    name: "EndangeredOrders",
    shape: Shape::Object(&[
        need("short", Shape::Integer, SHORT),
        need(
            "orders",
            Shape::List(&ENDANGERED_ORDER),
            "The open orders that lack them, the newest first; up to 200.",
        ),
        need("more", Shape::Boolean, "Whether there are more."),
    ]),
};
const ENDANGERED_SHAPE: Shape = Shape::Named(&ENDANGERED);
static COUNTED: Schema = Schema {
    name: "StockCounted",
    shape: Shape::Object(&[
        need("product_id", Shape::Id, "The product."),
        need("sku", Shape::Text, "Its name in the trade."),
        need("available", Shape::Integer, "Units for sale."),
        need("reserved", Shape::Integer, "Units set aside for orders."),
        need("shipped", Shape::Integer, "Units that left the house, ever."),
        need("received", Shape::Integer, "Units that came in, ever."),
        need("adjusted", Shape::Integer, "Units found or lost, ever."),
        need("short", Shape::Integer, SHORT),
        need("reorder_level", Shape::Integer, "At this many or fewer it is time to reorder."),
        need("low", Shape::Boolean, "Whether it is; never for what is no longer sold."),
        need("last_updated", Shape::Time, "When it last moved."),
        need("endangered", ENDANGERED_SHAPE, "The orders that the count endangers."),
    ]),
};
static LEVELS: Schema = Schema {
    name: "StockLevelPage",
    shape: Shape::Object(&[
        need("items", Shape::List(&LEVEL_SHAPE), "The levels, by sku."),
        may("next_cursor", Shape::Text, "Where the next page begins, if there is one."),
    ]),
};
const MOVEMENT: Shape = Shape::Named(&Schema {
    name: "StockMovement",
    shape: Shape::Object(&[
        need("position", Shape::Integer, "Place in the ledger."),
        need("at", Shape::Time, "When."),
        need("kind", Shape::Text, "Which way."),
        need("quantity", Shape::Integer, "Units."),
        need("cause", Shape::Text, "Because of what."),
    ]),
});
static MOVEMENTS: Schema = Schema {
    name: "StockMovementPage",
    shape: Shape::Object(&[
        need("items", Shape::List(&MOVEMENT), "The movements, latest first."),
        may("next_cursor", Shape::Text, "Where the next page begins, if there is one."),
    ]),
};

fn listing() -> Route {
    Route::get("/inventory", "listInventory", list)
        .about("Lists stock levels, by sku.")
        .with(&[
            route::query("low", Shape::Boolean, "Only products that ought to be reordered."),
            CURSOR,
            LIMIT,
        ])
        .giving(200, &LEVELS)
        .failing(&[Code::InvalidParameter])
        .asking_the_store()
}

fn showing() -> Route {
    Route::get("/inventory/{sku}", "getInventory", show)
        .about("Shows the stock of a product.")
        .with(&[SKU])
        .giving(200, &LEVEL)
        .failing(&[Code::InvalidParameter, Code::SkuNotFound])
        .asking_the_store()
}

fn listing_movements() -> Route {
    Route::get("/inventory/{sku}/movements", "listStockMovements", movements)
        .about("Lists the ledger of a product.")
        .with(&[SKU, CURSOR, LIMIT])
        .giving(200, &MOVEMENTS)
        .failing(&[Code::InvalidParameter, Code::SkuNotFound])
        .asking_the_store()
}

fn receiving() -> Route {
    Route::post("/inventory/{sku}/receive", RECEIVE, receive)
        .about("Receives goods.")
        .with(&[SKU])
        .once()
        .taking(&CHANGE)
        .giving(200, &LEVEL)
        .failing(&[Code::InvalidParameter, Code::SkuNotFound, Code::StockRefused, Code::ChangedMeanwhile])
        .asking_the_store()
}

fn adjusting() -> Route {
    Route::post("/inventory/{sku}/adjust", ADJUST, adjust)
        .about("Takes units out of the stock, or adds them, with a reason. What is set aside for orders is not taken.")
        .with(&[SKU])
        .once()
        .taking(&CHANGE)
        .giving(200, &LEVEL)
        .failing(&[Code::InvalidParameter, Code::SkuNotFound, Code::InsufficientStock, Code::StockRefused, Code::ChangedMeanwhile])
        .asking_the_store()
}

fn counting() -> Route {
    Route::post("/inventory/{sku}/count", COUNT, count)
        .about(
            "Books what was counted on the shelf, units set aside for orders among it. A count below those leaves the \
             difference short, and the answer names the orders that it endangers. Doing it twice changes nothing.",
        )
        .with(&[SKU])
        .once()
        .taking(&CHANGE)
        .giving(200, &COUNTED)
        .failing(&[Code::InvalidParameter, Code::SkuNotFound, Code::StockRefused, Code::ChangedMeanwhile])
        .asking_the_store()
}

fn listing_endangered() -> Route {
    Route::get("/inventory/{sku}/endangered", "listEndangeredOrders", endangered)
        .about(
            "Lists the open orders that lack units of a product which they were promised, the newest first.",
        )
        .with(&[SKU])
        .giving(200, &ENDANGERED)
        .failing(&[Code::InvalidParameter, Code::SkuNotFound])
        .asking_the_store()
}
