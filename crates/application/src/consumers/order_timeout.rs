//! Passes fired timers to the saga.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bus::{Consumer, Fault, Retired, SagaRepository, Work};
use domain::OrderId;

use super::standing::{self, UNKNOWN_ORDER};
use crate::context::Context;
use crate::messages::{OrderTimeoutEvent, correlation};
use crate::ports::AnyUnit;
use crate::refund_timer::{REFUND, ask_again};
use crate::saga::{EventKind, Facts, Happening, OrderProcessingSaga, SagaEvent, carry_out, timers};

/// Consumes [`OrderTimeoutEvent`].
pub struct OrderTimeoutConsumer {
    context: Arc<Context>,
}

impl OrderTimeoutConsumer {
    /// A consumer in this context.
    #[must_use]
    pub const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

/// The event for a timer of this name. A name that is no longer used means nothing.
fn meaning(timer: &str) -> Option<EventKind> {
    match timer {
        timers::ORDER => Some(EventKind::OrderTimedOut),
        timers::PAYMENT => Some(EventKind::PaymentTimedOut),
        timers::SHIPPING => Some(EventKind::ShippingTimedOut),
        timers::DELIVERY_POLL => Some(EventKind::DeliveryPollDue),
        timers::CAPTURE => Some(EventKind::CaptureTimedOut),
        timers::AUTHORISATION => Some(EventKind::AuthorisationEnding),
        timers::UNDO => Some(EventKind::UndoTimedOut),
        timers::STOCK => Some(EventKind::StockTimedOut),
        _ => None,
    }
}

impl OrderTimeoutConsumer {
    fn happening<'a>(&self, work: &'a Work<OrderTimeoutEvent>) -> Option<Happening<'a>> {
        let fired = &work.message.0;
        let event = SagaEvent::of(meaning(&fired.name)?).within(self.context.settings.limits);
        Some(Happening {
            order_id: OrderId(fired.saga),
            event,
            cause: work.envelope(),
            facts: Facts { detail: Some(format!("timer '{}' fired", fired.name)), ..Facts::default() },
        })
    }
}

#[async_trait]
impl Consumer<AnyUnit> for OrderTimeoutConsumer {
    const QUEUE: &'static str = "order-timeouts";
    type Message = OrderTimeoutEvent;

    async fn handle(&self, unit: &mut AnyUnit, batch: &mut [Work<OrderTimeoutEvent>]) -> Result<(), Fault> {
        // Each saga is the lock of its order's timers, so it comes first.
        let ids: Vec<_> = batch.iter().map(|work| correlation(OrderId(work.message.0.saga))).collect();
        let sagas: Vec<OrderProcessingSaga> = SagaRepository::load_sagas(unit, &ids).await?;
        let known: BTreeSet<OrderId> = sagas.iter().map(|saga| saga.order_id).collect();
        // These firings count as handled, whatever the saga made of them; one whose message is lost fires again. A timer that was
        // cancelled or set anew since it fired means nothing any more.
        let firings = batch.iter().map(|work| work.message.0.retired()).collect();
        let mut running: BTreeSet<Retired> = unit.retire_timers(firings).await?.into_iter().collect();
        // Each once, however often its message came.
        let works = batch.iter().filter(|work| running.remove(&work.message.0.retired()));
        let (refunds, of_sagas): (Vec<_>, Vec<_>) = works.partition(|work| work.message.0.name == REFUND);
        let happenings: Vec<_> = of_sagas.into_iter().filter_map(|work| self.happening(work)).collect();
        carry_out(unit, &happenings, self.context.clock.now()).await?;
        let fired: Vec<_> =
            refunds.iter().map(|work| (OrderId(work.message.0.saga), work.envelope())).collect();
        ask_again(unit, &self.context, &fired, &sagas, standing::is_paying_back).await?;
        drop((happenings, fired, refunds));
        for work in batch.iter_mut().filter(|work| !known.contains(&OrderId(work.message.0.saga))) {
            work.dead_letter(UNKNOWN_ORDER);
        }
        Ok(())
    }
}
