//! What the keeper of a process's claims has to do, and when: the most urgent first, and each by itself.

use std::time::Duration;

use tokio::time::Instant;

use crate::connect::Presence;

/// How often changes of counts are summed up.
pub(crate) const FOLD: Duration = Duration::from_secs(2);

/// What is done again and again, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// Saying that this process is alive.
    Beat,
    /// Looking for rows of which no word came.
    Poll,
    /// Taking dead processes off the list.
    Bury,
    /// Summing up changes of counts.
    Fold,
    /// Looking for claims that nobody is behind.
    Audit,
}

/// When what is to be done next.
pub(crate) struct Due(Vec<(Duty, Instant)>);

impl Due {
    /// Everything now, but for what can wait. A visitor claims nothing, and leaves the dead to those who work here.
    pub(crate) fn at(now: Instant, presence: Presence) -> Self {
        let beside = |duty| match duty {
            Duty::Fold => (duty, now + FOLD),
            Duty::Beat | Duty::Poll | Duty::Bury | Duty::Audit => (duty, now),
        };
        let duties: &[Duty] = match presence {
            Presence::Worker => &[Duty::Beat, Duty::Poll, Duty::Bury, Duty::Fold, Duty::Audit],
            Presence::Visitor => &[Duty::Beat, Duty::Poll, Duty::Fold],
        };
        Self(duties.iter().copied().map(beside).collect())
    }

    /// What comes first of what is due.
    pub(crate) fn first(&self, now: Instant) -> Option<Duty> {
        self.0.iter().find(|(_, at)| *at <= now).map(|(duty, _)| *duty)
    }

    /// When it is time for the next one.
    pub(crate) fn next(&self) -> Instant {
        self.0.iter().map(|(_, at)| *at).min().expect("everybody has something to do")
    }

    /// Puts one off until then, or brings it forward; nothing happens if it is not to be done here.
    pub(crate) fn put(&mut self, duty: Duty, at: Instant) {
        if let Some(entry) = self.0.iter_mut().find(|(own, _)| *own == duty) {
            entry.1 = at;
        }
    }
}
