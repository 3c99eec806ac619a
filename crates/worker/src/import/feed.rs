//! Sends a sheet to the service: products first, then orders and cancellations in the order of the file, many at a time.
//! A cancellation waits for the answer about the orders that it means, and for nothing else.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::sync::SetOnce;
use uuid::Uuid;

use super::client::PriceBody;
use super::{
    ApiClient, Cancelled, CatalogueProduct, Gauge, Invoice, InvoiceKind, Item, LineVerdict, Mapping,
    OrderAnswer, Outcome, ProductBody, Reason, Refusal, Rejected, Sheet, TakeBack, TakenBack, Tally,
    take_backs,
};

/// Who cancels in the name of a file.
const ACTOR: &str = "import";

/// A sheet on its way.
pub struct Feed<'a> {
    /// What is sent.
    pub sheet: &'a Sheet,
    /// What it is called here.
    pub mapping: &'a Mapping,
    /// Products that are known better than from the orders; may be empty.
    pub catalogue: &'a [CatalogueProduct],
    /// Units that each product starts with of which the catalogue knows nothing.
    pub stock: i64,
    /// Where to.
    pub client: &'a ApiClient,
    /// Requests under way at once.
    pub at_once_max: usize,
}

/// What became of a sheet.
#[derive(Debug, Default)]
pub struct Done {
    /// Counts.
    pub tally: Tally,
    /// Rows that became nothing.
    pub rejected: Vec<Rejected>,
    /// Rows that take something back.
    pub taken_back: Vec<TakenBack>,
}

/// An order as it is sent. The same order is the same text, whenever it is sent.
#[derive(Serialize)]
pub struct OrderBody<'a> {
    customer_id: &'a str,
    lines: Vec<LineBody<'a>>,
    external_reference: String,
    ordered_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_token: Option<&'a str>,
}

#[derive(Serialize)]
struct LineBody<'a> {
    sku: &'a str,
    quantity: u32,
    unit_price: PriceBody<'a>,
}

impl<'a> OrderBody<'a> {
    /// The order of an invoice.
    #[must_use]
    pub fn of(sheet: &'a Sheet, mapping: &Mapping, invoice: &'a Invoice) -> Self {
        let lines = invoice.lines.iter().filter_map(|line| match line.item {
            Item::Product(product) => {
                let product = &sheet.products[product];
                let unit_price = PriceBody { minor: line.price_minor, currency: &product.currency };
                Some(LineBody { sku: &product.sku, quantity: line.units, unit_price })
            }
            Item::NeverOrdered | Item::NoProduct => None,
        });
        Self {
            customer_id: &invoice.customer,
            lines: lines.collect(),
            external_reference: mapping.reference(&invoice.number),
            ordered_at: invoice.ordered_at.to_string(),
            payment_token: None,
        }
    }

    /// The same order, paid with this.
    #[must_use]
    pub const fn paid_with(mut self, payment_token: Option<&'a str>) -> Self {
        self.payment_token = payment_token;
        self
    }

    /// The text that is sent.
    ///
    /// # Errors
    /// Never for what this holds.
    pub fn text(&self) -> Result<Bytes> {
        Ok(serde_json::to_vec(self)?.into())
    }
}

/// What the service said about one invoice.
enum Said {
    Order(usize, OrderAnswer),
    Cancellation(usize, BTreeMap<usize, (Outcome, String)>),
}

/// The id that an order got, for whoever wants to cancel it; none if it was refused.
type Id = SetOnce<Option<Uuid>>;

impl Feed<'_> {
    /// Sends everything.
    ///
    /// # Errors
    /// If the service cannot be reached, or would not have the products. What was sent stays; sending again goes on.
    pub async fn run(&self, gauge: &Gauge) -> Result<Done> {
        let mut done = self.begin().await?;
        let take_backs = take_backs(self.sheet);
        let ids: Vec<Id> = self.sheet.invoices.iter().map(|_| SetOnce::new()).collect();
        let (ids, take_backs) = (&ids, &take_backs);
        let sending = stream::iter(self.sheet.invoices.iter().enumerate())
            .map(|(position, invoice)| async move {
                match take_backs.get(&position) {
                    None => self.order(position, invoice, ids).await,
                    Some(take_back) => self.cancellation(position, invoice, take_back, ids).await,
                }
            })
            .buffer_unordered(self.at_once_max.max(1));
        let mut sending = std::pin::pin!(sending);
        while let Some(said) = sending.try_next().await? {
            self.note(said, take_backs, &mut done);
            gauge.advance(1);
        }
        done.tally.assert_complete();
        Ok(done)
    }

    async fn begin(&self) -> Result<Done> {
        let mut tally = Tally { rows: self.sheet.rows, ..Tally::default() };
        for rejected in &self.sheet.rejected {
            *tally.rows_rejected.entry(rejected.reason).or_default() += 1;
        }
        let known =
            self.catalogue.iter().map(|product| (product.sku.as_str(), ())).collect::<HashMap<_, _>>();
        let unknown = self.sheet.products.iter().filter(|product| !known.contains_key(product.sku.as_str()));
        let made = unknown.map(|product| ProductBody {
            sku: &product.sku,
            name: if product.name.is_empty() { &product.sku } else { &product.name },
            description: "",
            price: PriceBody { minor: product.price_minor, currency: &product.currency },
            stock: self.stock,
            reorder_level: 0,
            availability: "active",
        });
        let products: Vec<ProductBody<'_>> =
            self.catalogue.iter().map(CatalogueProduct::body).chain(made).collect();
        tally.products = products.len() as u64;
        tally.products_new =
            self.client.put_products(&format!("import {}", self.mapping.name), &products).await?;
        Ok(Done { tally, rejected: self.sheet.rejected.clone(), taken_back: Vec::new() })
    }

    async fn order(&self, position: usize, invoice: &Invoice, ids: &[Id]) -> Result<Said> {
        let body = OrderBody::of(self.sheet, self.mapping, invoice).text()?;
        let answer = self.client.create_order(&self.mapping.key(&invoice.number), body).await?;
        let id = match &answer {
            OrderAnswer::New(id) | OrderAnswer::Replayed(id) => Some(*id),
            OrderAnswer::Refused(_) => None,
        };
        ids[position].set(id).expect("each order is sent once");
        Ok(Said::Order(position, answer))
    }

    async fn cancellation(
        &self,
        position: usize,
        invoice: &Invoice,
        take_back: &TakeBack,
        ids: &[Id],
    ) -> Result<Said> {
        let mut outcomes = BTreeMap::new();
        for order in &take_back.orders {
            let outcome = match ids[*order].wait().await {
                Some(id) => self.cancel(*id, invoice).await?,
                None => (Outcome::AlreadyCancelled, "the order was refused and never came about".to_owned()),
            };
            outcomes.insert(*order, outcome);
        }
        Ok(Said::Cancellation(position, outcomes))
    }

    async fn cancel(&self, id: Uuid, invoice: &Invoice) -> Result<(Outcome, String)> {
        let note = format!("taken back by {}", invoice.number);
        Ok(match self.client.cancel_order(id, ACTOR, &note).await? {
            Cancelled::Accepted => (Outcome::Cancelled, format!("order {id} is being cancelled")),
            Cancelled::Already => (Outcome::AlreadyCancelled, format!("order {id} was cancelled before")),
            Cancelled::Refused(Refusal { detail, .. }) => (
                Outcome::TooLate,
                format!("too late: order {id} has left the house, this would be a return ({detail})"),
            ),
        })
    }

    fn note(&self, said: Said, take_backs: &HashMap<usize, TakeBack>, done: &mut Done) {
        match said {
            Said::Order(position, answer) => self.note_order(&self.sheet.invoices[position], answer, done),
            Said::Cancellation(position, outcomes) => {
                let cancelled =
                    outcomes.values().filter(|(outcome, _)| *outcome == Outcome::Cancelled).count();
                done.tally.orders_cancelled += cancelled as u64;
                let verdicts = take_backs.get(&position).map_or(&[][..], |take_back| &take_back.lines);
                note_cancellation(&self.sheet.invoices[position], verdicts, &outcomes, done);
            }
        }
    }

    fn note_order(&self, invoice: &Invoice, answer: OrderAnswer, done: &mut Done) {
        debug_assert_eq!(invoice.kind, InvoiceKind::Order);
        let rows = invoice.lines.len() as u64;
        match answer {
            OrderAnswer::New(_) => {
                done.tally.orders_new += 1;
                done.tally.rows_imported += rows;
            }
            OrderAnswer::Replayed(_) => {
                done.tally.orders_replayed += 1;
                done.tally.rows_replayed += rows;
            }
            OrderAnswer::Refused(Refusal { code, detail }) => {
                done.tally.orders_refused += 1;
                *done.tally.rows_rejected.entry(Reason::RefusedByService).or_default() += rows;
                done.rejected.extend(invoice.lines.iter().map(|line| Rejected {
                    line: line.line,
                    order: invoice.number.clone(),
                    reason: Reason::RefusedByService,
                    detail: format!("{code}: {detail}"),
                }));
            }
        }
    }
}

fn note_cancellation(
    invoice: &Invoice,
    verdicts: &[LineVerdict],
    outcomes: &BTreeMap<usize, (Outcome, String)>,
    done: &mut Done,
) {
    for (line, verdict) in invoice.lines.iter().zip(verdicts) {
        let (outcome, detail) = match verdict {
            LineVerdict::With(order) => {
                outcomes.get(order).cloned().expect("every order of a verdict was cancelled")
            }
            LineVerdict::Settled(outcome) => (*outcome, in_words(*outcome).to_owned()),
        };
        *done.tally.rows_cancelling.entry(outcome).or_default() += 1;
        done.taken_back.push(TakenBack { line: line.line, order: invoice.number.clone(), outcome, detail });
    }
}

const fn in_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Cancelled => "the whole order was cancelled",
        Outcome::AlreadyCancelled => "the whole order was cancelled before",
        Outcome::TooLate => "too late: the order has left the house, this would be a return",
        Outcome::Partial => "takes back a part of an order, which would be a return",
        Outcome::NoSuchOrder => "the customer has ordered nothing of the kind before",
        Outcome::UnknownCustomer => "names no customer, so that nobody knows whose order it means",
        Outcome::NotAProduct => "takes back no product",
    }
}
