//! Failure as a decision: every fault names the operation and says what to do about it. A "no" of the business is not
//! a fault; it is an ordinary value and never comes here.

use std::any::Any;
use std::error::Error;
use std::fmt;

/// What the caller should do about a [`Fault`]. Set by the adapter that knows, from codes and never from message text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The store, broker or provider is away: back off and try the same again; nothing is wrong with the work.
    Retry,
    /// Another transaction changed what was read: load again and decide again.
    Conflict,
    /// The work is no longer ours: drop it; its new owner finishes it.
    Stale,
    /// It needs a newer program: leave it to a worker that runs one, however long that takes.
    LeaveToOthers,
    /// Trying again will not help: find the message that cannot be handled and set it aside.
    GiveUp,
}

/// A failed act.
#[derive(Debug)]
pub struct Fault {
    /// The operation that failed, as `noun.verb`.
    pub operation: &'static str,
    /// What to do about it.
    pub verdict: Verdict,
    outcome: Outcome,
    source: Box<dyn Error + Send + Sync>,
}

/// What a failed operation has left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing.
    Undone,
    /// Unknown: it may have been done, and only the answer was lost.
    InDoubt,
}

impl Fault {
    /// A fault with its cause.
    pub fn new(
        operation: &'static str,
        verdict: Verdict,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { operation, verdict, outcome: Outcome::Undone, source: source.into() }
    }

    /// Trying again will not help.
    pub fn give_up(operation: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(operation, Verdict::GiveUp, source)
    }

    /// The operation panicked; trying again will not help.
    pub(crate) fn panicked(operation: &'static str, panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::give_up(operation, format!("panicked: {}", text.unwrap_or("without a text")))
    }

    /// The other side is away for now.
    pub fn retry(operation: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(operation, Verdict::Retry, source)
    }

    /// The data read has changed since.
    pub fn conflict(operation: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(operation, Verdict::Conflict, source)
    }

    /// This program is too old for the work.
    pub fn leave_to_others(operation: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(operation, Verdict::LeaveToOthers, source)
    }

    /// Marks the fault as in doubt: the operation may have been done.
    #[must_use]
    pub fn in_doubt(self) -> Self {
        Self { outcome: Outcome::InDoubt, ..self }
    }

    /// Marks a `Retry` at commit as in doubt: the commit may have reached the store.
    #[must_use]
    pub fn at_commit(self) -> Self {
        match self.verdict {
            Verdict::Retry => self.in_doubt(),
            Verdict::Conflict | Verdict::Stale | Verdict::LeaveToOthers | Verdict::GiveUp => self,
        }
    }

    /// Whether the operation may have been done.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.outcome == Outcome::InDoubt
    }

    /// Another process has taken the work over.
    pub fn stale(operation: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(operation, Verdict::Stale, source)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}", self.operation, self.source)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_ref())
    }
}
