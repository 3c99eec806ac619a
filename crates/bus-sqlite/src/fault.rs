//! Turns SQLite's result codes into verdicts. Never looks at the text of a message.

use bus::{Fault, Verdict};
use rusqlite::{Error, ErrorCode, ffi};

/// Names the act that failed.
pub fn fault(operation: &'static str) -> impl FnOnce(Error) -> Fault {
    move |error| Fault::new(operation, verdict(&error), error)
}

/// As [`fault`], but where a key that is there already means that somebody else was first.
pub fn conflict_if_taken(operation: &'static str) -> impl FnOnce(Error) -> Fault {
    move |error| {
        let verdict = if is_taken(&error) { Verdict::Conflict } else { verdict(&error) };
        Fault::new(operation, verdict, error)
    }
}

/// A statement that ought to have changed exactly one row did not.
pub fn changed_meanwhile(operation: &'static str, subject: impl std::fmt::Display) -> Fault {
    Fault::conflict(operation, format!("{subject} is not as it was read"))
}

/// What to do about an error.
fn verdict(error: &Error) -> Verdict {
    let away = [
        ErrorCode::DatabaseBusy,
        ErrorCode::DatabaseLocked,
        ErrorCode::SystemIoFailure,
        ErrorCode::DiskFull,
        ErrorCode::CannotOpen,
    ];
    // Whoever reads its own rows may know better what to do about one of them.
    if let Error::FromSqlConversionFailure(_, _, why) = error
        && let Some(fault) = why.downcast_ref::<Fault>()
    {
        return fault.verdict;
    }
    match error.sqlite_error_code() {
        Some(code) if away.contains(&code) => Verdict::Retry,
        Some(_) | None => Verdict::GiveUp,
    }
}

fn is_taken(error: &Error) -> bool {
    let taken =
        [ffi::SQLITE_CONSTRAINT_UNIQUE, ffi::SQLITE_CONSTRAINT_PRIMARYKEY, ffi::SQLITE_CONSTRAINT_ROWID];
    error.sqlite_error().is_some_and(|failure| taken.contains(&failure.extended_code))
}
