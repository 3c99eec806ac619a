//! Lets an order's saga react to what a person wants, as it does to a message.

use bus::{Envelope, Fault, MessageId, Step};
use bytes::Bytes;
use domain::OrderId;

use crate::context::Context;
use crate::messages::correlation;
use crate::ports::UnitOfWork;
use crate::saga::{Facts, Happening, OrderProcessingSaga, SagaEvent, carry_out};

/// The step that the saga took. `wish` names what was wanted, as the kind of a message would.
pub(super) async fn tell_saga(
    unit: &mut dyn UnitOfWork,
    context: &Context,
    order_id: OrderId,
    wish: &'static str,
    (event, facts): (SagaEvent, Facts),
) -> Result<Step<OrderProcessingSaga>, Fault> {
    let now = context.clock.now();
    let id = MessageId(context.ids.next(now));
    let cause = Envelope::first(id, correlation(order_id), wish, Bytes::new(), now);
    let event = event.within(context.settings.limits);
    let happening = Happening { order_id, event, cause: &cause, facts };
    let mut steps = carry_out(unit, &[happening], now).await?;
    Ok(steps.pop().expect("one step per happening"))
}
