//! The bus's tables as plain maps. Knows rows and their rules; never waits, locks or reads a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::operator_tables::OperatorTables;
use crate::{
    Admission, Archived, CorrelationId, DeadLetter, DeadLetterFilter, Delivery, Disposition, Envelope, Fault,
    Leased, LetterAct, Origin, Receipt, Retired, Settlement, Shelf, Signed, TakenBack, Timer, TimerKey,
    cleared, put_back,
};

/// A message ready in its queue.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) queue: Arc<str>,
    pub(super) envelope: Arc<Envelope>,
}

/// A message that comes again at a later time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The queue that it goes back to.
    pub queue: Arc<str>,
    /// The message.
    pub envelope: Arc<Envelope>,
    /// When it comes again at the latest.
    pub due_at: Timestamp,
    /// Why it waits.
    pub cause: WaitCause,
}

/// Why a message waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitCause {
    /// Handling failed, for this reason.
    Failed(String),
    /// It is ahead of its turn.
    Early,
}

/// The record of what a person did with dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterRecord {
    /// What.
    pub act: LetterAct,
    /// Who asked.
    pub actor: String,
    /// Why.
    pub note: String,
    /// When.
    pub at: Timestamp,
    /// How many messages were moved.
    pub count: usize,
}

#[derive(Clone, Debug)]
struct Outgoing {
    envelope: Envelope,
    lease: Option<Lease>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    holder: Uuid,
    until: Timestamp,
}

/// All rows of the bus.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    pub(super) queued: BTreeMap<i64, Queued>,
    pub(super) waiting: BTreeMap<i64, Waiting>,
    pub(super) timers: BTreeMap<TimerKey, Timer>,
    pub(super) records: Vec<LetterRecord>,
    pub(super) operators: OperatorTables,
    outgoing: BTreeMap<i64, Outgoing>,
    dead: BTreeMap<i64, DeadLetter>,
    archived: BTreeMap<i64, DeadLetter>,
    inbox: BTreeSet<(String, String)>,
    last_position: i64,
}

impl Tables {
    fn next_position(&mut self) -> i64 {
        self.last_position += 1;
        self.last_position
    }

    pub(super) fn enqueue(&mut self, queue: Arc<str>, envelope: Arc<Envelope>) {
        let position = self.next_position();
        self.queued.insert(position, Queued { queue, envelope });
    }

    pub(super) const fn last_position(&self) -> i64 {
        self.last_position
    }

    /// Removes and returns the rows that lie in one of these queues.
    pub(super) fn reclaim(&mut self, rows: &mut Vec<i64>, queues: &[Arc<str>]) -> Vec<Delivery> {
        let mut reclaimed = Vec::new();
        rows.retain(|position| {
            let wanted = self.queued.get(position).is_some_and(|row| queues.contains(&row.queue));
            let row = if wanted { self.queued.remove(position) } else { None };
            reclaimed.extend(row.map(|row| Delivery {
                envelope: row.envelope,
                receipt: Receipt { queue: row.queue, origin: Origin::Unit },
            }));
            !wanted
        });
        reclaimed
    }

    /// Removes and returns the rows on their way to a broker that `taken` accepts, and leaves marked copies for other
    /// listeners.
    pub(super) fn take_back(
        &mut self,
        rows: &[i64],
        taken: impl Fn(&Envelope) -> Option<TakenBack>,
    ) -> Vec<Delivery> {
        let mut reclaimed = Vec::new();
        for position in rows {
            let Some(outgoing) = self.outgoing.get_mut(position) else { continue };
            let Some(TakenBack { queue, news }) = taken(&outgoing.envelope) else { continue };
            let envelope = cleared(Arc::new(outgoing.envelope.clone()));
            match news {
                Some(news) => outgoing.envelope = news,
                None => drop(self.outgoing.remove(position)),
            }
            reclaimed.push(Delivery { envelope, receipt: Receipt { queue, origin: Origin::Unit } });
        }
        reclaimed
    }

    pub(super) fn add_outgoing(&mut self, envelope: Envelope) {
        let position = self.next_position();
        self.outgoing.insert(position, Outgoing { envelope, lease: None });
    }

    pub(super) fn outgoing_count(&self) -> usize {
        self.outgoing.len()
    }

    pub(super) fn settle(&mut self, settlement: Settlement) -> Result<(), Fault> {
        let (position, Queued { queue, envelope }) = self.take_out(&settlement.delivery)?;
        match settlement.disposition {
            Disposition::Done => {}
            Disposition::Redeliver { due_at, reason } => {
                let waiting = Waiting {
                    queue,
                    envelope: Arc::new(failed_once_more(&envelope)),
                    due_at,
                    cause: WaitCause::Failed(reason),
                };
                self.waiting.insert(position, waiting);
            }
            Disposition::Postpone { due_at, reason } => {
                self.waiting
                    .insert(position, Waiting { queue, envelope, due_at, cause: WaitCause::Failed(reason) });
            }
            Disposition::Park { until } => {
                self.waiting
                    .insert(position, Waiting { queue, envelope, due_at: until, cause: WaitCause::Early });
            }
            Disposition::DeadLetter { reason } => {
                let envelope = failed_once_more(&envelope);
                let died_at = settlement.at;
                let letter = DeadLetter { position, queue, envelope, reason, died_at, archived: None };
                self.dead.insert(position, letter);
            }
        }
        Ok(())
    }

    fn take_out(&mut self, delivery: &Delivery) -> Result<(i64, Queued), Fault> {
        let Delivery { envelope, receipt } = delivery;
        let Some(position) = receipt.row() else {
            let row = Queued { queue: Arc::clone(&receipt.queue), envelope: Arc::clone(envelope) };
            return Ok((self.next_position(), row));
        };
        match self.queued.remove(&position) {
            Some(row) => Ok((position, row)),
            None => Err(Fault::stale("deliveries.settle", format!("row {position} is no longer there"))),
        }
    }

    pub(super) fn unpark(&mut self, correlations: &[CorrelationId]) -> usize {
        let wanted = |row: &Waiting| {
            row.cause == WaitCause::Early && correlations.contains(&row.envelope.correlation_id)
        };
        let freed: Vec<i64> =
            self.waiting.iter().filter(|(_, row)| wanted(row)).map(|(position, _)| *position).collect();
        self.put_back(&freed);
        freed.len()
    }

    pub(super) fn requeue_due(&mut self, now: Timestamp, max: usize) -> usize {
        let mut due: Vec<(Timestamp, i64)> = self
            .waiting
            .iter()
            .filter(|(_, row)| row.due_at <= now)
            .map(|(position, row)| (row.due_at, *position))
            .collect();
        due.sort_unstable();
        due.truncate(max);
        let due: Vec<i64> = due.into_iter().map(|(_, position)| position).collect();
        self.put_back(&due);
        due.len()
    }

    fn put_back(&mut self, positions: &[i64]) {
        for position in positions {
            if let Some(row) = self.waiting.remove(position) {
                self.enqueue(row.queue, row.envelope);
            }
        }
    }

    pub(super) fn lease_due_timers(&mut self, now: Timestamp, max: usize) -> Vec<Timer> {
        let mut due: Vec<Timer> = self.timers.values().filter(|timer| timer.due_at <= now).cloned().collect();
        due.sort_by(|one, other| (one.due_at, &one.key).cmp(&(other.due_at, &other.key)));
        due.truncate(max);
        self.timers.extend(due.iter().map(|timer| (timer.key.clone(), timer.once_more(now))));
        due
    }

    pub(super) fn retire_timers(&mut self, mut retired: Vec<Retired>) -> Vec<Retired> {
        retired.retain(|Retired { key, generation }| {
            let was_there = self.timers.get(key).is_some_and(|timer| timer.generation == *generation);
            was_there && self.timers.remove(key).is_some()
        });
        retired
    }

    pub(super) fn admit(&mut self, source: &str, id: &str) -> Admission {
        if self.inbox.insert((source.to_owned(), id.to_owned())) { Admission::New } else { Admission::Repeat }
    }

    /// When the next timer or waiting message is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let timers = self.timers.values().map(|timer| timer.due_at);
        timers.chain(self.waiting.values().map(|row| row.due_at)).min()
    }

    pub(super) fn lease(
        &mut self,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
        max: usize,
    ) -> Vec<Leased> {
        let free = |row: &Outgoing| row.lease.is_none_or(|lease| lease.until <= now);
        let rows = self.outgoing.iter_mut().filter(|(_, row)| free(row)).take(max);
        rows.map(|(position, row)| {
            row.lease = Some(Lease { holder, until });
            Leased { position: *position, envelope: row.envelope.clone() }
        })
        .collect()
    }

    pub(super) fn remove_outgoing(&mut self, holder: Uuid, positions: &[i64]) -> usize {
        let before = self.outgoing.len();
        let held = |row: &Outgoing| row.lease.is_some_and(|lease| lease.holder == holder);
        self.outgoing.retain(|position, row| !(held(row) && positions.contains(position)));
        before - self.outgoing.len()
    }

    pub(super) fn dead_letters<'a>(
        &'a self,
        filter: &'a DeadLetterFilter,
    ) -> impl DoubleEndedIterator<Item = &'a DeadLetter> {
        let shelf = match filter.shelf {
            Shelf::Waiting => &self.dead,
            Shelf::Archived => &self.archived,
        };
        shelf.values().filter(move |letter| matches_filter(letter, filter))
    }

    pub(super) fn redrive(&mut self, positions: &[i64], by: &Signed<'_>) -> Vec<i64> {
        let take = |position: &i64| self.dead.remove(position).or_else(|| self.archived.remove(position));
        let letters: Vec<DeadLetter> = positions.iter().filter_map(take).collect();
        let moved = letters.iter().map(|letter| letter.position).collect();
        for letter in letters {
            self.enqueue(letter.queue, Arc::new(put_back(letter.envelope)));
        }
        self.note(LetterAct::Redrive, moved, by)
    }

    pub(super) fn archive(&mut self, positions: &[i64], by: &Signed<'_>) -> Vec<i64> {
        let mut moved = Vec::new();
        for position in positions {
            let Some(mut letter) = self.dead.remove(position) else { continue };
            let Signed { actor, note, at } = *by;
            letter.archived = Some(Archived { at, by: actor.to_owned(), note: note.to_owned() });
            self.archived.insert(*position, letter);
            moved.push(*position);
        }
        self.note(LetterAct::Archive, moved, by)
    }

    fn note(&mut self, act: LetterAct, moved: Vec<i64>, by: &Signed<'_>) -> Vec<i64> {
        let Signed { actor, note, at } = *by;
        let (actor, note) = (actor.to_owned(), note.to_owned());
        self.records.push(LetterRecord { act, actor, note, at, count: moved.len() });
        moved
    }
}

fn failed_once_more(envelope: &Envelope) -> Envelope {
    Envelope { attempt: envelope.attempt.saturating_add(1), ..envelope.clone() }
}

fn matches_filter(letter: &DeadLetter, filter: &DeadLetterFilter) -> bool {
    filter.queue.as_deref().is_none_or(|queue| *letter.queue == *queue)
        && filter.kind.as_deref().is_none_or(|kind| *letter.envelope.kind == *kind)
        && filter.reason_contains.as_deref().is_none_or(|text| letter.reason.contains(text))
        && filter.message_id.is_none_or(|id| letter.envelope.id == id)
        && filter.group.is_none_or(|group| letter.group() == group)
        && filter.after.is_none_or(|after| letter.position > after)
}
