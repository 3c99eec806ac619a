//! The order: what was agreed with a customer and how far it has come. [`Order::apply`] is the only mutation. It never
//! touches stock, money or parcels.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::money_line::added_minor;
use crate::{
    AMOUNT_MINOR_MAX, BrokenInvariant, Cancellation, CustomerId, Money, MoneyError, MoneyLine, Move,
    OrderChange, OrderId, OrderItemId, OrderStatus, ProductId, Quantity, Rejection, Sku,
    invariant::check_all,
};

/// The most lines an order may have.
pub const LINES_MAX: usize = 1000;

/// One line of an order: a quantity of a product at an agreed price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLine {
    /// Names the line.
    pub item_id: OrderItemId,
    /// What is ordered.
    pub product_id: ProductId,
    /// Its SKU.
    pub sku: Sku,
    /// How many were ordered.
    pub quantity: Quantity,
    /// Of these, cancelled since: from 0 to all of them.
    pub cancelled: i64,
    /// The price of one unit.
    pub unit_price: Money,
}

/// A requested order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// The id that the order gets.
    pub id: OrderId,
    /// Whom it is for.
    pub customer_id: CustomerId,
    /// What is wanted.
    pub lines: Vec<NewOrderLine>,
    /// When the customer ordered; may be long before we heard of it.
    pub ordered_at: Timestamp,
    /// Its reference in the system it came from.
    pub external_reference: Option<String>,
    /// What it costs beside the goods.
    pub money_lines: Vec<MoneyLine>,
}

/// One line of a [`NewOrder`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrderLine {
    /// What is wanted.
    pub product_id: ProductId,
    /// Its SKU.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// The price of one unit.
    pub unit_price: Money,
}

/// All data of an order, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderSnapshot {
    /// Names the order.
    pub id: OrderId,
    /// Whom it is for.
    pub customer_id: CustomerId,
    /// What was agreed: 1 to [`LINES_MAX`] lines in one currency.
    pub lines: Vec<OrderLine>,
    /// The total: the lines as ordered, what the money lines add, and what cancelled lines take off.
    pub total: Money,
    /// What the money lines add to the lines, in minor units; below zero if they take more off.
    pub added_minor: i64,
    /// What the order costs less since lines of it were cancelled, in minor units.
    pub cancelled_minor: i64,
    /// How far it has come.
    pub status: OrderStatus,
    /// When the customer ordered.
    pub ordered_at: Timestamp,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The cancellation; present exactly if the order is cancelled.
    pub cancellation: Option<Cancellation>,
    /// Its reference in the system it came from.
    pub external_reference: Option<String>,
}

/// An order whose invariants hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order(OrderSnapshot);

impl Order {
    /// Accepts an order, or returns everything that is wrong with it, most important first.
    pub fn place(new: NewOrder, at: Timestamp) -> Result<Self, Vec<Rejection>> {
        let violations = violations(&new.lines);
        if !violations.is_empty() {
            return Err(violations);
        }
        let lines = numbered(new.id, new.lines);
        let one = |rejection| vec![rejection];
        let goods = bounded_total(&lines).map_err(one)?;
        let added_minor = added_minor(&new.money_lines, goods.currency).map_err(one)?;
        let total = with_added(goods, added_minor).map_err(one)?;
        Ok(Self(OrderSnapshot {
            id: new.id,
            customer_id: new.customer_id,
            lines,
            total,
            added_minor,
            cancelled_minor: 0,
            status: OrderStatus::Pending,
            ordered_at: new.ordered_at,
            created_at: at,
            updated_at: at,
            cancellation: None,
            external_reference: new.external_reference,
        }))
    }

    /// Applies a change: the only way an order moves. A repeat changes nothing: the first cancellation stands. A change
    /// that the table of moves forbids, or of another order, is rejected.
    pub fn apply(&mut self, change: &OrderChange) -> Result<(), Rejection> {
        let (expected, found) = (self.0.id.0, change.order_id.0);
        if expected != found {
            return Err(Rejection::WrongSubject { expected, found });
        }
        let (from, Some(to)) = (self.0.status, change.event.leads_to()) else { return Ok(()) };
        match from.may_become(to) {
            Move::NoOp => return Ok(()),
            Move::Illegal => {
                return Err(Rejection::IllegalTransition { from, to, reason: from.why_not(to) });
            }
            Move::Legal => {}
        }
        self.0.status = to;
        self.0.updated_at = self.0.updated_at.max(change.at);
        self.0.cancellation.clone_from(&change.cancellation);
        Ok(())
    }

    /// What it came to as it was placed.
    pub const fn ordered_total(&self) -> Money {
        Money { minor: self.0.total.minor + self.0.cancelled_minor, ..self.0.total }
    }

    /// The units to reserve: merged by product and sorted by it, so that locks are taken in one order.
    pub fn merged_demand(&self) -> Vec<(ProductId, i64)> {
        let mut demand = BTreeMap::<ProductId, i64>::new();
        for line in &self.0.lines {
            *demand.entry(line.product_id).or_default() += line.remaining();
        }
        demand.retain(|_, units| *units > 0);
        demand.into_iter().collect()
    }

    /// The order as stored, if it holds its invariants.
    pub fn restore(snapshot: OrderSnapshot) -> Result<Self, BrokenInvariant> {
        let order = Self(snapshot);
        order.check().map(|()| order)
    }

    /// Checks the invariants.
    pub fn check(&self) -> Result<(), BrokenInvariant> {
        let OrderSnapshot {
            lines, total: stored, added_minor, cancelled_minor, status, cancellation, ..
        } = &self.0;
        let sum =
            total(lines).map(|goods| Money { minor: goods.minor + added_minor - cancelled_minor, ..goods });
        let item_ids: BTreeSet<_> = lines.iter().map(|line| line.item_id).collect();
        check_all(
            || format!("order {}", self.0.id),
            &[
                ((1..=LINES_MAX).contains(&lines.len()), "an order has lines, and not too many"),
                (item_ids.len() == lines.len(), "no two lines have one id"),
                (lines.iter().all(|line| line.unit_price.minor >= 0), "no price is negative"),
                (
                    sum == Ok(*stored),
                    "the total is the sum of the lines and the money lines without what was cancelled, in one currency",
                ),
                (*cancelled_minor >= 0, "cancelling lines never makes an order dearer"),
                (
                    lines.iter().all(|line| (0..=i64::from(line.quantity)).contains(&line.cancelled)),
                    "no more of a line is cancelled than was ordered",
                ),
                (lines.iter().any(|line| line.remaining() > 0), "something is left of an order"),
                (stored.minor >= 0, "no total is below zero"),
                (
                    cancellation.is_some() == (*status == OrderStatus::Cancelled),
                    "an order is cancelled exactly if it says why",
                ),
                (self.0.updated_at >= self.0.created_at, "nothing changes before it is created"),
            ],
        )
    }

    /// All of it, for reading.
    pub const fn snapshot(&self) -> &OrderSnapshot {
        &self.0
    }

    /// All of it, to keep.
    pub fn into_snapshot(self) -> OrderSnapshot {
        self.0
    }

    /// Names the order.
    pub const fn id(&self) -> OrderId {
        self.0.id
    }

    /// Whom it is for.
    pub const fn customer_id(&self) -> &CustomerId {
        &self.0.customer_id
    }

    /// What was agreed.
    pub fn lines(&self) -> &[OrderLine] {
        &self.0.lines
    }

    /// What it comes to.
    pub const fn total(&self) -> Money {
        self.0.total
    }

    /// How far it has come.
    pub const fn status(&self) -> OrderStatus {
        self.0.status
    }

    /// The cancellation; present exactly if the order is cancelled.
    pub const fn cancellation(&self) -> Option<&Cancellation> {
        self.0.cancellation.as_ref()
    }
}

impl OrderLine {
    /// The total of the line as it was ordered.
    pub fn amount(&self) -> Result<Money, MoneyError> {
        self.unit_price.checked_mul(self.quantity)
    }

    /// The units that are still wanted, or were sent.
    pub fn remaining(&self) -> i64 {
        i64::from(self.quantity) - self.cancelled
    }

    /// The price of so many units of it.
    fn price_of(&self, units: i64) -> Result<Money, MoneyError> {
        let minor = self.unit_price.minor.checked_mul(units).ok_or(MoneyError::Overflow)?;
        Ok(Money { minor, ..self.unit_price })
    }
}

fn violations(lines: &[NewOrderLine]) -> Vec<Rejection> {
    let Some(first) = lines.first() else { return vec![Rejection::NoLines] };
    if lines.len() > LINES_MAX {
        return vec![Rejection::TooManyLines { lines: lines.len(), lines_max: LINES_MAX }];
    }
    let expected = first.unit_price.currency;
    let negative = lines.iter().filter(|line| line.unit_price.minor < 0);
    let dear = lines.iter().filter(|line| line.unit_price.minor > AMOUNT_MINOR_MAX);
    let foreign = lines.iter().map(|line| line.unit_price.currency).filter(|&found| found != expected);
    let foreign: BTreeSet<_> = foreign.collect();
    negative
        .map(|line| Rejection::NegativePrice { sku: line.sku.clone() })
        .chain(
            dear.map(|line| Rejection::PriceTooHigh { sku: line.sku.clone(), minor: line.unit_price.minor }),
        )
        .chain(foreign.into_iter().map(|found| Rejection::MixedCurrencies { expected, found }))
        .collect()
}

fn numbered(order_id: OrderId, lines: Vec<NewOrderLine>) -> Vec<OrderLine> {
    let number = |(ordinal, line): (u32, NewOrderLine)| OrderLine {
        item_id: OrderItemId::of(order_id, ordinal),
        product_id: line.product_id,
        sku: line.sku,
        quantity: line.quantity,
        cancelled: 0,
        unit_price: line.unit_price,
    };
    (0..).zip(lines).map(number).collect()
}

/// The total of the lines, if it does not exceed the maximum of an order.
fn bounded_total(lines: &[OrderLine]) -> Result<Money, Rejection> {
    match total(lines) {
        Ok(total) if total.minor <= AMOUNT_MINOR_MAX => Ok(total),
        Ok(_) | Err(MoneyError::Overflow) => Err(Rejection::TotalTooHigh),
        Err(error) => Err(Rejection::Money(error)),
    }
}

/// The total with what the money lines add, if it is one that an order may have.
const fn with_added(goods: Money, added_minor: i64) -> Result<Money, Rejection> {
    let minor = goods.minor + added_minor;
    if minor < 0 {
        return Err(Rejection::NegativeTotal { excess: Money { minor: -minor, ..goods } });
    }
    if minor > AMOUNT_MINOR_MAX {
        return Err(Rejection::TotalTooHigh);
    }
    Ok(Money { minor, ..goods })
}

/// The sum of the lines. None without lines, since there is no currency.
fn total(lines: &[OrderLine]) -> Result<Money, MoneyError> {
    let Some(first) = lines.first() else { return Err(MoneyError::Malformed) };
    let zero = Money::zero(first.unit_price.currency);
    lines.iter().try_fold(zero, |sum, line| sum.checked_add(line.amount()?))
}

mod line_cancellation;
#[cfg(test)]
mod tests;

pub use line_cancellation::{CancelledUnits, LineCancellation, LineRejection};
