//! Checks whether this store really asked for what a message requests, before any effect. A first attempt from our
//! own store is trusted: one of our units wrote it. A message that came over a broker, or was put back, may have been
//! written by another program. One read covers all messages that were received together, in a unit that is dropped
//! before the first effect begins.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use crate::handling::{Receiver, Spoilt, WorkOf, prepare};
use crate::retry::Backoff;
use crate::{Delivery, Disposition, Fault, IdSource, Message, Origin, Stop, Store, Unit, Verdict, Vetted};

/// Why a message is not handed to its consumer.
pub(crate) enum Unhandled {
    /// It cannot be handled.
    Spoilt(Spoilt),
    /// It is settled without the consumer.
    Decided(Delivery, Disposition),
}

/// Whether another program may have written it.
pub(crate) fn may_be_foreign(delivery: &Delivery) -> bool {
    match delivery.receipt.origin {
        Origin::Broker(_) => true,
        Origin::Store(_) | Origin::Unit => delivery.envelope.attempt > 0,
    }
}

/// The verdicts on the messages of a batch.
pub(crate) type Vetting = Shared<BoxFuture<'static, Arc<Vec<Judged>>>>;

/// The verdict on one message.
pub(crate) enum Judged {
    Said(Vetted),
    Unknown(Verdict, String),
}

/// Asks about all of these at once, and again while the store is away.
pub(crate) fn vetting<C, U>(
    consumer: Arc<C>,
    store: Arc<dyn Store<U>>,
    ids: Arc<dyn IdSource>,
    deliveries: &[Delivery],
    stop: Stop,
) -> Vetting
where
    C: Receiver<U>,
    U: Unit + ?Sized + 'static,
{
    // An unreadable message is not carried out either; `prepare` reports it.
    let readable = |delivery: &Delivery| {
        let decoding = || C::Message::decode(&delivery.envelope.kind, &delivery.envelope.body);
        catch_unwind(AssertUnwindSafe(decoding)).ok()?.ok()
    };
    let messages: Vec<Option<C::Message>> = deliveries.iter().map(readable).collect();
    async move {
        let asker = Asker { consumer, store, ids, stop };
        let readable: Vec<&C::Message> = messages.iter().flatten().collect();
        let mut judged = asker.judge_all(&readable).await.into_iter();
        let said = |message: &Option<C::Message>| match message {
            Some(_) => judged.next().unwrap_or(Judged::Said(Vetted::Past)),
            None => Judged::Said(Vetted::Wanted),
        };
        Arc::new(messages.iter().map(said).collect::<Vec<_>>())
    }
    .boxed()
    .shared()
}

struct Asker<C, U: ?Sized> {
    consumer: Arc<C>,
    store: Arc<dyn Store<U>>,
    ids: Arc<dyn IdSource>,
    stop: Stop,
}

impl<C, U> Asker<C, U>
where
    C: Receiver<U>,
    U: Unit + ?Sized + 'static,
{
    /// All together; one by one if a message makes that fail.
    async fn judge_all(&self, messages: &[&C::Message]) -> Vec<Judged> {
        match self.judge(messages).await {
            Ok(said) => said.into_iter().map(Judged::Said).collect(),
            Err(fault) if messages.len() <= 1 => {
                messages.iter().map(|_| Judged::Unknown(fault.verdict, fault.to_string())).collect()
            }
            Err(_) => {
                let mut judged = Vec::with_capacity(messages.len());
                for message in messages {
                    judged.push(match self.judge(&[message]).await {
                        Ok(mut said) => Judged::Said(said.pop().unwrap_or(Vetted::Past)),
                        Err(fault) => Judged::Unknown(fault.verdict, fault.to_string()),
                    });
                }
                judged
            }
        }
    }

    async fn judge(&self, messages: &[&C::Message]) -> Result<Vec<Vetted>, Fault> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let mut backoff = Backoff::default();
        loop {
            match self.ask(messages).await {
                Err(fault)
                    if matches!(fault.verdict, Verdict::Retry | Verdict::Conflict)
                        && !self.stop.is_stopped() =>
                {
                    tracing::warn!(queue = self.consumer.queue(), %fault, "store is away");
                    backoff.wait(self.ids.as_ref(), &self.stop).await;
                }
                asked => return asked,
            }
        }
    }

    async fn ask(&self, messages: &[&C::Message]) -> Result<Vec<Vetted>, Fault> {
        let mut unit = self.store.begin().await?;
        let asking = AssertUnwindSafe(self.consumer.vet(unit.as_mut(), messages)).catch_unwind();
        asking.await.unwrap_or_else(|panic| Err(Fault::panicked("consumer.vet", panic.as_ref())))
    }
}

/// Performs the effect of a message, if it is wanted.
pub(crate) async fn prepare_vetted<C, U>(
    consumer: Arc<C>,
    delivery: Delivery,
    vetting: Vetting,
    place: usize,
) -> Result<WorkOf<C, U>, Unhandled>
where
    C: Receiver<U>,
    U: Unit + ?Sized,
{
    let judged = vetting.await;
    let decided = match judged.get(place) {
        Some(Judged::Said(Vetted::Wanted)) => {
            return prepare(consumer, delivery).await.map_err(Unhandled::Spoilt);
        }
        Some(Judged::Unknown(verdict, text)) => {
            let fault = Fault::new("consumer.vet", *verdict, text.clone());
            return Err(Unhandled::Spoilt(Spoilt { delivery, fault, is_unreadable: false }));
        }
        Some(Judged::Said(Vetted::Past)) | None => Disposition::Done,
        Some(Judged::Said(Vetted::Foreign(reason))) => {
            let (message_id, correlation_id) = (delivery.envelope.id, delivery.envelope.correlation_id);
            tracing::error!(queue = consumer.queue(), %message_id, %correlation_id, reason, "message is not ours to carry out; it goes to the dead letters");
            Disposition::DeadLetter { reason: reason.clone() }
        }
    };
    Err(Unhandled::Decided(delivery, decided))
}
