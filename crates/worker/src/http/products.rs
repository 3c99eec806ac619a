//! The catalogue over HTTP: list it, and bring a batch of products in. Stock is another room's.

use std::collections::HashSet;
use std::sync::Arc;

use application::commands::{ImportProductsCommand, NewProduct};
use application::messages::Amount;
use application::ports::ProductView;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::{Availability, Currency, Money, Sku, UNITS_MAX};
use http::StatusCode;
use http::request::Parts;
use serde::{Deserialize, Serialize};

use super::limits::{NOTE_BYTES_MAX, PRODUCTS_BYTES_MAX, PRODUCTS_MAX, TEXT_BYTES_MAX};
use super::meaning::Meaning;
use super::parameters::{CURSOR, LIMIT, PageAnswer, Query};
use super::problem::{Code, Problem, Wrong};
use super::route::Route;
use super::shape::{AMOUNT, Schema, Shape, may, need};
use super::text::Texts;
use super::{Api, body, idempotency};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/products", "listProducts", list)
            .about("Lists the catalogue, by sku.")
            .with(&[CURSOR, LIMIT])
            .giving(200, &PRODUCTS)
            .failing(&[Code::InvalidParameter])
            .asking_the_store(),
        Route::put("/products", IMPORT, import)
            .about(
                "Adds or replaces products. Doing it twice changes nothing; a known product keeps its stock.",
            )
            .once()
            .taking(&PRODUCT_BATCH)
            .giving(200, &IMPORTED)
            .asking_the_store(),
    ]
}

async fn list(State(api): State<Arc<Api>>, parts: Parts) -> Result<Json<PageAnswer<ProductView>>, Problem> {
    let mut query = Query::of(&parts, &["cursor", "limit"]);
    let (after, limit) = (query.cursor::<Sku>(), query.limit());
    query.finish()?;
    let page = api.readers.products(after.as_ref(), limit).await?;
    Ok(Json(PageAnswer::new(page.items, page.has_more.into(), |product| Sku::parse(&product.sku).ok())))
}

/// A batch of products, as a client writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    import: Option<String>,
    products: Vec<Draft>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    sku: String,
    name: String,
    description: Option<String>,
    price: Amount,
    stock: Option<i64>,
    reorder_level: Option<i64>,
    availability: Option<String>,
}

#[derive(Serialize)]
struct Imported {
    products: usize,
    created: usize,
}

async fn import(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    body::expect_json(&head.headers)?;
    let body = body::read(body, PRODUCTS_BYTES_MAX).await?;
    let command = command(&body)?;
    let products = command.products.len();
    idempotency::once(&api, &head, meaning(&command), &command, |created| {
        idempotency::answer(StatusCode::OK, &Imported { products, created })
    })
    .await
}

fn meaning(command: &ImportProductsCommand) -> Meaning {
    let ImportProductsCommand { products, import } = command;
    products.iter().fold(Meaning::of(IMPORT).text(import), |said, product| {
        let NewProduct { sku, name, description, price, stock, reorder_level, availability } = product;
        let said = said.text(sku.as_str()).text(name).text(description).number(price.minor);
        let said = said.text(price.currency.code()).number(*stock).number(*reorder_level);
        said.text(availability.as_str())
    })
}

/// Name of the operation that writes.
const IMPORT: &str = "importProducts";

/// The command that a text asks for.
pub(super) fn command(text: &[u8]) -> Result<ImportProductsCommand, Problem> {
    let batch: Batch = body::parse(text, &PRODUCT_BATCH.shape)?;
    let mut texts = Texts::default();
    texts.optional("/import", batch.import.as_deref(), TEXT_BYTES_MAX);
    if batch.products.len() > PRODUCTS_MAX {
        let detail = format!("at most {PRODUCTS_MAX} products at once, these are {}", batch.products.len());
        return Err(Problem::of(Code::ValidationFailed, vec![Wrong::at("/products", "too_many", detail)]));
    }
    let mut seen = HashSet::new();
    let mut products = Vec::with_capacity(batch.products.len());
    for (index, draft) in batch.products.iter().enumerate() {
        if !seen.insert(draft.sku.as_str()) {
            let detail = format!("'{}' stands in this batch already", draft.sku);
            texts.add(Wrong::at(format!("/products/{index}/sku"), "repeated_sku", detail));
        }
        products.extend(product(index, draft, &mut texts));
    }
    texts.finish()?;
    let import = batch.import.clone().unwrap_or_else(|| "api".to_owned());
    Ok(ImportProductsCommand { products, import })
}

fn product(index: usize, draft: &Draft, texts: &mut Texts) -> Option<NewProduct> {
    let at = |member: &str| format!("/products/{index}/{member}");
    let (stock, reorder_level) = (draft.stock.unwrap_or(0), draft.reorder_level.unwrap_or(0));
    texts.needed(&at("name"), &draft.name, TEXT_BYTES_MAX);
    texts.optional(&at("description"), draft.description.as_deref(), NOTE_BYTES_MAX);
    texts.within(&at("price/minor"), draft.price.minor, 0, i64::MAX);
    texts.within(&at("stock"), stock, 0, UNITS_MAX);
    texts.within(&at("reorder_level"), reorder_level, 0, UNITS_MAX);
    let word = draft.availability.as_deref().unwrap_or(Availability::Active.as_str());
    let sku = texts.take(&at("sku"), "invalid_sku", Sku::parse(&draft.sku));
    let currency =
        texts.take(&at("price/currency"), "invalid_currency", Currency::parse(&draft.price.currency));
    let availability = texts.take(&at("availability"), "unknown_value", word.parse::<Availability>());
    Some(NewProduct {
        sku: sku?,
        name: draft.name.clone(),
        description: draft.description.clone().unwrap_or_default(),
        price: Money::new(draft.price.minor, currency?),
        stock,
        reorder_level,
        availability: availability?,
    })
}

const DRAFT: Shape = Shape::Object(&[
    need("sku", Shape::Text, "1 to 64 printable ASCII characters; each sku once."),
    need("name", Shape::Text, "Its name."),
    may("description", Shape::Text, "More about it."),
    need("price", AMOUNT, "What one costs."),
    may("stock", Shape::Integer, "Units that a new product starts with."),
    may("reorder_level", Shape::Integer, "At this many or fewer it is time to reorder."),
    may("availability", Shape::Choice(&["active", "discontinued"]), "Active, unless said."),
]);
static PRODUCT_BATCH: Schema = Schema {
    name: "ProductBatch",
    shape: Shape::Object(&[
        may("import", Shape::Text, "Name of the batch, kept in the ledger as the cause of the first stock."),
        need("products", Shape::List(&DRAFT), "Up to 1000 products."),
    ]),
};
static IMPORTED: Schema = Schema {
    name: "ProductsImported",
    shape: Shape::Object(&[
        need("products", Shape::Integer, "How many there were."),
        need("created", Shape::Integer, "How many of them were new."),
    ]),
};
const PRODUCT: Shape = Shape::Object(&[
    need("product_id", Shape::Id, "The product."),
    need("sku", Shape::Text, "Its name in the trade."),
    need("name", Shape::Text, "Its name."),
    need("description", Shape::Text, "More about it."),
    need("price", AMOUNT, "What one costs."),
    need("availability", Shape::Choice(&["active", "discontinued"]), "Whether it may be ordered."),
]);
static PRODUCTS: Schema = Schema {
    name: "ProductPage",
    shape: Shape::Object(&[
        need("items", Shape::List(&PRODUCT), "The products, by sku."),
        may("next_cursor", Shape::Text, "Where the next page begins, if there is one."),
    ]),
};
