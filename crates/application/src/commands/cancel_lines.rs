//! Cancels lines of an order, whole or in part, while it waits: what they reserved is for sale again, and their money is never
//! taken, or goes back.

use std::collections::BTreeSet;

use async_trait::async_trait;
use bus::{Fault, SagaRepository};
use domain::{
    CancelledUnits, LineCancellation, Money, Order, OrderId, OrderStatus, Payment, PaymentStatus, ProductId,
    Rejection, Sku,
};

use super::Command;
use super::change_order::too_late_to_change;
use super::refund_order::{Refund, ask_back, does_not_fit};
use crate::context::Context;
use crate::messages::correlation;
use crate::ports::{AuditEntry, HistoryEntry, StockDemand, UnitOfWork};
use crate::saga::{OrderProcessingSaga, PaymentStep, SagaState, ShipmentStep, StockStep};
use crate::stock_arrival::tell_who_waits;

/// The timeline's name for it.
const CANCELLED: &str = "LinesCancelled";

/// Cancel these units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelLinesCommand {
    /// The order.
    pub order_id: OrderId,
    /// The units of each product; all that are left of one where no number is said.
    pub lines: Vec<(Sku, Option<i64>)>,
    /// How much less the order costs; the price of the units unless said.
    pub amount: Option<Money>,
    /// Who asks for it.
    pub actor: String,
    /// Why.
    pub note: String,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelLinesReply {
    /// They are cancelled.
    Cancelled(Box<LinesCancelled>),
    /// Not possible: why, and what would be.
    Refused(String),
    /// No such order.
    NotFound,
}

/// What was cancelled of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinesCancelled {
    /// The units, one entry for each product.
    pub lines: Vec<CancelledUnits>,
    /// How much less the order costs.
    pub amount: Money,
    /// What it costs now.
    pub total: Money,
    /// The key under which the gateway gives the money back once, if it had taken it.
    pub refund_key: Option<String>,
}

/// Why no line of an order can be cancelled now, if so.
#[must_use]
pub fn too_late_to_cancel_lines(
    order: OrderStatus,
    state: SagaState,
    shipment: ShipmentStep,
    is_called_off: bool,
) -> Option<String> {
    too_late_to_change(order, state, shipment, is_called_off).or_else(|| match state {
        SagaState::OnHold | SagaState::AwaitingStock => None,
        SagaState::Created
        | SagaState::InventoryReserved
        | SagaState::PaymentProcessing
        | SagaState::Authorised
        | SagaState::Paid
        | SagaState::Shipped
        | SagaState::Completed
        | SagaState::Failed
        | SagaState::Compensating
        | SagaState::NeedsAttention => Some(format!(
            "its next step is under way (the saga is {state}); put it on hold before its shipping, and cancel lines once it waits"
        )),
    })
}

#[async_trait]
impl Command for CancelLinesCommand {
    type Reply = CancelLinesReply;

    const NAME: &'static str = "CancelLinesCommand";

    /// The saga's lock covers lines, stock and money, so whatever goes on with the order sees it before or after.
    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<CancelLinesReply, Fault> {
        let sagas: Vec<OrderProcessingSaga> =
            SagaRepository::load_sagas(unit, &[correlation(self.order_id)]).await?;
        let Some(saga) = sagas.into_iter().next() else { return Ok(CancelLinesReply::NotFound) };
        let is_called_off = saga.reason.is_some();
        if let Some(why) = too_late_to_cancel_lines(saga.order, saga.state, saga.shipment, is_called_off) {
            return Ok(CancelLinesReply::Refused(why));
        }
        if saga.payment == PaymentStep::Capturing {
            return Ok(CancelLinesReply::Refused(
                "its payment is being captured; wait for the answer".to_owned(),
            ));
        }
        let Some(order) = unit.orders().get_by_id(self.order_id).await? else {
            return Ok(CancelLinesReply::NotFound);
        };
        let at = context.clock.now();
        let it = match order.cancel_lines(&self.lines, self.amount, at) {
            Ok(it) => it,
            Err(rejection) => return Ok(CancelLinesReply::Refused(rejection.to_string())),
        };
        let refund_key = match self.lower_the_payment(unit, context, &saga, &it).await? {
            Ok(refund_key) => refund_key,
            Err(why) => return Ok(CancelLinesReply::Refused(why)),
        };
        unit.orders().put_lines(&it.order).await?;
        self.free_stock(unit, context, &saga, &it).await?;
        let total = it.order.total();
        // Whoever acts on what they saw of the order must notice this.
        unit.update_sagas(&[OrderProcessingSaga { total, ..saga }], at).await?;
        self.tell(unit, context, &it).await?;
        let LineCancellation { cancelled: lines, amount, .. } = it;
        Ok(CancelLinesReply::Cancelled(Box::new(LinesCancelled { lines, amount, total, refund_key })))
    }
}

impl CancelLinesCommand {
    /// Less is captured of what is authorised; what was captured already is asked back. Returns the refund's key; or why that is
    /// not possible.
    async fn lower_the_payment(
        &self,
        unit: &mut dyn UnitOfWork,
        context: &Context,
        saga: &OrderProcessingSaga,
        it: &LineCancellation,
    ) -> Result<Result<Option<String>, String>, Fault> {
        let Some(mut payment) = unit.payments().get(&[self.order_id]).await?.pop() else {
            return Ok(Ok(None));
        };
        if it.amount.minor == 0 {
            return Ok(Ok(None));
        }
        if it.order.total().minor == 0 {
            return Ok(Err("nothing would be left to pay for it; cancel the order instead".to_owned()));
        }
        if payment.captured_minor > 0 && saga.payment == PaymentStep::Authorised {
            return Ok(Err("its payment is being booked; ask again in a moment".to_owned()));
        }
        if payment.status == PaymentStatus::Authorised {
            let lowered = lower(&mut payment, &it.order);
            unit.payments().update(std::slice::from_ref(&payment), context.clock.now()).await?;
            return Ok(lowered.map(|()| None).map_err(|rejection| rejection.to_string()));
        }
        if let Some(why) = does_not_fit(&payment, it.amount) {
            return Ok(Err(why));
        }
        let reason = if self.note.is_empty() { "lines were cancelled" } else { &self.note };
        let refund = Refund { amount: it.amount, actor: &self.actor, reason };
        ask_back(unit, context, payment, &refund).await.map(|key| Ok(Some(key)))
    }

    /// What was reserved for the units is for sale again. An order that waits for goods may need no more than there are.
    async fn free_stock(
        &self,
        unit: &mut dyn UnitOfWork,
        context: &Context,
        saga: &OrderProcessingSaga,
        it: &LineCancellation,
    ) -> Result<(), Fault> {
        let mut lines: Vec<(ProductId, i64)> =
            it.cancelled.iter().map(|line| (line.product_id, line.units)).collect();
        lines.sort_unstable();
        let mut products: BTreeSet<ProductId> = lines.iter().map(|(product, _)| *product).collect();
        if saga.stock == StockStep::Reserved {
            let demand = StockDemand { order_id: self.order_id, lines };
            unit.inventory().release_reservation(&[demand], context.clock.now()).await?;
        } else {
            products = it.order.merged_demand().into_iter().map(|(product, _)| product).collect();
        }
        tell_who_waits(unit, context, &products.into_iter().collect::<Vec<_>>()).await
    }

    async fn tell(
        &self,
        unit: &mut dyn UnitOfWork,
        context: &Context,
        it: &LineCancellation,
    ) -> Result<(), Fault> {
        let (at, what) = (context.clock.now(), in_words(&it.cancelled));
        let told = format!("{what}: {} less, by {}", it.amount, self.actor);
        let told = if self.note.is_empty() { told } else { format!("{told}: {}", self.note) };
        let entry = HistoryEntry::without_step(self.order_id, at, CANCELLED, told);
        unit.history().append(&[entry]).await?;
        let entry = AuditEntry {
            at,
            actor: self.actor.clone(),
            action: format!("orders cancel-lines: {what}, {} less", it.amount),
            subject: self.order_id.to_string(),
            note: self.note.clone(),
        };
        unit.audit().record(&[entry]).await
    }
}

/// Asks for what the order costs now.
fn lower(payment: &mut Payment, order: &Order) -> Result<(), Rejection> {
    payment.lower(order.total()).map(drop)
}

/// Units of products, such as '2 of TEA-1, 1 of TEA-2'.
fn in_words(lines: &[CancelledUnits]) -> String {
    lines.iter().map(|line| format!("{} of {}", line.units, line.sku)).collect::<Vec<_>>().join(", ")
}
