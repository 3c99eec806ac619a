//! The catalogue over HTTP: list it, bring a batch of products in, and change one. Stock is another room's.

use std::collections::HashSet;
use std::sync::Arc;

use application::commands::{
    ChangeProductCommand, ChangeProductReply, ImportProductsCommand, NewProduct, SignedImportCommand,
};
use application::messages::Amount;
use application::ports::ProductView;
use application::shipping_facts::{ShippingFactsView, WrongFact, to_stored};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::{AMOUNT_MINOR_MAX, Availability, Currency, Money, Product, ShippingFacts, Sku, UNITS_MAX};
use http::StatusCode;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::limits::{NOTE_BYTES_MAX, PRODUCTS_BYTES_MAX, PRODUCTS_MAX, TEXT_BYTES_MAX};
use super::meaning::Meaning;
use super::parameters::{CURSOR, LIMIT, PageAnswer, Query, SkuInPath};
use super::problem::{Code, Problem, Wrong};
use super::route::{self, Route};
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
                "Adds or replaces products. Doing it twice changes nothing; a known product keeps its stock, and what is left out.",
            )
            .once()
            .taking(&PRODUCT_BATCH)
            .giving(200, &IMPORTED)
            .asking_the_store(),
        Route::patch("/products/{sku}", CHANGE, change)
            .about("Changes what is named of a product, and nothing else: its reorder level, price, availability.")
            .with(&[SKU])
            .once()
            .taking(&PRODUCT_CHANGE)
            .giving(200, &CHANGED)
            .failing(&[Code::InvalidParameter, Code::SkuNotFound])
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
    #[serde(default, deserialize_with = "application::whole_number::read_optional")]
    stock: Option<i64>,
    #[serde(default, deserialize_with = "application::whole_number::read_optional")]
    reorder_level: Option<i64>,
    availability: Option<String>,
    shipping: Option<ShippingFactsView>,
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
    let import = command(&body)?;
    let (products, meaning) = (import.products.len(), meaning(&import));
    let command = SignedImportCommand { import, actor: idempotency::actor(&head.extensions) };
    idempotency::once(&api, &head, meaning, &command, |created| {
        idempotency::answer(StatusCode::OK, &Imported { products, created })
    })
    .await
}

fn meaning(command: &ImportProductsCommand) -> Meaning {
    let ImportProductsCommand { products, import } = command;
    products.iter().fold(Meaning::of(IMPORT).text(import), |said, product| {
        let NewProduct { sku, name, description, price, stock, reorder_level, availability, shipping } =
            product;
        let said = said.text(sku.as_str()).text(name).optional(description.as_deref()).number(price.minor);
        let said = said.text(price.currency.code()).number(*stock);
        let said = number_if_said(said, *reorder_level).optional(availability.map(Availability::as_str));
        shipping_if_said(said, shipping.as_ref())
    })
}

fn number_if_said(said: Meaning, number: Option<i64>) -> Meaning {
    match number {
        Some(number) => said.number(number),
        None => said.optional(None),
    }
}

fn shipping_if_said(said: Meaning, facts: Option<&ShippingFacts>) -> Meaning {
    said.optional(facts.map(|facts| to_stored(facts).unwrap_or_default()).as_deref())
}

fn meaning_of_change(command: &ChangeProductCommand) -> Meaning {
    let ChangeProductCommand {
        sku,
        name,
        description,
        price,
        availability,
        reorder_level,
        shipping,
        actor,
        note,
    } = command;
    let said =
        Meaning::of(CHANGE).text(sku.as_str()).optional(name.as_deref()).optional(description.as_deref());
    let said = number_if_said(said, price.map(|price| price.minor));
    let said = said.optional(price.map(|price| price.currency.code()));
    let said = said.optional(availability.map(Availability::as_str));
    let said = shipping_if_said(number_if_said(said, *reorder_level), shipping.as_ref());
    said.text(actor).text(note)
}

/// Names of the operations that write.
const CHANGE: &str = "changeProduct";
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
    let stock = draft.stock.unwrap_or(0);
    texts.needed(&at("name"), &draft.name, TEXT_BYTES_MAX);
    texts.optional(&at("description"), draft.description.as_deref(), NOTE_BYTES_MAX);
    texts.within(&at("price/minor"), draft.price.minor, 0, AMOUNT_MINOR_MAX);
    texts.within(&at("stock"), stock, 0, UNITS_MAX);
    texts.within(&at("reorder_level"), draft.reorder_level.unwrap_or(0), 0, UNITS_MAX);
    let sku = texts.take(&at("sku"), "invalid_sku", Sku::parse(&draft.sku));
    let currency =
        texts.take(&at("price/currency"), "invalid_currency", Currency::parse(&draft.price.currency));
    let availability = draft
        .availability
        .as_deref()
        .and_then(|word| texts.take(&at("availability"), "unknown_value", word.parse::<Availability>()));
    let shipping = shipping_facts(&at("shipping"), draft.shipping.clone(), texts);
    Some(NewProduct {
        sku: sku?,
        name: draft.name.clone(),
        description: draft.description.clone(),
        price: Money::new(draft.price.minor, currency?),
        stock,
        reorder_level: draft.reorder_level,
        availability,
        shipping,
    })
}

fn shipping_facts(
    pointer: &str,
    said: Option<ShippingFactsView>,
    texts: &mut Texts,
) -> Option<ShippingFacts> {
    match said?.take() {
        Ok(facts) => Some(facts),
        Err(mistakes) => {
            for WrongFact { member, code, told } in mistakes {
                texts.add(Wrong::at(format!("{pointer}/{member}"), code, told));
            }
            None
        }
    }
}

/// A change of one product, as a client writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeDraft {
    name: Option<String>,
    description: Option<String>,
    price: Option<Amount>,
    availability: Option<String>,
    #[serde(default, deserialize_with = "application::whole_number::read_optional")]
    reorder_level: Option<i64>,
    shipping: Option<ShippingFactsView>,
    actor: String,
    note: Option<String>,
}

/// A product after a change.
#[derive(Serialize)]
struct Changed {
    product_id: Uuid,
    sku: String,
    name: String,
    description: String,
    price: Amount,
    availability: &'static str,
    reorder_level: i64,
    shipping: ShippingFactsView,
}

impl Changed {
    fn new(product: Product, reorder_level: i64) -> Self {
        Self {
            product_id: product.id.0,
            sku: product.sku.to_string(),
            name: product.name,
            description: product.description,
            price: product.price.into(),
            availability: product.availability.as_str(),
            reorder_level,
            shipping: product.shipping.into(),
        }
    }
}

async fn change(
    State(api): State<Arc<Api>>,
    SkuInPath(sku): SkuInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let command = change_command(sku, &body::json(&head.headers, body).await?)?;
    idempotency::once(&api, &head, meaning_of_change(&command), &command, |reply| match reply {
        ChangeProductReply::Done { product, inventory } => {
            idempotency::answer(StatusCode::OK, &Changed::new(*product, inventory.reorder_level()))
        }
        ChangeProductReply::Rejected(rejection) => {
            let wrong = Wrong::at("/price", rejection.code(), rejection.to_string());
            Err(Problem::of(Code::ValidationFailed, vec![wrong]))
        }
        ChangeProductReply::UnknownSku => {
            Err(Problem::new(Code::SkuNotFound, format!("no product has the sku '{}'", command.sku)))
        }
    })
    .await
}

/// The change that a text asks for.
fn change_command(sku: Sku, text: &[u8]) -> Result<ChangeProductCommand, Problem> {
    let draft: ChangeDraft = body::parse(text, &PRODUCT_CHANGE.shape)?;
    let mut texts = Texts::default();
    texts.needed("/actor", &draft.actor, TEXT_BYTES_MAX);
    texts.optional("/note", draft.note.as_deref(), NOTE_BYTES_MAX);
    if let Some(name) = &draft.name {
        texts.needed("/name", name, TEXT_BYTES_MAX);
    }
    texts.optional("/description", draft.description.as_deref(), NOTE_BYTES_MAX);
    texts.within("/reorder_level", draft.reorder_level.unwrap_or(0), 0, UNITS_MAX);
    let price = draft.price.as_ref().and_then(|price| {
        texts.within("/price/minor", price.minor, 0, AMOUNT_MINOR_MAX);
        let currency = Currency::parse(&price.currency);
        Some(Money::new(price.minor, texts.take("/price/currency", "invalid_currency", currency)?))
    });
    let availability = draft
        .availability
        .as_deref()
        .and_then(|word| texts.take("/availability", "unknown_value", word.parse::<Availability>()));
    let shipping = shipping_facts("/shipping", draft.shipping, &mut texts);
    texts.finish()?;
    Ok(ChangeProductCommand {
        sku,
        name: draft.name,
        description: draft.description,
        price,
        availability,
        reorder_level: draft.reorder_level,
        shipping,
        actor: draft.actor,
        note: draft.note.unwrap_or_default(),
    })
}

const SKU: route::Parameter = route::path("sku", Shape::Text, "The product's name in the trade.");

const AVAILABILITY: Shape =
    Shape::Named(&Schema { name: "Availability", shape: Shape::Choice(&["active", "discontinued"]) });

static PRODUCT_CHANGE: Schema = Schema {
    name: "ProductChange",
    shape: Shape::Object(&[
        may("name", Shape::Text, "Its name."),
        may("description", Shape::Text, "More about it."),
        may(
            "price",
            AMOUNT,
            "What one costs from now on; orders keep their price. At most 10^15 minor units.",
        ),
        may("availability", AVAILABILITY, ABOUT_AVAILABILITY),
        may("reorder_level", Shape::Units, "At this many or fewer it is time to reorder."),
        may("shipping", SHIPPING_FACTS, "In place of what was known; an empty object forgets it."),
        need("actor", Shape::Text, "Who changes it."),
        may("note", Shape::Text, "Why."),
    ]),
};
const ABOUT_AVAILABILITY: &str = "Whether it may be ordered; orders that were taken are served in any case.";
static CHANGED: Schema = Schema {
    name: "ChangedProduct",
    shape: Shape::Object(&[
        need("product_id", Shape::Id, "The product."),
        need("sku", Shape::Text, "Its name in the trade."),
        need("name", Shape::Text, "Its name."),
        need("description", Shape::Text, "More about it."),
        need("price", AMOUNT, "What one costs."),
        need("availability", AVAILABILITY, ABOUT_AVAILABILITY),
        need("reorder_level", Shape::Integer, "At this many or fewer it is time to reorder."),
        need("shipping", SHIPPING_FACTS, ABOUT_SHIPPING),
    ]),
};
const ABOUT_SHIPPING: &str = "What a carrier and the customs need to know of one, as far as it is known.";
const SHIPPING_FACTS: Shape = Shape::Named(&Schema {
    name: "ShippingFacts",
    shape: Shape::Object(&[
        may("weight_g", Shape::Integer, "Its weight as packed, in grams, from 1 to 10^9."),
        may("length_mm", Shape::Integer, "Its length as packed, in millimetres, from 1 to 10^9."),
        may("width_mm", Shape::Integer, "Its width as packed, in millimetres."),
        may("height_mm", Shape::Integer, "Its height as packed, in millimetres."),
        may(
            "hs_code",
            Shape::Text,
            "Its customs tariff number in the Harmonized System: 6 to 13 digits, which dots or spaces may group.",
        ),
        may("origin_country", Shape::Text, "Where it was made: two capital letters of ISO 3166-1."),
    ]),
});
const DRAFT: Shape = Shape::Named(&Schema {
    name: "ProductDraft",
    shape: Shape::Object(&[
        need("sku", Shape::Text, "1 to 64 printable characters; each sku once."),
        need("name", Shape::Text, "Its name."),
        may(
            "description",
            Shape::Text,
            "More about it; if left out, a product that is known keeps what it has.",
        ),
        need("price", AMOUNT, "What one costs, at most 10^15 minor units."),
        may("stock", Shape::Units, "Whole units that a new product starts with, at most 10^15."),
        may(
            "reorder_level",
            Shape::Units,
            "At this many or fewer it is time to reorder; if left out, a product that is known keeps its level.",
        ),
        may(
            "availability",
            AVAILABILITY,
            "If left out, a product that is known stays as it is, and a new one is active.",
        ),
        may(
            "shipping",
            SHIPPING_FACTS,
            "If left out, a product that is known keeps what it has; an empty object forgets it.",
        ),
    ]),
});
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
const PRODUCT: Shape = Shape::Named(&Schema {
    name: "Product",
    shape: Shape::Object(&[
        need("product_id", Shape::Id, "The product."),
        need("sku", Shape::Text, "Its name in the trade."),
        need("name", Shape::Text, "Its name."),
        need("description", Shape::Text, "More about it."),
        need("price", AMOUNT, "What one costs."),
        need("availability", AVAILABILITY, "Whether it may be ordered."),
        need("shipping", SHIPPING_FACTS, ABOUT_SHIPPING),
    ]),
});
static PRODUCTS: Schema = Schema {
    name: "ProductPage",
    shape: Shape::Object(&[
        need("items", Shape::List(&PRODUCT), "The products, by sku."),
        may("next_cursor", Shape::Text, "Where the next page begins, if there is one."),
    ]),
};
