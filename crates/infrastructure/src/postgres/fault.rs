//! Turns SQLSTATEs into verdicts. Never looks at the text of a message.

use application::saga::NewerSaga;
use bus::{Fault, Verdict};
use deadpool_postgres::PoolError;
use tokio_postgres::Error;

use super::column::Broken;

/// Raised by a statement of ours that did not find deliveries that were ours.
pub(super) const STALE: &str = "OW001";

/// Raised by a statement of ours that did not find rows as they were read.
pub(super) const CHANGED: &str = "OW002";

/// What a key that is there already means for a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Somebody else was first: read again.
    Conflict,
    /// The row can never be stored.
    GiveUp,
}

/// Names the act that failed.
pub(super) fn fault(operation: &'static str, taken: Taken) -> impl FnOnce(Error) -> Fault {
    move |error| Fault::new(operation, verdict(&error, taken), error)
}

/// There is no connection to be had. Whatever the reason, nothing is wrong with the work.
pub(super) fn away(operation: &'static str) -> impl FnOnce(PoolError) -> Fault {
    move |error| Fault::retry(operation, error)
}

/// A row that is not what it says.
pub(super) fn broken(operation: &'static str) -> impl FnOnce(Broken) -> Fault {
    move |error| match error.is::<NewerSaga>() {
        true => Fault::leave_to_others(operation, error),
        false => Fault::give_up(operation, error),
    }
}

fn verdict(error: &Error, taken: Taken) -> Verdict {
    match error.code() {
        Some(state) => verdict_of_state(state.code(), taken),
        None if is_connection_lost(error) => Verdict::Retry,
        None => Verdict::GiveUp,
    }
}

/// The verdict on an SQLSTATE.
fn verdict_of_state(state: &str, taken: Taken) -> Verdict {
    match (state, taken) {
        (STALE, _) => Verdict::Stale,
        // Serialisation failure, deadlock, lock not available.
        (CHANGED | "40001" | "40P01" | "55P03", _) | ("23505", Taken::Conflict) => Verdict::Conflict,
        // Statement completion unknown, query cancelled or out of time, a standby that does not write, an error of the disk.
        ("40003" | "57014" | "25006" | "58030", _) => Verdict::Retry,
        // Connection exceptions, the server going down or coming up, resources used up.
        (state, _) if ["08", "57P", "53"].iter().any(|class| state.starts_with(class)) => Verdict::Retry,
        (_, _) => Verdict::GiveUp,
    }
}

/// An error without an SQLSTATE is the connection's, unless it is about a value that could not be encoded or decoded.
fn is_connection_lost(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    error.is_closed() || source.is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_decide_what_to_do() {
        let expected = [
            ("40001", Verdict::Conflict),
            ("40P01", Verdict::Conflict),
            ("55P03", Verdict::Conflict),
            ("23505", Verdict::GiveUp),
            ("23514", Verdict::GiveUp),
            ("22021", Verdict::GiveUp),
            ("08006", Verdict::Retry),
            ("57P01", Verdict::Retry),
            ("57P02", Verdict::Retry),
            ("57P03", Verdict::Retry),
            ("57014", Verdict::Retry),
            ("53300", Verdict::Retry),
            ("53100", Verdict::Retry),
            ("25006", Verdict::Retry),
            (STALE, Verdict::Stale),
            (CHANGED, Verdict::Conflict),
        ];
        for (state, verdict) in expected {
            assert_eq!(verdict_of_state(state, Taken::GiveUp), verdict, "{state}");
        }
        assert_eq!(verdict_of_state("23505", Taken::Conflict), Verdict::Conflict);
    }
}
