//! What operators see of dead letters and do with them, whichever way they come in: groups, and redriving or archiving at a
//! rate with a result for each message. Knows no HTTP and no command line.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::time::Duration;

use bus::{
    Clock, DeadLetter, DeadLetterFilter, DeadLetterGroup, DeadLetterGroups, DeadLetters, Fault, LetterAct,
    Shelf, Signed,
};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use uuid::Uuid;

/// Steps in a second at most; a higher rate puts more into each step.
const STEPS_PER_SECOND_MAX: u32 = 10;

/// A group of dead letters as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct GroupView {
    pub(crate) key: String,
    pub(crate) queue: String,
    pub(crate) kind: String,
    pub(crate) pattern: String,
    pub(crate) count: u64,
    pub(crate) sample: i64,
    pub(crate) first_died_at: Timestamp,
    pub(crate) last_died_at: Timestamp,
}

/// A list of groups as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct GroupsView {
    pub(crate) items: Vec<GroupView>,
    pub(crate) is_partial: bool,
    pub(crate) has_more: bool,
}

impl From<DeadLetterGroup> for GroupView {
    fn from(group: DeadLetterGroup) -> Self {
        let DeadLetterGroup { key, queue, kind, pattern, count, sample, first_died_at, last_died_at } = group;
        Self { key: key.to_string(), queue, kind, pattern, count, sample, first_died_at, last_died_at }
    }
}

impl From<DeadLetterGroups> for GroupsView {
    fn from(found: DeadLetterGroups) -> Self {
        let DeadLetterGroups { groups, is_partial, has_more } = found;
        Self { items: groups.into_iter().map(GroupView::from).collect(), is_partial, has_more }
    }
}

/// What became of one dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It went back into its queue.
    Redriven,
    /// It was archived.
    Archived,
    /// Somebody else was faster.
    Gone,
    /// The store did not do it, or it is not known whether it did.
    Failed,
    /// Nothing was tried.
    Left,
}

impl Outcome {
    /// Every outcome by its name.
    pub(crate) const NAMES: &'static [&'static str] = &["redriven", "archived", "gone", "failed", "left"];

    const fn of(act: LetterAct) -> Self {
        match act {
            LetterAct::Redrive => Self::Redriven,
            LetterAct::Archive => Self::Archived,
        }
    }
}

/// One dead letter that something is done with.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Item {
    pub(crate) position: i64,
    pub(crate) message_id: Uuid,
    pub(crate) queue: String,
    pub(crate) kind: String,
    pub(crate) outcome: Outcome,
}

impl From<DeadLetter> for Item {
    fn from(letter: DeadLetter) -> Self {
        Self {
            position: letter.position,
            message_id: letter.envelope.id.0,
            queue: letter.queue.to_string(),
            kind: letter.envelope.kind.to_string(),
            outcome: Outcome::Left,
        }
    }
}

/// The first `max` dead letters that match, and whether there are more. An archived one is found by the id of its message.
pub(crate) async fn find(
    letters: &dyn DeadLetters,
    act: LetterAct,
    filter: &DeadLetterFilter,
    max: usize,
) -> Result<(Vec<Item>, bool), Fault> {
    let rows_max = max.saturating_add(1);
    let mut found = letters.list_dead_letters(filter, rows_max).await?;
    if act == LetterAct::Redrive && filter.message_id.is_some() {
        let archived = DeadLetterFilter { shelf: Shelf::Archived, ..filter.clone() };
        found.extend(letters.list_dead_letters(&archived, rows_max).await?);
    }
    let has_more = found.len() > max;
    found.truncate(max);
    Ok((found.into_iter().map(Item::from).collect(), has_more))
}

/// Whether the first dead letter is still the one that was seen. Each is moved once, so of two who act at once on what both saw
/// one moves it; the other finds another first, or finds this one gone.
pub(crate) fn is_as_seen(items: &[Item], seen: Option<i64>) -> bool {
    seen.is_none_or(|seen| items.first().is_some_and(|item| item.position == seen))
}

/// How fast dead letters are moved.
pub(crate) struct Pace {
    step: usize,
    ticks: Interval,
}

impl Pace {
    /// So many in a second. The first step is taken at once.
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        let (step, pause) = pace(per_second);
        let mut ticks = interval(pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { step, ticks }
    }
}

/// Letters in one step, and the pause between two steps.
fn pace(rate: NonZeroU32) -> (usize, Duration) {
    let step = rate.get().div_ceil(STEPS_PER_SECOND_MAX);
    (step as usize, Duration::from_secs(1).mul_f64(f64::from(step) / f64::from(rate.get())))
}

/// What is done with dead letters, by whom and why.
pub(crate) struct Errand<'a> {
    pub(crate) letters: &'a dyn DeadLetters,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) act: LetterAct,
    pub(crate) actor: &'a str,
    pub(crate) note: &'a str,
    /// When no further step is begun; never, if it is not said.
    pub(crate) until: Option<Instant>,
}

impl Errand<'_> {
    /// Does it with each of these, step by step, and notes what became of each. `stepped` hears how many each step had.
    ///
    /// # Errors
    /// Those of the store, if nothing was done. A later fault ends the errand and is told by the outcomes.
    pub(crate) async fn run(
        &self,
        items: &mut [Item],
        pace: &mut Pace,
        stepped: impl Fn(usize),
    ) -> Result<(), Fault> {
        let step = pace.step;
        for (number, items) in items.chunks_mut(step).enumerate() {
            pace.ticks.tick().await;
            if self.until.is_some_and(|until| Instant::now() >= until) {
                return Ok(());
            }
            match self.step(items).await {
                Ok(()) => stepped(items.len()),
                Err(fault) if number == 0 => return Err(fault),
                Err(fault) => {
                    tracing::warn!(%fault, "dead letters were not all moved");
                    items.iter_mut().for_each(|item| item.outcome = Outcome::Failed);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn step(&self, items: &mut [Item]) -> Result<(), Fault> {
        let positions: Vec<i64> = items.iter().map(|item| item.position).collect();
        let by = Signed { actor: self.actor, note: self.note, at: self.clock.now() };
        let moved = match self.act {
            LetterAct::Redrive => self.letters.redrive(&positions, &by).await?,
            LetterAct::Archive => self.letters.archive(&positions, &by).await?,
        };
        let moved: HashSet<i64> = moved.into_iter().collect();
        for item in items {
            let is_moved = moved.contains(&item.position);
            item.outcome = if is_moved { Outcome::of(self.act) } else { Outcome::Gone };
        }
        Ok(())
    }
}

/// How many of these were moved.
pub(crate) fn moved(items: &[Item]) -> usize {
    items.iter().filter(|item| matches!(item.outcome, Outcome::Redriven | Outcome::Archived)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_rate_is_kept_whatever_the_size_of_the_step() {
        for per_second in [1, 7, 10, 11, 100, 12_345] {
            let (step, pause) = pace(NonZeroU32::new(per_second).expect("not zero"));
            let kept = step as f64 / pause.as_secs_f64();
            assert!((kept - f64::from(per_second)).abs() < 0.001 * kept, "{per_second}: {kept}");
        }
    }
}
