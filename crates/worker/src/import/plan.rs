//! Holds a sheet against the catalogue before anything is sent: which products are known, which are to be made, and which
//! orders must wait because of theirs. The catalogue is never changed by it, only added to, and only if that was asked for.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::client::PriceBody;
use super::known::KnownProduct;
use super::mapping::SkuCase;
use super::service::Service;
use super::sheet::{Invoice, InvoiceKind, Item};
use super::tally::{Reason, Rejected};
use super::{CatalogueProduct, Mapping, ProductBody, Sheet};

/// What becomes of products that the catalogue does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Their orders are held back. Only where there is no product at all, they are made from the orders.
    HoldBack,
    /// They are made from the orders.
    Create,
    /// Their orders are held back, whatever there is.
    NeverMade,
}

/// The products of the service, as far as a sheet is concerned.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// Currencies by sku.
    currencies: HashMap<String, String>,
    /// Skus by what they are without regard to capitals.
    folded: HashMap<String, Vec<String>>,
    /// Skus that can be ordered no more.
    discontinued: HashSet<String>,
    /// Whether the service has any product.
    stocked: Stocked,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stocked {
    #[default]
    Nothing,
    Something,
}

impl Shelf {
    /// Reads the whole catalogue, and keeps what the sheet names.
    ///
    /// # Errors
    /// If the service cannot be reached.
    pub(super) async fn read(
        client: &dyn Service,
        sheet: &Sheet,
        catalogue: &[CatalogueProduct],
    ) -> anyhow::Result<Self> {
        let named = sheet.products.iter().map(|product| product.sku.to_lowercase());
        let named: HashSet<String> =
            named.chain(catalogue.iter().map(|product| product.sku.to_lowercase())).collect();
        let mut shelf = Self::default();
        client
            .catalogue(&mut |KnownProduct { sku, currency, discontinued }| {
                shelf.stocked = Stocked::Something;
                let folded = sku.to_lowercase();
                if named.contains(&folded) {
                    shelf.folded.entry(folded).or_default().push(sku.clone());
                    if discontinued {
                        shelf.discontinued.insert(sku.clone());
                    }
                    shelf.currencies.insert(sku, currency);
                }
            })
            .await?;
        Ok(shelf)
    }

    /// Whether a product is there and can be ordered no more.
    pub(super) fn is_discontinued(&self, sku: &str) -> bool {
        self.discontinued.contains(sku)
    }

    fn knows(&self, sku: &str) -> bool {
        self.currencies.contains_key(sku)
    }

    /// The product of this code: itself, or the only one that differs by capitals alone.
    fn find(&self, code: &str, case: SkuCase) -> Result<Option<&str>, String> {
        if let Some((sku, _)) = self.currencies.get_key_value(code) {
            return Ok(Some(sku));
        }
        let alike = self.folded.get(&code.to_lowercase()).map_or(&[][..], Vec::as_slice);
        match (case, alike) {
            (SkuCase::Exact | SkuCase::Upper, _) | (SkuCase::Fold, []) => Ok(None),
            (SkuCase::Fold, [only]) => Ok(Some(only)),
            (SkuCase::Fold, several) => {
                Err(format!("'{code}' could be {}: they differ by capitals alone", several.join(" or ")))
            }
        }
    }
}

/// What is to be done with a sheet.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// Products to make.
    pub products: Vec<ProductBody<'a>>,
    /// The skus of the sheet's products, as the service has them.
    pub skus: Vec<String>,
    /// Why orders must wait, by their position.
    pub waiting: BTreeMap<usize, Vec<Rejected>>,
    /// What people should know.
    pub notes: Vec<String>,
}

/// What a product of the sheet is to the service.
#[derive(Clone, Debug)]
enum Found<'a> {
    Known { sku: String, currency: String },
    New(ProductBody<'a>),
    Missing(String),
}

/// Decides what is to be done.
pub(super) fn plan<'a>(
    sheet: &'a Sheet,
    mapping: &Mapping,
    catalogue: &'a [CatalogueProduct],
    shelf: &Shelf,
    unknown: Unknown,
    stock: i64,
) -> Plan<'a> {
    let from_file: HashMap<&str, &CatalogueProduct> =
        catalogue.iter().map(|product| (product.sku.as_str(), product)).collect();
    let empty = shelf.stocked == Stocked::Nothing && catalogue.is_empty();
    let create = match unknown {
        Unknown::Create => true,
        Unknown::HoldBack => empty,
        Unknown::NeverMade => false,
    };
    let found: Vec<Found<'a>> = sheet
        .products
        .iter()
        .map(|product| match shelf.find(&product.sku, mapping.sku_case) {
            Err(why) => Found::Missing(why),
            Ok(Some(sku)) => Found::Known { sku: sku.to_owned(), currency: shelf.currencies[sku].clone() },
            Ok(None) => match from_file.get(product.sku.as_str()) {
                Some(known) => Found::New(known.body()),
                None if create => Found::New(made(product, stock)),
                None => {
                    Found::Missing(format!("no product has the sku '{}'; {}", product.sku, remedy(unknown)))
                }
            },
        })
        .collect();
    let waiting: BTreeMap<usize, Vec<Rejected>> = sheet
        .invoices
        .iter()
        .enumerate()
        .filter(|(_, invoice)| invoice.kind == InvoiceKind::Order)
        .filter_map(|(position, invoice)| Some((position, why_it_waits(invoice, &found)?)))
        .collect();
    let products = to_make(sheet, &found, catalogue, shelf, &waiting);
    let mut notes = Vec::new();
    if empty && unknown == Unknown::HoldBack && !products.is_empty() {
        notes.push(format!(
            "there is no product yet: those of the orders that can be taken are made from them, with {stock} units each (--stock)"
        ));
    }
    let skus = sheet.products.iter().zip(&found).map(|(product, found)| match found {
        Found::Known { sku, .. } => sku.clone(),
        Found::New(_) | Found::Missing(_) => product.sku.clone(),
    });
    Plan { products, skus: skus.collect(), waiting, notes }
}

const fn remedy(unknown: Unknown) -> &'static str {
    match unknown {
        Unknown::HoldBack | Unknown::Create => "add it to the catalogue, or import with --create-products",
        Unknown::NeverMade => "add it to the catalogue with PUT /products",
    }
}

fn made(product: &super::SheetProduct, stock: i64) -> ProductBody<'_> {
    ProductBody {
        sku: &product.sku,
        name: if product.name.is_empty() { &product.sku } else { &product.name },
        description: "",
        price: PriceBody { minor: product.price_minor, currency: &product.currency },
        stock,
        reorder_level: 0,
        availability: "active",
    }
}

/// Products that are not there yet: all of the catalogue's file, and of the orders' those that an order needs which is sent.
fn to_make<'a>(
    sheet: &'a Sheet,
    found: &[Found<'a>],
    catalogue: &'a [CatalogueProduct],
    shelf: &Shelf,
    waiting: &BTreeMap<usize, Vec<Rejected>>,
) -> Vec<ProductBody<'a>> {
    let mut bodies: Vec<ProductBody<'a>> =
        catalogue.iter().filter(|product| !shelf.knows(&product.sku)).map(CatalogueProduct::body).collect();
    let mut there: HashSet<&str> = bodies.iter().map(|body| body.sku).collect();
    let sent = sheet.invoices.iter().enumerate().filter(|(position, _)| !waiting.contains_key(position));
    for line in sent.flat_map(|(_, invoice)| &invoice.lines) {
        if let Item::Product(product) = line.item
            && let Found::New(body) = &found[product]
            && there.insert(body.sku)
        {
            bodies.push(*body);
        }
    }
    bodies
}

/// The rows of an order that must wait because of its products.
fn why_it_waits(invoice: &Invoice, found: &[Found<'_>]) -> Option<Vec<Rejected>> {
    let objection = |item: Item| match item {
        Item::NeverOrdered | Item::NoProduct => None,
        Item::Product(product) => match &found[product] {
            Found::Missing(why) => Some((Reason::UnknownProduct, why.clone())),
            Found::Known { sku, currency } => in_another_currency(sku, currency, invoice),
            Found::New(body) => in_another_currency(body.sku, body.price.currency, invoice),
        },
    };
    let judged: Vec<_> = invoice.lines.iter().map(|line| (line.line, objection(line.item))).collect();
    let (first, why) = judged.iter().find_map(|(line, objection)| Some((*line, objection.clone()?.1)))?;
    let rows = judged.into_iter().map(|(line, objection)| {
        let held = || (Reason::HeldBack, format!("its order waits for line {first}: {why}"));
        let (reason, detail) = objection.unwrap_or_else(held);
        Rejected { line, order: invoice.number.clone(), reason, detail }
    });
    Some(rows.collect())
}

fn in_another_currency(sku: &str, currency: &str, invoice: &Invoice) -> Option<(Reason, String)> {
    let differs = currency != invoice.currency;
    differs
        .then(|| (Reason::WrongCurrency, format!("{sku} is sold in {currency}, not in {}", invoice.currency)))
}
