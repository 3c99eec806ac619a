//! How fast the other side takes calls, learned from the results of the last ones. After it rejects a call it is left
//! alone for a while, then called once, then rarely, then more often. There is no budget and no clock here; time
//! comes in from outside.

use std::time::Duration;

use tokio::time::Instant;

/// First pause after a call that was turned away, when the other side names none.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause of that kind.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// After this time without an answer to a probe, another one follows.
const PROBE_MAX: Duration = Duration::from_secs(10);
/// Shortest interval worth keeping; below it calls need none.
const GAP_MIN: Duration = Duration::from_millis(2);
/// Time between two calls after one was turned away, at least.
const GAP_FIRST: Duration = Duration::from_millis(10);
/// The same at most.
const GAP_MAX: Duration = Duration::from_secs(1);
/// Each call that was let through shortens the time between two by this part.
const GAP_PARTS: u32 = 32;

/// The pace.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Time between two calls; zero if there need be none.
    gap: Duration,
    last: Option<Instant>,
    closed: Option<Closed>,
    /// When it was last slowed down; results of calls that began before are ignored.
    slowed_at: Option<Instant>,
}

/// Nobody is let through.
#[derive(Clone, Copy, Debug)]
struct Closed {
    until: Instant,
    pause: Duration,
    /// Whether a probe is in progress.
    probe: Option<Instant>,
}

/// When the next may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Now,
    At(Instant),
    /// When the probe counts as lost.
    AfterProbe(Instant),
}

impl Pace {
    pub(super) const fn is_free(&self) -> bool {
        self.gap.is_zero() && self.closed.is_none()
    }

    /// When a call is let through again; none if it is open.
    pub(super) fn opens_at(&self) -> Option<Instant> {
        self.closed.map(|closed| closed.until)
    }

    /// Lets the next call go, or returns when to ask again.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        if let Some(closed) = &mut self.closed {
            if now < closed.until {
                return Next::At(closed.until);
            }
            if let Some(lost_at) = closed.probe.map(|sent_at| sent_at + PROBE_MAX).filter(|at| now < *at) {
                return Next::AfterProbe(lost_at);
            }
            closed.probe = Some(now);
            return Next::Now;
        }
        match self.last.map(|last| last + self.gap) {
            Some(at) if now < at => Next::At(at),
            Some(_) | None => {
                self.last = Some(now);
                Next::Now
            }
        }
    }

    /// A call that began at `began_at` was let through.
    pub(super) fn let_through(&mut self, began_at: Instant) {
        if self.closed.is_some_and(|closed| closed.probe.is_none_or(|probe| began_at < probe)) {
            return;
        }
        self.closed = None;
        self.gap = self.gap.saturating_sub(self.gap / GAP_PARTS);
        if self.gap < GAP_MIN {
            self.gap = Duration::ZERO;
        }
    }

    /// A call that began at `began_at` was rejected, perhaps with a time to wait.
    pub(super) fn turned_away(&mut self, began_at: Instant, now: Instant, asked: Option<Duration>) {
        let is_news = self.slowed_at.is_none_or(|slowed_at| began_at >= slowed_at);
        if is_news {
            // A probe shows whether the other side is there, not how much it can take.
            if self.closed.is_none() {
                self.gap = (self.gap * 2).clamp(GAP_FIRST, GAP_MAX);
            }
            self.slowed_at = Some(now);
        }
        let pause = match self.closed {
            Some(closed) if is_news => (closed.pause * 2).min(PAUSE_MAX),
            Some(closed) => closed.pause,
            None => PAUSE_MIN,
        };
        let until = now + asked.unwrap_or(pause);
        self.closed = Some(Closed {
            until: self.closed.map_or(until, |closed| closed.until.max(until)),
            pause,
            probe: self.closed.filter(|_| !is_news).and_then(|closed| closed.probe),
        });
    }
}
