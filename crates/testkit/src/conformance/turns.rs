//! What the sweeps let die: two consumers, one after the other, that write everything that an order has, and wait between any two
//! writes. A message that comes again finds its work done.

use std::sync::Arc;

use application::ports::{AnyUnit, UnitOfWork};
use application::saga::SagaState;
use async_trait::async_trait;
use bus::{Consumer, Envelope, Fault, Message, Work};
use bytes::Bytes;
use domain::{Order, OrderId, OrderStatus};
use tokio::sync::watch;
use tokio::task::yield_now;

use super::stage::*;

/// An order's turn in a queue; the order is the correlation.
pub(super) struct Turn;

impl Message for Turn {
    const KINDS: &'static [&'static str] = &["K", "L"];

    fn kind(&self) -> &'static str {
        "K"
    }

    fn encode(&self) -> Bytes {
        Bytes::from_static(b"{}")
    }

    fn decode(_kind: &str, _body: &[u8]) -> Result<Self, Fault> {
        Ok(Self)
    }
}

/// Counts what was handled, so that somebody can see whether anything still comes.
pub(super) type Handled = Arc<watch::Sender<u64>>;

/// Sets stock aside, moves the saga on, and passes the order to the next queue.
pub(super) struct Reserving(pub(super) Handled);

/// Moves the order on.
pub(super) struct Validating(pub(super) Handled);

#[async_trait]
impl Consumer<AnyUnit> for Reserving {
    const QUEUE: &'static str = "q";
    type Message = Turn;

    async fn handle(&self, unit: &mut AnyUnit, batch: &mut [Work<Turn>]) -> Result<(), Fault> {
        for work in batch {
            self.0.send_modify(|count| *count += 1);
            let envelope = work.envelope();
            let mut sagas = unit.load_sagas(&[envelope.correlation_id]).await?;
            let Some(saga) = sagas.iter_mut().find(|saga| saga.state == SagaState::Created) else { continue };
            let order = placed(unit, saga.order_id).await?;
            yield_now().await;
            unit.inventory().reserve_stock(&[demand(&order)], NOW).await?;
            yield_now().await;
            saga.state = SagaState::InventoryReserved;
            unit.update_sagas(&sagas, NOW).await?;
            unit.history().append(&[entry(&order, "Reserved")]).await?;
            yield_now().await;
            let (kind, correlation) = ("L", envelope.correlation_id);
            let next = Envelope::first(
                envelope.id.child(kind, 1),
                correlation,
                kind,
                Bytes::from_static(b"{}"),
                NOW,
            );
            unit.publish(vec![next]).await?;
            yield_now().await;
        }
        Ok(())
    }
}

#[async_trait]
impl Consumer<AnyUnit> for Validating {
    const QUEUE: &'static str = "other";
    type Message = Turn;

    async fn handle(&self, unit: &mut AnyUnit, batch: &mut [Work<Turn>]) -> Result<(), Fault> {
        for work in batch {
            self.0.send_modify(|count| *count += 1);
            let order = placed(unit, OrderId(work.envelope().correlation_id.0)).await?;
            if order.status() == OrderStatus::Pending {
                unit.orders().update(&[step(&order, OrderStatus::Pending, OrderStatus::Validated)]).await?;
                yield_now().await;
                unit.history().append(&[entry(&order, "Validated")]).await?;
                yield_now().await;
            }
        }
        Ok(())
    }
}

async fn placed(unit: &mut dyn UnitOfWork, id: OrderId) -> Result<Order, Fault> {
    let found = unit.orders().get_by_id(id).await?;
    found.ok_or_else(|| Fault::give_up("orders.get", "the order is not there"))
}
