//! What persons asked to have paid back is asked for again until its answer is known: the request on its way counts for nothing. One
//! timer of the order does so, beside those of its saga.

use std::sync::Arc;

use bus::{Envelope, Fault, Message, Timer, TimerKey};
use domain::{OrderId, OrderStatus};
use jiff::SignedDuration;

use crate::context::Context;
use crate::messages::{OrderTimeoutEvent, PaymentRefundRequested, RefundPart, about_order, correlation};
use crate::ports::UnitOfWork;
use crate::saga::OrderProcessingSaga;

/// The timer's name.
pub(crate) const REFUND: &str = "refund";

/// What the timeline says of a repeated request.
const AGAIN: &str = "asked for again";

/// Has this order's refunds asked for again, unless their answers come before.
pub(crate) async fn await_refund(
    unit: &mut dyn UnitOfWork,
    context: &Context,
    order_id: OrderId,
) -> Result<(), Fault> {
    let now = context.clock.now();
    let after = SignedDuration::try_from(context.settings.limits.undo).unwrap_or(SignedDuration::MAX);
    let timer = Timer {
        key: key(order_id),
        // Each setting is later than the one before; a firing of that one means nothing any more.
        generation: u32::try_from(now.as_second().rem_euclid(i64::from(u32::MAX))).unwrap_or(u32::MAX),
        due_at: now.saturating_add(after).unwrap_or(jiff::Timestamp::MAX),
        kind: Arc::from(OrderTimeoutEvent::KIND),
        traceparent: None,
        fired: 0,
    };
    unit.set_timers(vec![timer]).await
}

/// These refunds have an answer, or are a person's: nobody asks for them again.
pub(crate) async fn settle(
    unit: &mut dyn UnitOfWork,
    context: &Context,
    settled: &[(OrderId, String)],
) -> Result<(), Fault> {
    if settled.is_empty() {
        return Ok(());
    }
    let ids: Vec<OrderId> = settled.iter().map(|(order_id, _)| *order_id).collect();
    let mut payments = unit.payments().get(&ids).await?;
    for payment in &mut payments {
        let keys = settled.iter().filter(|(order_id, _)| *order_id == payment.order_id);
        keys.for_each(|(_, key)| payment.notes.refund_settled(key));
    }
    unit.payments().update(&payments, context.clock.now()).await?;
    let done = payments.iter().filter(|payment| payment.notes.open_refunds().next().is_none());
    unit.cancel_timers(done.map(|payment| key(payment.order_id)).collect()).await
}

/// Asks again for what is open of these orders, whose timers have fired and whose sagas are locked. Of a cancelled order all has
/// gone back.
pub(crate) async fn ask_again(
    unit: &mut dyn UnitOfWork,
    context: &Context,
    fired: &[(OrderId, &Envelope)],
    sagas: &[OrderProcessingSaga],
    is_wanted: fn(&OrderProcessingSaga) -> bool,
) -> Result<(), Fault> {
    let now = context.clock.now();
    for &(order_id, cause) in fired {
        let Some(saga) = sagas.iter().find(|saga| saga.order_id == order_id) else { continue };
        let Some(mut payment) = unit.payments().get(&[order_id]).await?.pop() else { continue };
        let open: Vec<_> = payment.notes.open_refunds().cloned().collect();
        if saga.order == OrderStatus::Cancelled {
            open.iter().for_each(|asked| payment.notes.refund_settled(&asked.key));
            unit.payments().update(std::slice::from_ref(&payment), now).await?;
            continue;
        }
        if open.is_empty() {
            continue;
        }
        let wanted = open.into_iter().filter(|_| is_wanted(saga));
        let requests = (0..).zip(wanted).map(|(ordinal, asked)| {
            let part = RefundPart { key: asked.key, minor: asked.minor, reason: AGAIN.to_owned() };
            let idempotency_key = payment.key.clone();
            let request = PaymentRefundRequested { order_id: order_id.0, idempotency_key, part: Some(part) };
            about_order(request.caused_by(cause, ordinal, now), order_id)
        });
        let requests = requests.collect();
        unit.publish(requests).await?;
        await_refund(unit, context, order_id).await?;
    }
    Ok(())
}

fn key(order_id: OrderId) -> TimerKey {
    TimerKey { saga: correlation(order_id), name: Arc::from(REFUND) }
}
