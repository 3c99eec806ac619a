//! A fair rate limiter in front of an external party: calls go one after the other, in order of arrival, as fast as a
//! budget allows and as fast as the other side takes them. Knows nothing of what is called, and makes no call.

mod budget;
mod pace;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use self::budget::Block;
pub use self::budget::{CallBudget, CallSlots, LocalSlots};
use self::pace::{Next, Pace};
use crate::{Fault, Stop};

/// A turnstile, shared by all callers of one external party.
pub struct Turnstile {
    name: &'static str,
    wait_max: Duration,
    budget: Option<(CallBudget, Arc<dyn CallSlots>)>,
    stop: Stop,
    /// Its holder is first in line; the others wait in order of arrival.
    front: tokio::sync::Mutex<Block>,
    pace: Mutex<Pace>,
    line: Mutex<Line>,
    under_way: AtomicUsize,
    share: AtomicUsize,
    moved: Notify,
}

/// The waiting calls.
#[derive(Debug, Default)]
struct Line {
    waiting: usize,
    /// When the line was last empty; none while it is empty.
    since: Option<Instant>,
}

/// The state of a turnstile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnstileState {
    /// Calls that wait for their turn.
    pub waiting: usize,
    /// How long some call has been waiting.
    pub waiting_for: Duration,
    /// Calls under way.
    pub under_way: usize,
    /// How long no call is let through, because the other side asked for it or is away.
    pub closed_for: Option<Duration>,
}

/// Why a call was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no turn yet: {why}")]
pub struct NoTurn {
    /// Why.
    pub why: &'static str,
    /// When there may be one.
    pub after: Option<Duration>,
}

/// How a call ended, as far as it decides when the next may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// The other side took it, whatever came of it.
    LetThrough,
    /// It did not, and perhaps said when to come again.
    TurnedAway(Option<Duration>),
}

/// A turn. Report how it ended; one that is dropped without a report counts as let through.
#[must_use]
pub struct Turn<'a> {
    turnstile: &'a Turnstile,
    began_at: Instant,
}

impl Turnstile {
    /// A turnstile without a budget. No call waits longer than `wait_max`, and after the stop signal none waits at
    /// all.
    #[must_use]
    pub fn new(name: &'static str, wait_max: Duration, stop: Stop) -> Self {
        Self {
            name,
            wait_max,
            budget: None,
            stop,
            front: tokio::sync::Mutex::default(),
            pace: Mutex::new(Pace::default()),
            line: Mutex::default(),
            under_way: AtomicUsize::new(0),
            share: AtomicUsize::new(usize::MAX),
            moved: Notify::new(),
        }
    }

    /// The same within a budget, shared by all who use its slots.
    #[must_use]
    pub fn within(mut self, budget: CallBudget, slots: Arc<dyn CallSlots>) -> Self {
        self.share = AtomicUsize::new(budget.in_flight_of(1));
        self.budget = Some((budget, slots));
        self
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The budget of all who share it; without bounds if it has none.
    #[must_use]
    pub fn budget(&self) -> CallBudget {
        self.budget.as_ref().map_or_else(CallBudget::default, |(budget, _)| *budget)
    }

    /// Calls that this worker may have under way at once; none for any number.
    #[must_use]
    pub fn in_flight_max(&self) -> Option<usize> {
        Some(self.share.load(Ordering::Relaxed)).filter(|share| *share != usize::MAX)
    }

    /// Sets how many workers share the budget; the bound on calls in progress is divided among them.
    pub fn share_among(&self, workers: usize) {
        if let Some((budget, _)) = &self.budget {
            self.share.store(budget.in_flight_of(workers), Ordering::Relaxed);
            self.moved.notify_waiters();
        }
    }

    /// How it stands.
    #[must_use]
    pub fn state(&self) -> TurnstileState {
        let line = self.line();
        let closed_for = self.pace().opens_at().map(|at| at.saturating_duration_since(Instant::now()));
        TurnstileState {
            waiting: line.waiting,
            waiting_for: line.since.map_or(Duration::ZERO, |since| since.elapsed()),
            under_way: self.under_way.load(Ordering::Relaxed),
            closed_for: closed_for.filter(|closed_for| !closed_for.is_zero()),
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// When there is none within the time.
    pub async fn pass(&self) -> Result<Turn<'_>, NoTurn> {
        if self.is_free() {
            return Ok(self.begun());
        }
        let _place = Place::taken(self);
        tokio::select! {
            biased;
            () = self.stop.stopped() => Err(NoTurn { why: "the service stops", after: None }),
            turn = timeout(self.wait_max, self.turn()) => {
                turn.unwrap_or_else(|_| Err(self.not_yet()))
            }
        }
    }

    fn not_yet(&self) -> NoTurn {
        match self.state().closed_for {
            Some(wait) => NoTurn { why: "it is away, or asked to be left alone", after: Some(wait) },
            None => NoTurn { why: "others are before this one", after: None },
        }
    }

    /// Whether no call has to wait.
    fn is_free(&self) -> bool {
        self.budget.is_none() && self.pace().is_free() && self.line().waiting == 0
    }

    async fn turn(&self) -> Result<Turn<'_>, NoTurn> {
        let mut block = self.front.lock().await;
        self.room().await;
        self.opening().await;
        if let Some(slot) = self.slot(&mut block).await? {
            sleep_until(slot).await;
        }
        Ok(self.begun())
    }

    /// Waits until the other side takes calls, or until this call is the probe.
    async fn opening(&self) {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            let next = self.pace().next(Instant::now());
            match next {
                Next::Now => return,
                Next::At(at) => sleep_until(at).await,
                Next::AfterProbe(lost_at) => drop(timeout_at(lost_at, moved).await),
            }
        }
    }

    /// Waits until fewer calls are in progress than allowed.
    async fn room(&self) {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            if self.under_way.load(Ordering::Relaxed) < self.share.load(Ordering::Relaxed) {
                return;
            }
            moved.await;
        }
    }

    /// When the budget allows the next call. While the slots cannot be had, no call is let through.
    async fn slot(&self, block: &mut Block) -> Result<Option<Instant>, NoTurn> {
        let Some((budget, slots)) = &self.budget else { return Ok(None) };
        let Some(interval) = budget.interval() else { return Ok(None) };
        if let Some(slot) = block.next(Instant::now(), interval) {
            return Ok(Some(slot));
        }
        let count = budget.block_of(self.line().waiting);
        let wait =
            slots.take(self.name, interval, count).await.map_err(|fault| self.without_slots(&fault))?;
        *block = Block::starting(Instant::now() + wait, count);
        Ok(block.next(Instant::now(), interval))
    }

    fn without_slots(&self, fault: &Fault) -> NoTurn {
        tracing::warn!(provider = self.name, %fault, "the call budget cannot be read; no call is made");
        NoTurn { why: "the call budget cannot be read", after: None }
    }

    fn begun(&self) -> Turn<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let began_at = Instant::now();
        Turn { turnstile: self, began_at }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Reports how the call ended.
    pub fn ended(self, passage: Passage) {
        let mut pace = self.turnstile.pace();
        match passage {
            Passage::LetThrough => pace.let_through(self.began_at),
            Passage::TurnedAway(until) => pace.turned_away(self.began_at, Instant::now(), until),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turnstile.under_way.fetch_sub(1, Ordering::Relaxed);
        self.turnstile.moved.notify_waiters();
    }
}

/// A place in the line.
struct Place<'a>(&'a Turnstile);

impl<'a> Place<'a> {
    fn taken(turnstile: &'a Turnstile) -> Self {
        let mut line = turnstile.line();
        line.waiting += 1;
        line.since.get_or_insert_with(Instant::now);
        Self(turnstile)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut line = self.0.line();
        line.waiting -= 1;
        if line.waiting == 0 {
            line.since = None;
        }
    }
}

#[cfg(test)]
mod tests;
