//! Turns SQLSTATEs into verdicts, never looking at the text of a message, and errors into a text that says what the server
//! said. Never tells the server's details: those quote rows.

use std::fmt;

use bus::{Fault, Verdict};
use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use crate::column::Broken;

/// Raised by a statement of ours that did not find deliveries that were ours.
pub(crate) const STALE: &str = "OW001";

/// Raised by a statement of ours that did not find rows as they were read.
pub const CHANGED: &str = "OW002";

/// What a server says that takes no writes.
const READ_ONLY: &str = "25006";

/// What a server says when a lock was not given in time.
const LOCKED: &str = "55P03";

/// What a key that is there already means for a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Somebody else was first: read again.
    Conflict,
    /// The row can never be stored.
    GiveUp,
}

/// An error as it is told: in the driver's own words the server's are missing. It has no source, so that nobody who tells
/// of sources tells the details.
pub(crate) struct Told<E>(pub(crate) E);

impl<E: std::error::Error + 'static> fmt::Display for Told<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&spoken(&self.0))
    }
}

impl<E: std::error::Error + 'static> fmt::Debug for Told<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<E: std::error::Error + 'static> std::error::Error for Told<E> {}

/// Names the act that failed.
pub fn fault(operation: &'static str, taken: Taken) -> impl FnOnce(Error) -> Fault {
    move |error| Fault::new(operation, verdict(&error, taken), Told(error))
}

/// There is no connection to be had. Whatever the reason, nothing is wrong with the work.
pub(crate) fn away(operation: &'static str) -> impl FnOnce(PoolError) -> Fault {
    move |error| match error {
        PoolError::Backend(error) => Fault::retry(operation, Told(error)),
        PoolError::Timeout(TimeoutType::Wait) => Fault::retry(operation, "all connections are in use"),
        PoolError::Timeout(TimeoutType::Create) => {
            Fault::retry(operation, "no connection came about within its limit")
        }
        error @ (PoolError::Timeout(TimeoutType::Recycle)
        | PoolError::Closed
        | PoolError::NoRuntimeSpecified
        | PoolError::PostCreateHook(_)) => Fault::retry(operation, Told(error)),
    }
}

/// Whether an error comes of a server that takes no writes, as one does that has become a standby.
pub(crate) fn refuses_writes(error: &Error) -> bool {
    error.code().is_some_and(|state| state.code() == READ_ONLY)
}

/// How the driver says that no host is as it was asked for; the system would give a number with it.
pub(crate) fn takes_no_writes(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| {
        cause.kind() == std::io::ErrorKind::PermissionDenied && cause.raw_os_error().is_none()
    })
}

/// Whether somebody else holds what was to be locked.
pub(crate) fn is_lock_refused(error: &Error) -> bool {
    error.code().is_some_and(|state| state.code() == LOCKED)
}

/// What an error and its causes say, from the outermost to the one that the server or the system told. What repeats its cause
/// is told once.
pub(crate) fn spoken(error: &(dyn std::error::Error + 'static)) -> String {
    if let Some(said) = error.downcast_ref::<Error>().and_then(Error::as_db_error) {
        return said_by_the_server(said);
    }
    let own = error.to_string().trim_end().replace('\n', " ");
    let Some(cause) = error.source() else { return own };
    let deeper = spoken(cause);
    let own = own.strip_suffix(&cause.to_string()).unwrap_or(&own).trim_end_matches([':', ' ']);
    if own.is_empty() { deeper } else { format!("{own}: {deeper}") }
}

fn said_by_the_server(said: &DbError) -> String {
    let named = [("table", said.table()), ("constraint", said.constraint())];
    let named = named.into_iter().filter_map(|(what, name)| Some(format!("{what} {}", name?)));
    let named: Vec<String> = named.collect();
    let place = if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) };
    format!("{} {}{place}", said.code().code(), said.message().replace('\n', " "))
}

/// A row that is not what it says. Whoever reads its own rows may know better what to do about one of them.
pub fn broken(operation: &'static str) -> impl FnOnce(Broken) -> Fault {
    move |error| match error.downcast::<Fault>() {
        Ok(fault) => *fault,
        Err(error) => Fault::give_up(operation, error),
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
        // Serialisation failure, deadlock.
        (CHANGED | "40001" | "40P01", _) | ("23505", Taken::Conflict) => Verdict::Conflict,
        // Statement completion unknown, query cancelled or out of time, an error of the disk.
        ("40003" | "57014" | "58030" | READ_ONLY, _) => Verdict::Retry,
        // A lock that somebody does not give back: nothing is wrong with the work, and it may take as long as it takes.
        (LOCKED, _) => Verdict::Retry,
        // A transaction that was left alone for too long, or took too long, as when this process was stopped meanwhile.
        ("25P03" | "25P04", _) => Verdict::Retry,
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
            ("55P03", Verdict::Retry),
            ("25P03", Verdict::Retry),
            ("25P04", Verdict::Retry),
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
