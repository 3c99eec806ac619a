//! An event of an order as if its message had come, with what belongs to it: reserved stock, money taken.

use application::commands::Command;
use application::messages::correlation;
use application::pipeline::Context;
use application::ports::{ReservationOutcome, StockDemand, UnitOfWork};
use application::saga::{EventKind, Facts, Happening, SagaEvent, carry_out};
use async_trait::async_trait;
use bus::{Envelope, Fault, MessageId};
use bytes::Bytes;
use domain::OrderId;
use jiff::Timestamp;

/// Lets this happen to an order.
#[derive(Clone, Copy, Debug)]
pub struct Happen {
    /// The order.
    pub order_id: OrderId,
    /// What happens.
    pub kind: EventKind,
}

#[async_trait]
impl Command for Happen {
    type Reply = ();

    const NAME: &'static str = "Happen";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<(), Fault> {
        let now: Timestamp = context.clock.now();
        if self.kind == EventKind::InventoryReserved {
            let demand = unit.orders().get_demand(&[self.order_id]).await?;
            let outcomes: Vec<ReservationOutcome> =
                unit.inventory().reserve_stock(&demand as &[StockDemand], now).await?;
            assert!(outcomes.iter().all(|outcome| *outcome == ReservationOutcome::Reserved), "{outcomes:?}");
        }
        if self.kind == EventKind::PaymentCaptured {
            let mut payments = unit.payments().get(&[self.order_id]).await?;
            for payment in &mut payments {
                assert!(payment.capture(payment.amount, "ch_1").expect("it was asked for").is_applied());
            }
            unit.payments().update(&payments, now).await?;
        }
        let id = MessageId(context.ids.next(now));
        let cause = Envelope::first(id, correlation(self.order_id), Self::NAME, Bytes::new(), now);
        let event = SagaEvent::of(self.kind);
        let happening = Happening { order_id: self.order_id, event, cause: &cause, facts: Facts::default() };
        carry_out(unit, &[happening], now).await.map(|_| ())
    }
}
