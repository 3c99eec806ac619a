//! Finds the orders that cancellations mean. A cancellation names no order, only customer, products and units; it means the
//! latest earlier orders of the customer that it covers whole. What it does not cover whole would be a return.

use std::collections::{BTreeMap, HashMap};

use super::sheet::{Invoice, InvoiceKind, InvoiceLine, Item, Named, Sheet};
use super::tally::Outcome;

/// What one cancellation means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakeBack {
    /// Positions in [`Sheet::invoices`] of the orders that it takes back whole.
    pub orders: Vec<usize>,
    /// For each of its lines, what is decided about it.
    pub lines: Vec<LineVerdict>,
}

/// What is decided about one line of a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineVerdict {
    /// It goes with the order at this position, whatever becomes of that.
    With(usize),
    /// It cannot be done.
    Settled(Outcome),
}

/// What every cancellation of the sheet means, by its position.
#[must_use]
pub fn take_backs(sheet: &Sheet) -> HashMap<usize, TakeBack> {
    let mut customers: HashMap<&str, Customer> = HashMap::new();
    let mut found = HashMap::new();
    for (position, invoice) in sheet.invoices.iter().enumerate() {
        let customer = customers.entry(&invoice.customer).or_default();
        match invoice.kind {
            InvoiceKind::Order => customer.orders.push(position),
            InvoiceKind::Cancellation => {
                found.insert(position, customer.take_back(sheet, invoice));
            }
        }
    }
    found
}

/// The orders that a cancellation covers whole.
#[derive(Default)]
struct Covered {
    /// Their positions, latest first.
    orders: Vec<usize>,
    /// One of them for each product.
    by_product: BTreeMap<usize, usize>,
}

/// What is known of a customer so far.
#[derive(Default)]
struct Customer {
    /// Positions of their orders, earliest first.
    orders: Vec<usize>,
    /// Those that were taken back.
    taken: Vec<usize>,
}

impl Customer {
    fn take_back(&mut self, sheet: &Sheet, cancellation: &Invoice) -> TakeBack {
        let Covered { orders, by_product } = match cancellation.customer_named {
            Named::Yes => self.cover(sheet, cancellation),
            Named::No => Covered::default(),
        };
        let verdict = |line: &InvoiceLine| match (line.item, cancellation.customer_named) {
            (Item::NoProduct, _) => LineVerdict::Settled(Outcome::NotAProduct),
            (Item::NeverOrdered, Named::Yes) => LineVerdict::Settled(Outcome::NoSuchOrder),
            (Item::Product(product), Named::Yes) => match by_product.get(&product) {
                Some(order) => LineVerdict::With(*order),
                None if self.ever_ordered(sheet, product) => LineVerdict::Settled(Outcome::Partial),
                None => LineVerdict::Settled(Outcome::NoSuchOrder),
            },
            (Item::Product(_) | Item::NeverOrdered, Named::No) => {
                LineVerdict::Settled(Outcome::UnknownCustomer)
            }
        };
        let lines = cancellation.lines.iter().map(verdict).collect();
        TakeBack { orders, lines }
    }

    /// The latest orders that the cancellation covers whole.
    fn cover(&mut self, sheet: &Sheet, cancellation: &Invoice) -> Covered {
        let mut left = units_by_product(cancellation);
        let mut covered = Covered::default();
        for &position in self.orders.iter().rev() {
            let wanted = units_by_product(&sheet.invoices[position]);
            let covers =
                |(product, units): (&usize, &u64)| left.get(product).is_some_and(|left| left >= units);
            if self.taken.contains(&position) || !wanted.iter().all(covers) {
                continue;
            }
            for (product, units) in wanted {
                *left.entry(product).or_default() -= units;
                covered.by_product.insert(product, position);
            }
            self.taken.push(position);
            covered.orders.push(position);
        }
        covered
    }

    fn ever_ordered(&self, sheet: &Sheet, product: usize) -> bool {
        let lines = self.orders.iter().flat_map(|order| &sheet.invoices[*order].lines);
        lines.into_iter().any(|line| line.item == Item::Product(product))
    }
}

/// Units of each product; a product may stand in several lines.
fn units_by_product(invoice: &Invoice) -> BTreeMap<usize, u64> {
    let mut units = BTreeMap::new();
    for line in &invoice.lines {
        if let Item::Product(product) = line.item {
            *units.entry(product).or_insert(0) += u64::from(line.units);
        }
    }
    units
}

#[cfg(test)]
mod tests;
