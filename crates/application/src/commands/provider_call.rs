//! What use cases share that call a provider: the answer with the message that asked for it, its entry in the timeline,
//! the event for the saga, and what becomes of the message. A call is made outside any transaction; its answer is
//! handled inside one.

use std::collections::BTreeSet;

use bus::{Disposition, Envelope, Fault, SagaRepository, Work};
use domain::OrderId;
use jiff::Timestamp;

use super::again::{ask_again, is_worth_telling, look_up_again};
use crate::context::Context;
use crate::messages::correlation;
use crate::ports::{HistoryEntry, Unanswered, UnitOfWork};
use crate::saga::{EventKind, Facts, Happening, OrderProcessingSaga, SagaEvent};

/// The answer to one command, and the message that the command came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a, A> {
    /// The answer.
    pub(crate) answer: &'a A,
    /// The message.
    pub(crate) cause: &'a Envelope,
}

/// The calls of a batch.
pub(crate) fn calls<M, A>(batch: &[Work<M, A>]) -> Vec<Call<'_, A>> {
    batch.iter().map(|work| Call { answer: &work.answer, cause: work.envelope() }).collect()
}

/// Does to each message of the batch what its use case decided.
pub(crate) fn dispose<M, A>(batch: &mut [Work<M, A>], decided: Vec<Disposition>) {
    for (work, disposition) in batch.iter_mut().zip(decided) {
        work.dispose(disposition);
    }
}

/// Which call was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The one that does something, by this name.
    ToDo(&'static str),
    /// A look-up.
    LookUp,
    /// None: there is nothing to do.
    Nothing,
}

impl Asked {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ToDo(name) => name,
            Self::LookUp => "look_up",
            Self::Nothing => "nothing",
        }
    }
}

/// The answer to a call that is looked up while its outcome is unknown.
pub(crate) trait Answered {
    /// The order.
    fn order_id(&self) -> OrderId;
    /// The attempt, from 0.
    fn attempt(&self) -> u32;
    /// Which call was made.
    fn asked(&self) -> Asked;
    /// Why there is no answer, if there is none.
    fn unanswered(&self) -> Option<&Unanswered>;
    /// What the provider said, in words.
    fn said(&self) -> String;

    /// Whether the provider may have acted on the call.
    fn was_let_through(&self) -> bool {
        self.unanswered().is_none_or(Unanswered::was_let_through)
    }

    /// The call and its answer, in words.
    fn in_words(&self) -> String {
        let attempt = self.attempt().saturating_add(1);
        format!("{} (attempt {attempt}): {}", self.asked().as_str(), self.said())
    }
}

impl<'a, A: Answered> Call<'a, A> {
    /// This event of the order, told in the words of the answer.
    pub(super) fn means(&self, kind: EventKind, context: &Context) -> Happening<'a> {
        happening(self.answer.order_id(), kind, self.cause, self.answer.in_words(), context)
    }

    /// Its entry in the timeline.
    pub(super) fn entry(&self, event: &'static str, at: Timestamp) -> HistoryEntry {
        HistoryEntry::without_step(self.answer.order_id(), at, event, self.answer.in_words())
    }

    /// Whether it has no answer and that is worth an entry in the timeline.
    pub(super) fn is_silence_worth_telling(&self, context: &Context, now: Timestamp) -> bool {
        let unanswered = self.answer.unanswered();
        unanswered.is_some_and(|unanswered| is_worth_telling(self.cause, unanswered, context, now))
    }

    /// Whether it has an answer, or none and that is worth an entry in the timeline.
    pub(super) fn is_news(&self, context: &Context, now: Timestamp) -> bool {
        self.answer.unanswered().is_none() || self.is_silence_worth_telling(context, now)
    }

    fn again(&self, context: &Context, now: Timestamp) -> Disposition {
        match (self.answer.unanswered(), self.answer.asked()) {
            (None, _) => Disposition::Done,
            (Some(unanswered), Asked::LookUp) => look_up_again(self.cause, unanswered, context, now),
            (Some(unanswered), Asked::ToDo(_) | Asked::Nothing) => {
                ask_again(self.cause, unanswered, &context.settings.call_retry, context, now)
            }
        }
    }
}

/// An event of an order that a provider's answer brings about.
pub(crate) fn happening<'a>(
    order_id: OrderId,
    kind: EventKind,
    cause: &'a Envelope,
    detail: String,
    context: &Context,
) -> Happening<'a> {
    Happening {
        order_id,
        event: SagaEvent::of(kind).within(context.settings.limits),
        cause,
        facts: Facts { detail: Some(detail), ..Facts::default() },
    }
}

/// What becomes of each message: a call without an answer is made again as long as its order waits for one.
///
/// # Errors
/// Those of the store.
pub(super) async fn again_while<A: Answered + Sync>(
    waits: fn(&OrderProcessingSaga) -> bool,
    unit: &mut dyn UnitOfWork,
    calls: &[Call<'_, A>],
    context: &Context,
    now: Timestamp,
) -> Result<Vec<Disposition>, Fault> {
    let open = calls.iter().filter(|call| call.answer.unanswered().is_some());
    let ids: Vec<_> = open.map(|call| correlation(call.answer.order_id())).collect();
    if ids.is_empty() {
        return Ok(vec![Disposition::Done; calls.len()]);
    }
    let sagas: Vec<OrderProcessingSaga> = SagaRepository::load_sagas(unit, &ids).await?;
    let waiting: BTreeSet<OrderId> =
        sagas.iter().filter(|saga| waits(saga)).map(|saga| saga.order_id).collect();
    let next = |call: &Call<'_, A>| {
        if waiting.contains(&call.answer.order_id()) { call.again(context, now) } else { Disposition::Done }
    };
    Ok(calls.iter().map(next).collect())
}
