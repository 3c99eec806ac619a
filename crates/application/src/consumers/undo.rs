//! What compensation steps have in common: an unanswered call is retried, and when the retries are used up a person
//! is asked. A provider that is away uses up no retry.

use bus::{Envelope, Work};
use domain::OrderId;
use jiff::Timestamp;

use super::again::ask_again;
use crate::pipeline::Context;
use crate::ports::Unanswered;
use crate::saga::{EventKind, Facts, Happening, SagaEvent};

/// The event of a step without retries left; none while it has some.
pub(super) fn undo_failed<'a>(
    order_id: OrderId,
    cause: &'a Envelope,
    unanswered: &Unanswered,
    context: &Context,
) -> Option<Happening<'a>> {
    is_used_up(cause.attempt, unanswered, context)
        .then(|| for_a_person(order_id, cause, unanswered.to_string(), context))
}

/// The event of a step that only a person can end.
pub(super) fn for_a_person<'a>(
    order_id: OrderId,
    cause: &'a Envelope,
    why: String,
    context: &Context,
) -> Happening<'a> {
    Happening {
        order_id,
        event: SagaEvent::of(EventKind::UndoFailed).within(context.settings.limits),
        cause,
        facts: Facts { detail: Some(why), ..Facts::default() },
    }
}

/// Redelivers the work while it has retries left.
pub(super) fn give_up_or_retry<M, A>(
    work: &mut Work<M, A>,
    unanswered: &Unanswered,
    context: &Context,
    now: Timestamp,
) {
    if !is_used_up(work.envelope().attempt, unanswered, context) {
        ask_again(work, unanswered, &context.settings.undo_retry, context, now);
    }
}

/// Whether no try is left.
pub(super) fn is_used_up(attempt: u32, unanswered: &Unanswered, context: &Context) -> bool {
    unanswered.was_let_through() && attempt >= context.settings.undo_retry.retries_max
}
