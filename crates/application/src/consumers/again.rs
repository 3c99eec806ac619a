//! When a provider is called again. A call that was let through counts as an attempt, whatever its result. One that
//! was not is repeated as long as its answer is wanted.

use std::time::Duration;

use bus::{Patience, RetryPolicy, Work};
use jiff::Timestamp;

use crate::pipeline::Context;
use crate::ports::Unanswered;

/// Redelivers the work: after the retries' next pause, then every `look_up_interval`. A call that did nothing is
/// postponed and not counted.
pub(super) fn ask_again<M, A>(
    work: &mut Work<M, A>,
    unanswered: &Unanswered,
    retry: &RetryPolicy,
    context: &Context,
    now: Timestamp,
) {
    if unanswered.was_let_through() {
        let attempt = work.envelope().attempt.saturating_add(1);
        let pause = retry.pause(attempt, None, context.ids.as_ref());
        let pause = pause.unwrap_or(context.settings.look_up_interval);
        work.redeliver(now, pause, unanswered.to_string());
    } else {
        wait(work, unanswered, context.settings.away, context, now);
    }
}

/// Schedules the next look-up. A look-up does nothing at the provider, so it is not counted.
pub(super) fn look_up_again<M, A>(
    work: &mut Work<M, A>,
    unanswered: &Unanswered,
    context: &Context,
    now: Timestamp,
) {
    let settings = &context.settings;
    let patience = if unanswered.was_let_through() {
        Patience { first: settings.call_retry.first, longest: settings.look_up_interval }
    } else {
        settings.away
    };
    wait(work, unanswered, patience, context, now);
}

/// Whether an unanswered call gets a timeline entry: always if it was let through; otherwise less and less often, or
/// an outage of a day would fill every timeline.
pub(super) fn is_worth_telling<M, A>(
    work: &Work<M, A>,
    unanswered: &Unanswered,
    context: &Context,
    now: Timestamp,
) -> bool {
    let waited = waited(work, now);
    let before = waited.saturating_sub(context.settings.away.longest);
    unanswered.was_let_through() || waited.as_secs().checked_ilog2() != before.as_secs().checked_ilog2()
}

fn waited<M, A>(work: &Work<M, A>, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(work.envelope().sent_at)).unwrap_or_default()
}

fn wait<M, A>(
    work: &mut Work<M, A>,
    unanswered: &Unanswered,
    patience: Patience,
    context: &Context,
    now: Timestamp,
) {
    let pause = patience.pause(waited(work, now), unanswered.retry_after(), context.ids.as_ref());
    work.postpone(now, pause, unanswered.to_string());
}
