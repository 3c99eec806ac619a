//! What undoings have in common: an unanswered one is tried again, and when its tries are used up a person is asked.

use bus::{Envelope, Work};
use domain::OrderId;
use jiff::Timestamp;

use crate::pipeline::Context;
use crate::ports::Unanswered;
use crate::saga::{EventKind, Facts, Happening, SagaEvent};

/// The event of an undoing that has no tries left; none while it has.
pub(super) fn undo_failed<'a>(
    order_id: OrderId,
    cause: &'a Envelope,
    unanswered: &Unanswered,
    context: &Context,
) -> Option<Happening<'a>> {
    let used_up = cause.attempt >= context.settings.undo_retry.retries_max;
    used_up.then(|| Happening {
        order_id,
        event: SagaEvent::of(EventKind::UndoFailed).within(context.settings.limits),
        cause,
        facts: Facts { detail: Some(unanswered.to_string()), ..Facts::default() },
    })
}

/// Delivers the work again while it has tries left.
pub(super) fn give_up_or_retry<M, A>(
    work: &mut Work<M, A>,
    unanswered: &Unanswered,
    context: &Context,
    now: Timestamp,
) {
    let attempt = work.envelope().attempt;
    let retry_after = unanswered.retry_after();
    if let Some(pause) = context.settings.undo_retry.pause(attempt + 1, retry_after, context.ids.as_ref()) {
        work.redeliver(now, pause, unanswered.to_string());
    }
}
