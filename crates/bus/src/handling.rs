//! How a consumer gets its messages, whether from a queue or in the unit that published them: decoded, handled as a part of
//! a batch, settled in the same unit. Begins and commits nothing.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;

use crate::consumer::Work;
use crate::{
    Clock, Consumer, CorrelationId, Delivery, Disposition, EffectConsumer, Envelope, Fault, Message,
    Settlement, Unit, Vetted,
};

/// A consumer as the loops see it, whatever its user has written: a trait or a function, with an effect or without.
#[async_trait]
pub(crate) trait Receiver<U: Unit + ?Sized>: Send + Sync + 'static {
    type Message: Message;
    type Answer: Send + Sync + 'static;

    fn queue(&self) -> &'static str;

    /// The answer if there is no effect; with an effect, [`Self::perform`] has to be called.
    fn without_effect(&self) -> Option<Self::Answer>;

    async fn vet(&self, _unit: &mut U, messages: &[&Self::Message]) -> Result<Vec<Vetted>, Fault> {
        Ok(vec![Vetted::Wanted; messages.len()])
    }

    async fn perform(&self, _message: &Self::Message, _envelope: &Envelope) -> Result<Self::Answer, Fault> {
        self.without_effect().ok_or_else(|| Fault::give_up("consumer.perform", "it performs nothing"))
    }

    async fn handle(
        &self,
        unit: &mut U,
        batch: &mut [Work<Self::Message, Self::Answer>],
    ) -> Result<(), Fault>;
}

/// A consumer without an effect.
pub(crate) struct Plain<C>(pub(crate) Arc<C>);

#[async_trait]
impl<U: Unit + ?Sized, C: Consumer<U>> Receiver<U> for Plain<C> {
    type Message = C::Message;
    type Answer = ();

    fn queue(&self) -> &'static str {
        C::QUEUE
    }

    fn without_effect(&self) -> Option<()> {
        Some(())
    }

    async fn handle(&self, unit: &mut U, batch: &mut [Work<C::Message>]) -> Result<(), Fault> {
        self.0.handle(unit, batch).await
    }
}

/// A consumer with an effect.
pub(crate) struct Effectful<C>(pub(crate) Arc<C>);

#[async_trait]
impl<U: Unit + ?Sized, C: EffectConsumer<U>> Receiver<U> for Effectful<C> {
    type Message = C::Message;
    type Answer = C::Answer;

    fn queue(&self) -> &'static str {
        C::QUEUE
    }

    fn without_effect(&self) -> Option<C::Answer> {
        None
    }

    async fn vet(&self, unit: &mut U, messages: &[&C::Message]) -> Result<Vec<Vetted>, Fault> {
        self.0.vet(unit, messages).await
    }

    async fn perform(&self, message: &C::Message, envelope: &Envelope) -> Result<C::Answer, Fault> {
        self.0.perform(message, envelope).await
    }

    async fn handle(&self, unit: &mut U, batch: &mut [Work<C::Message, C::Answer>]) -> Result<(), Fault> {
        self.0.handle(unit, batch).await
    }
}

/// The work of a consumer.
pub(crate) type WorkOf<C, U> = Work<<C as Receiver<U>>::Message, <C as Receiver<U>>::Answer>;

/// A message that cannot be handled, and why.
pub(crate) struct Spoilt {
    pub(crate) delivery: Delivery,
    pub(crate) fault: Fault,
    /// Whether its body could not even be read.
    pub(crate) is_unreadable: bool,
}

/// Decodes a message and performs its effect. A panic in either counts against this message alone.
pub(crate) async fn prepare<C, U>(consumer: Arc<C>, delivery: Delivery) -> Result<WorkOf<C, U>, Spoilt>
where
    C: Receiver<U>,
    U: Unit + ?Sized,
{
    let envelope = Arc::clone(&delivery.envelope);
    let message = match decoded::<C::Message>(&envelope) {
        Ok(message) => message,
        Err(fault) => return Err(Spoilt { delivery, fault, is_unreadable: true }),
    };
    let performed = AssertUnwindSafe(consumer.perform(&message, &envelope)).catch_unwind().await;
    match performed.unwrap_or_else(|panic| Err(Fault::panicked("consumer.perform", panic.as_ref()))) {
        Ok(answer) => Ok(Work::new(delivery, message, answer)),
        Err(fault) => Err(Spoilt { delivery, fault, is_unreadable: false }),
    }
}

/// Reads the body. A panic counts against this message alone.
fn decoded<M: Message>(envelope: &Envelope) -> Result<M, Fault> {
    let decoded = catch_unwind(AssertUnwindSafe(|| M::decode(&envelope.kind, &envelope.body)));
    decoded.unwrap_or_else(|panic| Err(Fault::panicked("message.decode", panic.as_ref())))
}

/// The same without an effect: `answer` stands for its answer.
pub(crate) fn prepare_at_once<M: Message, A>(delivery: Delivery, answer: A) -> Result<Work<M, A>, Spoilt> {
    match decoded::<M>(&delivery.envelope) {
        Ok(message) => Ok(Work::new(delivery, message, answer)),
        Err(fault) => Err(Spoilt { delivery, fault, is_unreadable: true }),
    }
}

/// Lets the consumer decide about a part and settles it, except for messages that were overtaken.
pub(crate) async fn handle<C, U>(
    consumer: &C,
    unit: &mut U,
    part: &mut [WorkOf<C, U>],
    clock: &dyn Clock,
) -> Result<(), Fault>
where
    C: Receiver<U>,
    U: Unit + ?Sized,
{
    let now = clock.now();
    part.iter_mut().for_each(|work| work.reset(now));
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
