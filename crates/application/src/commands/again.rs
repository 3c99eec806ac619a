//! When a provider is called again. A call that was let through counts as an attempt, whatever its result. One that
//! was not is repeated as long as its answer is wanted.

use std::time::Duration;

use bus::{Disposition, Envelope, Patience, RetryPolicy};
use jiff::Timestamp;

use crate::context::Context;
use crate::ports::Unanswered;

/// Redelivers the message: after the retries' next pause, then every `look_up_interval`. A call that did nothing is
/// postponed and not counted.
pub(super) fn ask_again(
    cause: &Envelope,
    unanswered: &Unanswered,
    retry: &RetryPolicy,
    context: &Context,
    now: Timestamp,
) -> Disposition {
    if unanswered.was_let_through() {
        let attempt = cause.attempt.saturating_add(1);
        let pause = retry.pause(attempt, None, context.ids.as_ref());
        let pause = pause.unwrap_or(context.settings.look_up_interval);
        Disposition::redeliver(now, pause, unanswered.to_string())
    } else {
        wait(cause, unanswered, context.settings.away, context, now)
    }
}

/// Schedules the next look-up. A look-up does nothing at the provider, so it is not counted.
pub(super) fn look_up_again(
    cause: &Envelope,
    unanswered: &Unanswered,
    context: &Context,
    now: Timestamp,
) -> Disposition {
    let settings = &context.settings;
    let patience = if unanswered.was_let_through() {
        Patience { first: settings.call_retry.first, longest: settings.look_up_interval }
    } else {
        settings.away
    };
    wait(cause, unanswered, patience, context, now)
}

/// Whether an unanswered call gets a timeline entry: always if it was let through; otherwise less and less often, or
/// an outage of a day would fill every timeline.
pub(super) fn is_worth_telling(
    cause: &Envelope,
    unanswered: &Unanswered,
    context: &Context,
    now: Timestamp,
) -> bool {
    let waited = waited(cause, now);
    let before = waited.saturating_sub(context.settings.away.longest);
    unanswered.was_let_through() || waited.as_secs().checked_ilog2() != before.as_secs().checked_ilog2()
}

fn waited(cause: &Envelope, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(cause.sent_at)).unwrap_or_default()
}

fn wait(
    cause: &Envelope,
    unanswered: &Unanswered,
    patience: Patience,
    context: &Context,
    now: Timestamp,
) -> Disposition {
    let pause = patience.pause(waited(cause, now), unanswered.retry_after(), context.ids.as_ref());
    Disposition::postpone(now, pause, unanswered.to_string())
}
