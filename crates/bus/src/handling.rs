//! How a consumer gets its messages, whether from a queue or in the unit that published them: decoded, handled as a part of
//! a batch, settled in the same unit. Begins and commits nothing.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;

use crate::consumer::Work;
use crate::{Clock, Consumer, CorrelationId, Delivery, Disposition, Fault, Message, Settlement, Unit};

/// The work of a consumer.
pub(crate) type WorkOf<C, U> = Work<<C as Consumer<U>>::Message, <C as Consumer<U>>::Answer>;

/// A message that cannot be handled, and why.
pub(crate) type Spoilt = (Delivery, Fault);

/// Decodes a message and performs its effect. A panic in either counts against this message alone.
pub(crate) async fn prepare<C, U>(consumer: Arc<C>, delivery: Delivery) -> Result<WorkOf<C, U>, Spoilt>
where
    C: Consumer<U>,
    U: Unit + ?Sized,
{
    let envelope = Arc::clone(&delivery.envelope);
    let preparing = async {
        let message = C::Message::decode(&envelope.kind, &envelope.body)?;
        let answer = consumer.perform(&message, &envelope).await?;
        Ok((message, answer))
    };
    let prepared = AssertUnwindSafe(preparing).catch_unwind().await;
    match prepared.unwrap_or_else(|panic| Err(Fault::panicked("consumer.perform", panic.as_ref()))) {
        Ok((message, answer)) => Ok(Work::new(delivery, message, answer)),
        Err(fault) => Err((delivery, fault)),
    }
}

/// Without effects nothing should wait; a consumer that waits all the same would hold up its whole queue.
pub(crate) fn prepare_at_once<C, U>(consumer: &Arc<C>, delivery: Delivery) -> Result<WorkOf<C, U>, Spoilt>
where
    C: Consumer<U>,
    U: Unit + ?Sized,
{
    prepare(Arc::clone(consumer), delivery.clone()).now_or_never().unwrap_or_else(|| {
        let text = "it waits, but the consumer declares no effects";
        Err((delivery, Fault::give_up("consumer.perform", text)))
    })
}

/// Lets the consumer decide about a part and settles it, except for messages that were overtaken.
pub(crate) async fn handle<C, U>(
    consumer: &C,
    unit: &mut U,
    part: &mut [WorkOf<C, U>],
    clock: &dyn Clock,
) -> Result<(), Fault>
where
    C: Consumer<U>,
    U: Unit + ?Sized,
{
    part.iter_mut().for_each(Work::reset);
    let handling = async { consumer.handle(unit, part).await };
    let handled = AssertUnwindSafe(handling).catch_unwind().await;
    handled.unwrap_or_else(|panic| Err(Fault::panicked("consumer.handle", panic.as_ref())))?;
    let at = clock.now();
    let settle = |work: &WorkOf<C, U>| Settlement {
        delivery: work.delivery().clone(),
        disposition: work.disposition().clone(),
        at,
    };
    let done = done_correlations(part);
    let settled = part.iter().filter(|work| !is_overtaken(work, &done));
    unit.settle(settled.map(settle).collect()).await
}

/// Work of one kind.
type Part<M, A> = Vec<Work<M, A>>;

/// Splits overtaken messages from the others.
pub(crate) fn split_overtaken<M, A>(part: Part<M, A>) -> (Part<M, A>, Part<M, A>) {
    let done = done_correlations(&part);
    part.into_iter().partition(|work| is_overtaken(work, &done))
}

/// Correlations with a finished message in this part; needed only if another message of the part came too early.
fn done_correlations<M, A>(part: &[Work<M, A>]) -> HashSet<CorrelationId> {
    let is_parked = |work: &Work<M, A>| matches!(work.disposition(), Disposition::Park { .. });
    if !part.iter().any(is_parked) {
        return HashSet::new();
    }
    let done = part.iter().filter(|work| *work.disposition() == Disposition::Done);
    done.map(|work| work.envelope().correlation_id).collect()
}

/// If the same batch handles what an early message waits for, the message would be parked after its release and miss
/// it. So it is not settled with that batch but handled again right after it.
fn is_overtaken<M, A>(work: &Work<M, A>, done: &HashSet<CorrelationId>) -> bool {
    matches!(work.disposition(), Disposition::Park { .. }) && done.contains(&work.envelope().correlation_id)
}
