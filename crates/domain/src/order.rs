//! The order: what was agreed with a customer and how far it has come. Its verbs only decide; [`Order::apply`] is the
//! only mutation. It never touches stock, money or parcels.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{
    AMOUNT_MINOR_MAX, BrokenInvariant, CustomerId, Money, MoneyError, Move, OrderEvent, OrderId, OrderItemId,
    OrderStatus, ProductId, Quantity, Rejection, Sku, closed_set::closed_set, invariant::check_all,
};

/// The most lines an order may have.
pub const LINES_MAX: usize = 1000;

closed_set! {
    /// Why an order was cancelled.
    pub enum CancelReason {
        /// The customer asked for it.
        Customer = 0, "customer";
        /// The gateway refused the money.
        PaymentDeclined = 1, "payment_declined";
        /// Some line was not in stock.
        OutOfStock = 2, "out_of_stock";
        /// It took too long.
        Timeout = 3, "timeout";
        /// No carrier took the parcel.
        ShippingFailed = 4, "shipping_failed";
        /// An operator decided so.
        Operator = 5, "operator";
        /// It failed validation.
        Rejected = 6, "rejected";
        /// All the money was refunded at the gateway before the parcel left.
        RefundedAtGateway = 7, "refunded_at_gateway";
    }
}

/// The record of a cancellation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancellation {
    /// Why.
    pub reason: CancelReason,
    /// Who cancelled it, or which part of the system.
    pub actor: String,
    /// A note in their own words; may be empty.
    pub note: String,
}

/// One line of an order: a quantity of a product at an agreed price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLine {
    /// Names the line.
    pub item_id: OrderItemId,
    /// What is ordered.
    pub product_id: ProductId,
    /// Its SKU.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
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
    /// The total of the lines.
    pub total: Money,
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

/// What a verb decides: an event to apply, nothing to do, or a rejection.
type Decision = Result<Option<OrderEvent>, Rejection>;

impl Order {
    /// Accepts an order, or returns everything that is wrong with it, most important first.
    pub fn place(new: NewOrder, at: Timestamp) -> Result<(Self, OrderEvent), Vec<Rejection>> {
        let violations = violations(&new.lines);
        if !violations.is_empty() {
            return Err(violations);
        }
        let lines = numbered(new.id, new.lines);
        let total = bounded_total(&lines).map_err(|rejection| vec![rejection])?;
        let order = Self(OrderSnapshot {
            id: new.id,
            customer_id: new.customer_id,
            lines,
            total,
            status: OrderStatus::Pending,
            ordered_at: new.ordered_at,
            created_at: at,
            updated_at: at,
            cancellation: None,
            external_reference: new.external_reference,
        });
        let created = order.created();
        Ok((order, created))
    }

    /// Decides that the order is valid.
    pub fn validate(&self) -> Decision {
        self.decide(OrderEvent::OrderValidated { order_id: self.0.id })
    }

    /// Decides to request the payment.
    pub fn begin_payment(&self) -> Decision {
        self.decide(OrderEvent::PaymentStarted { order_id: self.0.id, amount: self.0.total })
    }

    /// Decides that the order is paid.
    pub fn mark_paid(&self) -> Decision {
        self.decide(OrderEvent::PaymentProcessed { order_id: self.0.id, amount: self.0.total })
    }

    /// Decides that the goods were shipped.
    pub fn mark_shipped(&self) -> Decision {
        self.decide(OrderEvent::OrderShipped { order_id: self.0.id })
    }

    /// Decides that the goods were delivered.
    pub fn mark_delivered(&self) -> Decision {
        self.decide(OrderEvent::OrderDelivered { order_id: self.0.id })
    }

    /// Decides to cancel the order. The first cancellation stands; a second one changes neither reason nor note.
    pub fn cancel(&self, cancellation: Cancellation) -> Decision {
        self.decide(OrderEvent::OrderCancelled { order_id: self.0.id, cancellation })
    }

    /// Applies an event: the only way an order changes. A repeat changes nothing. An event that the table of moves
    /// forbids, or about another order, is rejected.
    pub fn apply(&mut self, event: &OrderEvent, at: Timestamp) -> Result<(), Rejection> {
        self.refuse_foreign(event)?;
        let Some(to) = self.next(event)? else { return Ok(()) };
        if let OrderEvent::OrderCancelled { cancellation, .. } = event {
            self.0.cancellation = Some(cancellation.clone());
        }
        self.0.status = to;
        self.0.updated_at = self.0.updated_at.max(at);
        Ok(())
    }

    /// The units to reserve: merged by product and sorted by it, so that locks are taken in one order.
    pub fn merged_demand(&self) -> Vec<(ProductId, i64)> {
        let mut demand = BTreeMap::<ProductId, i64>::new();
        for line in &self.0.lines {
            *demand.entry(line.product_id).or_default() += i64::from(line.quantity);
        }
        demand.into_iter().collect()
    }

    /// The order as stored, if it holds its invariants.
    pub fn restore(snapshot: OrderSnapshot) -> Result<Self, BrokenInvariant> {
        let order = Self(snapshot);
        order.check().map(|()| order)
    }

    /// Checks the invariants.
    pub fn check(&self) -> Result<(), BrokenInvariant> {
        let OrderSnapshot { lines, total: stored, status, cancellation, .. } = &self.0;
        let item_ids: BTreeSet<_> = lines.iter().map(|line| line.item_id).collect();
        check_all(
            || format!("order {}", self.0.id),
            &[
                ((1..=LINES_MAX).contains(&lines.len()), "an order has lines, and not too many"),
                (item_ids.len() == lines.len(), "no two lines have one id"),
                (lines.iter().all(|line| line.unit_price.minor >= 0), "no price is negative"),
                (total(lines) == Ok(*stored), "the total is the sum of the lines, in one currency"),
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

    fn created(&self) -> OrderEvent {
        OrderEvent::OrderCreated {
            order_id: self.0.id,
            customer_id: self.0.customer_id.clone(),
            total: self.0.total,
            lines: u32::try_from(self.0.lines.len()).expect("an order has at most LINES_MAX lines"),
        }
    }

    fn decide(&self, event: OrderEvent) -> Decision {
        Ok(self.next(&event)?.map(|_| event))
    }

    /// The status that an event leads to from here; none if the status stays.
    fn next(&self, event: &OrderEvent) -> Result<Option<OrderStatus>, Rejection> {
        let (from, Some(to)) = (self.0.status, event.leads_to()) else { return Ok(None) };
        match from.may_become(to) {
            Move::Legal => Ok(Some(to)),
            Move::NoOp => Ok(None),
            Move::Illegal => Err(Rejection::IllegalTransition { from, to, reason: from.why_not(to) }),
        }
    }

    fn refuse_foreign(&self, event: &OrderEvent) -> Result<(), Rejection> {
        let (expected, found) = (self.0.id.0, event.order_id().0);
        if expected == found { Ok(()) } else { Err(Rejection::WrongSubject { expected, found }) }
    }
}

impl OrderLine {
    /// The total of the line.
    pub fn amount(&self) -> Result<Money, MoneyError> {
        self.unit_price.checked_mul(self.quantity)
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

/// The sum of the lines. None without lines, since there is no currency.
fn total(lines: &[OrderLine]) -> Result<Money, MoneyError> {
    let Some(first) = lines.first() else { return Err(MoneyError::Malformed) };
    let zero = Money::zero(first.unit_price.currency);
    lines.iter().try_fold(zero, |sum, line| sum.checked_add(line.amount()?))
}

#[cfg(test)]
mod tests;
