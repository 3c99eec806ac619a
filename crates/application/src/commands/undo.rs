//! What compensation steps have in common: an unanswered call is retried, and when the retries are used up a person
//! is asked. A provider that is away uses up no retry.

use bus::{Disposition, Envelope};
use domain::OrderId;
use jiff::Timestamp;

use super::again::ask_again;
use super::provider_call::happening;
use crate::context::Context;
use crate::ports::Unanswered;
use crate::saga::{EventKind, Happening};

/// The event of a step without retries left; none while it has some.
pub(crate) fn undo_failed<'a>(
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
    happening(order_id, EventKind::UndoFailed, cause, why, context)
}

/// Redelivers the message of an unanswered step while it has retries left.
pub(crate) fn give_up_or_retry(
    cause: &Envelope,
    unanswered: &Unanswered,
    context: &Context,
    now: Timestamp,
) -> Disposition {
    if is_used_up(cause.attempt, unanswered, context) {
        Disposition::Done
    } else {
        ask_again(cause, unanswered, &context.settings.undo_retry, context, now)
    }
}

/// Whether no try is left.
pub(super) fn is_used_up(attempt: u32, unanswered: &Unanswered, context: &Context) -> bool {
    unanswered.was_let_through() && attempt >= context.settings.undo_retry.retries_max
}
