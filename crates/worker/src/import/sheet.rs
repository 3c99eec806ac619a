//! What a file holds, put together: products, orders with their lines, cancellations, and rows that are nothing of these with
//! the reason why. Sends nothing; memory is bounded by the number of rows and orders.

use application::order_details::OrderDetails;
use domain::LINES_MAX;
use jiff::Timestamp;

use super::tally::{LeftOut, Rejected};

/// What a file holds.
#[derive(Debug, Default)]
pub struct Sheet {
    /// Rows read, without the headings and those that hold nothing.
    pub rows: u64,
    /// Products of the orders, in order of first appearance.
    pub products: Vec<SheetProduct>,
    /// Orders that are whole, and cancellations, in order of first appearance.
    pub invoices: Vec<Invoice>,
    /// Rows that are neither, and the other rows of their orders.
    pub rejected: Vec<Rejected>,
    /// Rows that are left out because the mapping says so.
    pub left_out: Vec<LeftOut>,
    /// Orders that were taken in, perhaps, and are cancelled where they come from.
    pub cancelled: Vec<CancelledElsewhere>,
    /// Orders that are held back.
    pub orders_held_back: u64,
    /// What was found out about the file, for people.
    pub notes: Vec<String>,
}

/// A product, as its first row tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetProduct {
    /// Its name in the trade.
    pub sku: String,
    /// The first name that is not empty.
    pub name: String,
    /// Its first price, in minor units.
    pub price_minor: i64,
    /// ISO 4217 code of the price.
    pub currency: String,
}

/// An order, or one that takes another back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// The other system's name for it.
    pub number: String,
    /// The name that it has here.
    pub reference: String,
    /// Whom it is for.
    pub customer: String,
    /// Whether the file named the customer.
    pub customer_named: Named,
    /// When, by its first row.
    pub ordered_at: Timestamp,
    /// What it is.
    pub kind: InvoiceKind,
    /// ISO 4217 code of its prices.
    pub currency: String,
    /// Its lines.
    pub lines: Vec<InvoiceLine>,
    /// What it says beside them.
    pub details: OrderDetails,
}

/// An order that was cancelled where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelledElsewhere {
    /// The other system's name for it.
    pub number: String,
    /// The name that it has here, if it was taken in.
    pub reference: String,
    /// Its rows.
    pub lines: Vec<u64>,
}

/// Whether a file named the customer of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// It did.
    Yes,
    /// Somebody stands for the unknown.
    No,
}

/// What an invoice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InvoiceKind {
    /// Something is ordered.
    Order,
    /// Something is taken back.
    Cancellation,
}

/// One line of an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvoiceLine {
    /// Line of the file.
    pub line: u64,
    /// What it is about.
    pub item: Item,
    /// Units; always positive.
    pub units: u32,
    /// Price of one, in minor units of the order's currency.
    pub price_minor: i64,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// The product at this position in [`Sheet::products`]. Lines of orders are always about one.
    Product(usize),
    /// A product that nobody has ordered before.
    NeverOrdered,
    /// Postage, a fee, a voucher or the like.
    NoProduct,
}

/// A part of an order that is too long to be one here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The name that it has here.
    pub reference: String,
    /// Whether it is the first, which has what the order costs beside its lines.
    pub is_first: bool,
    /// Its lines.
    pub lines: &'a [InvoiceLine],
}

impl Sheet {
    /// Rows of which it is known what becomes of them: all of them.
    #[must_use]
    pub fn rows_accounted_for(&self) -> u64 {
        let lines: usize = self.invoices.iter().map(|invoice| invoice.lines.len()).sum();
        let cancelled: usize = self.cancelled.iter().map(|order| order.lines.len()).sum();
        (lines + cancelled + self.rejected.len() + self.left_out.len()) as u64
    }
}

impl Invoice {
    /// The order, cut into as many as it takes. Mostly it is one.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let part = |(index, lines)| Part {
            reference: part_of(&self.reference, index + 1),
            is_first: index == 0,
            lines,
        };
        self.lines.chunks(LINES_MAX).enumerate().map(part)
    }

    /// The name of the part that the order would have with one line more, if its last part is full.
    pub(super) fn next_part(&self) -> Option<String> {
        let full = self.lines.len().is_multiple_of(LINES_MAX);
        full.then(|| part_of(&self.reference, self.lines.len() / LINES_MAX + 1))
    }
}

/// Between the name of an order and the number of its part.
const PART: &str = " (part ";

/// The name of a part of an order, counted from one. The first part is called like the order, so that an order which is here
/// whole cannot come in once more in parts. An order that is called as parts of others are gets the name of a part for its
/// first one, too, so that no two orders can ever have one name.
pub(super) fn part_of(reference: &str, part: usize) -> String {
    if part == 1 && !looks_like_a_part(reference) {
        return reference.to_owned();
    }
    format!("{reference}{PART}{part})")
}

fn looks_like_a_part(reference: &str) -> bool {
    let number = reference.strip_suffix(')').and_then(|open| Some(open.rsplit_once(PART)?.1));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod broken;

#[cfg(test)]
mod dialects;

#[cfg(test)]
mod repeats;

#[cfg(test)]
mod shops;
