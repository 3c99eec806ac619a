//! Refunds a delivered order, in part or completely. The refund's key is stored with the request, before the gateway
//! is called, so repeated calls refund once.

use async_trait::async_trait;
use bus::{Fault, Message, MessageId, SagaRepository};
use domain::{Dispute, Money, OrderId, OrderStatus, Payment};

use super::Command;
use crate::context::Context;
use crate::messages::{PaymentRefundRequested, RefundPart, about_order, correlation};
use crate::ports::{AuditEntry, HistoryEntry, UnitOfWork};
use crate::refund_timer::await_refund;
use crate::saga::OrderProcessingSaga;

/// Refund this amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundOrderCommand {
    /// The order.
    pub order_id: OrderId,
    /// How much.
    pub amount: Money,
    /// Who asks.
    pub actor: String,
    /// The reason.
    pub reason: String,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundReply {
    /// The refund is requested under this key.
    Accepted {
        /// The refund's own key.
        refund_key: String,
    },
    /// Not possible.
    Refused {
        /// Why not, and what would be possible.
        why: String,
    },
    /// No such order.
    NotFound,
}

#[async_trait]
impl Command for RefundOrderCommand {
    type Reply = RefundReply;

    const NAME: &'static str = "RefundOrderCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<RefundReply, Fault> {
        let sagas: Vec<OrderProcessingSaga> =
            SagaRepository::load_sagas(unit, &[correlation(self.order_id)]).await?;
        let Some(saga) = sagas.first() else { return Ok(RefundReply::NotFound) };
        let Some(payment) = unit.payments().get(&[self.order_id]).await?.pop() else {
            let why = "nothing was asked for of this order".to_owned();
            return Ok(RefundReply::Refused { why });
        };
        if let Some(why) = self.refusal(saga, &payment) {
            return Ok(RefundReply::Refused { why });
        }
        // The saga decides nothing here, but whoever acts on what they saw of the order must notice this.
        unit.update_sagas(&sagas, context.clock.now()).await?;
        let Self { amount, actor, reason, .. } = self;
        let refund_key = ask_back(unit, context, payment, &Refund { amount: *amount, actor, reason }).await?;
        Ok(RefundReply::Accepted { refund_key })
    }
}

impl RefundOrderCommand {
    fn refusal(&self, saga: &OrderProcessingSaga, payment: &Payment) -> Option<String> {
        if saga.order != OrderStatus::Delivered {
            return Some(format!(
                "the order is {}; money is paid back once it is delivered, and before the parcel has left by cancelling it",
                saga.order
            ));
        }
        does_not_fit(payment, self.amount)
    }
}

/// Why this amount cannot go back, if so.
pub(super) fn does_not_fit(payment: &Payment, amount: Money) -> Option<String> {
    if payment.dispute == Some(Dispute::Open) {
        let why = "the customer's bank decides about the money; pay back once the dispute is over";
        return Some(why.to_owned());
    }
    let held = payment.held();
    if amount.currency != held.currency {
        return Some(format!("the order was paid in {}, not in {}", held.currency, amount.currency));
    }
    let fits = (1..=held.minor).contains(&amount.minor);
    (!fits).then(|| format!("{held} of this order is left, so 1 to {} minor units can go back", held.minor))
}

/// What a person wants paid back.
pub(super) struct Refund<'a> {
    pub(super) amount: Money,
    pub(super) actor: &'a str,
    pub(super) reason: &'a str,
}

/// Has the gateway asked for it. The key, which it returns, is the request's own id, so it is stored with the request or not at all.
pub(super) async fn ask_back(
    unit: &mut dyn UnitOfWork,
    context: &Context,
    mut payment: Payment,
    refund: &Refund<'_>,
) -> Result<String, Fault> {
    let Refund { amount, actor, reason } = *refund;
    let (now, order_id) = (context.clock.now(), payment.order_id);
    let id = MessageId(context.ids.next(now));
    let refund_key = format!("refund-{id}");
    payment.notes.refund_asked(&refund_key, amount.minor);
    unit.payments().update(std::slice::from_ref(&payment), now).await?;
    let request = PaymentRefundRequested {
        order_id: order_id.0,
        idempotency_key: payment.key,
        part: Some(RefundPart { key: refund_key.clone(), minor: amount.minor, reason: reason.to_owned() }),
    };
    let told = format!("{amount} asked back by {actor}: {reason} ({refund_key})");
    let entry = HistoryEntry::without_step(order_id, now, "RefundRequested", told);
    unit.history().append(&[entry]).await?;
    let entry = AuditEntry {
        at: now,
        actor: actor.to_owned(),
        action: "orders refund".to_owned(),
        subject: order_id.to_string(),
        note: format!("{amount}: {reason}"),
    };
    unit.audit().record(&[entry]).await?;
    let request = request.first(id, correlation(order_id), now);
    unit.publish(vec![about_order(request, order_id)]).await?;
    await_refund(unit, context, order_id).await?;
    Ok(refund_key)
}
