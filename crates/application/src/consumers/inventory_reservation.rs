//! Reserves stock for a whole batch of orders: each product is locked once, allocated in memory and written once.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bus::{Consumer, Envelope, Fault, Work};
use domain::OrderId;

use super::standing::UNKNOWN_ORDER;
use crate::commands::{ReservationVerdict, ReserveInventoryCommand, reserve_inventory};
use crate::context::Context;
use crate::messages::{
    InventoryReservationFailed, InventoryReservationRequested, InventoryReserved, about_order,
};
use crate::ports::AnyUnit;
use crate::saga::{EventKind, Facts, Happening, SagaEvent, carry_out};
use bus::Message;

/// Consumes [`InventoryReservationRequested`].
pub struct InventoryReservationConsumer {
    context: Arc<Context>,
}

impl InventoryReservationConsumer {
    /// A consumer in this context.
    #[must_use]
    pub const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    fn happening<'a>(
        &self,
        work: &'a Work<InventoryReservationRequested>,
        verdict: &ReservationVerdict,
        tokens: &BTreeMap<OrderId, String>,
    ) -> Option<Happening<'a>> {
        let (kind, detail) = match verdict {
            ReservationVerdict::NotWanted | ReservationVerdict::Unknown => return None,
            ReservationVerdict::Reserved => (EventKind::InventoryReserved, None),
            ReservationVerdict::Short(why) => (EventKind::InventoryShort, Some(why.clone())),
        };
        let order_id = OrderId(work.message.order_id);
        let payment_token = tokens.get(&order_id).cloned();
        Some(Happening {
            order_id,
            event: SagaEvent::of(kind).within(self.context.settings.limits),
            cause: work.envelope(),
            facts: Facts { payment_token, detail, ..Facts::default() },
        })
    }
}

#[async_trait]
impl Consumer<AnyUnit> for InventoryReservationConsumer {
    const QUEUE: &'static str = "inventory-reservation";
    type Message = InventoryReservationRequested;

    async fn handle(
        &self,
        unit: &mut AnyUnit,
        batch: &mut [Work<InventoryReservationRequested>],
    ) -> Result<(), Fault> {
        let now = self.context.clock.now();
        let commands: Vec<ReserveInventoryCommand> = batch
            .iter()
            .map(|work| ReserveInventoryCommand {
                order_id: OrderId(work.message.order_id),
                lines: work.message.lines.clone(),
            })
            .collect();
        let verdicts = reserve_inventory(unit, &commands, now).await?;
        let tokens = tokens(unit, batch, &verdicts).await?;
        let pairs = || batch.iter().zip(&verdicts);
        let happenings: Vec<_> =
            pairs().filter_map(|(work, verdict)| self.happening(work, verdict, &tokens)).collect();
        carry_out(unit, &happenings, now).await?;
        let replies =
            pairs().filter_map(|(work, verdict)| reply(work.envelope(), work.message.order_id, verdict, now));
        unit.publish(replies.collect()).await?;
        drop(happenings);
        for (work, verdict) in batch.iter_mut().zip(&verdicts) {
            if *verdict == ReservationVerdict::Unknown {
                work.dead_letter(UNKNOWN_ORDER);
            }
        }
        Ok(())
    }
}

/// How the customers pay whose orders have their stock now. The messages so far did not carry it, since others may read them; the order's
/// row has it, and an order that this unit accepts is known to it without a question.
async fn tokens(
    unit: &mut AnyUnit,
    batch: &[Work<InventoryReservationRequested>],
    verdicts: &[ReservationVerdict],
) -> Result<BTreeMap<OrderId, String>, Fault> {
    let reserved = batch.iter().zip(verdicts).filter(|(_, it)| **it == ReservationVerdict::Reserved);
    let ids: Vec<OrderId> = reserved.map(|(work, _)| OrderId(work.message.order_id)).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    Ok(unit.orders().payment_tokens(&ids).await?.into_iter().collect())
}

/// The facts for other services.
fn reply(
    cause: &Envelope,
    order_id: uuid::Uuid,
    verdict: &ReservationVerdict,
    now: jiff::Timestamp,
) -> Option<Envelope> {
    let envelope = match verdict {
        ReservationVerdict::NotWanted | ReservationVerdict::Unknown => return None,
        ReservationVerdict::Reserved => InventoryReserved { order_id }.caused_by(cause, u32::MAX, now),
        ReservationVerdict::Short(reason) => {
            InventoryReservationFailed { order_id, reason: reason.clone() }.caused_by(cause, u32::MAX, now)
        }
    };
    Some(about_order(envelope, OrderId(order_id)))
}
