//! Failures planned by a test: which operation fails, with which verdict, how often. Never fails by itself.

use std::sync::{Mutex, PoisonError};

use crate::{Fault, Verdict};

/// An operation of the store that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Opening a unit of work.
    Begin,
    /// Publishing within a unit.
    Publish,
    /// Settling deliveries within a unit.
    Settle,
    /// Committing, with nothing stored.
    Commit,
    /// Answering a commit: everything was stored, but the caller does not learn of it.
    CommitAnswer,
    /// Receiving from a queue.
    Receive,
    /// Acknowledging to the transport.
    Acknowledge,
    /// Sending through the transport.
    Send,
    /// Leasing outgoing rows.
    Lease,
    /// Removing outgoing rows.
    Remove,
}

impl Act {
    fn operation(self) -> &'static str {
        match self {
            Self::Begin => "store.begin",
            Self::Publish => "outbox.publish",
            Self::Settle => "deliveries.settle",
            Self::Commit | Self::CommitAnswer => "unit.commit",
            Self::Receive => "feed.receive",
            Self::Acknowledge => "feed.acknowledge",
            Self::Send => "transport.send",
            Self::Lease => "outbox.lease",
            Self::Remove => "outbox.remove",
        }
    }
}

#[derive(Debug)]
struct Planned {
    act: Act,
    verdict: Verdict,
    left: u32,
}

/// The failures still planned.
#[derive(Debug, Default)]
pub(super) struct Mishaps(Mutex<Vec<Planned>>);

impl Mishaps {
    pub(super) fn plan(&self, act: Act, verdict: Verdict, times: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Planned { act, verdict, left: times });
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Fails if a failure was planned for this operation, and uses it up.
    pub(super) fn pass(&self, act: Act) -> Result<(), Fault> {
        let mut plan = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(planned) = plan.iter_mut().find(|planned| planned.act == act && planned.left > 0) else {
            return Ok(());
        };
        planned.left -= 1;
        Err(Fault::new(act.operation(), planned.verdict, "a mishap planned by the test"))
    }
}
