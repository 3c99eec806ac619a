//! Which rows of the outbox the relays of this process have in hand, and until when.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use uuid::Uuid;

/// Who among the relays of this process has which row, and until when.
#[derive(Default)]
pub(crate) struct Leases(Mutex<State>);

#[derive(Default)]
struct State {
    reader: Option<u64>,
    by_position: BTreeMap<i64, Lease>,
}

/// A row in a relay's hands.
pub(crate) struct Lease {
    pub(crate) holder: Uuid,
    pub(crate) until: Timestamp,
    /// The message that the row is named after, which tells it from one that was given its position later.
    pub(crate) message_id: Uuid,
    /// Messages of the row that were not sent yet, as far as the relay has said.
    pub(crate) unsent: usize,
}

/// What a relay has sent of its rows.
pub(crate) struct Sent {
    /// Rows of which nothing is left, each with the message that it is named after.
    pub(crate) whole: Vec<(i64, Uuid)>,
    /// Rows of which so many messages more are sent.
    part: Vec<(i64, usize)>,
}

impl Leases {
    /// All relays of a process are one reader of the outbox: this one, made by `join` when it is asked for first.
    pub(crate) fn reader(&self, join: impl FnOnce() -> u64) -> u64 {
        *self.lock().reader.get_or_insert_with(join)
    }

    pub(crate) fn begin(&self, position: i64, lease: Lease) {
        self.lock().by_position.insert(position, lease);
    }

    /// Takes out the leases that are over.
    pub(crate) fn end(&self, now: Timestamp) -> Vec<i64> {
        self.lock()
            .by_position
            .extract_if(.., |_, lease| lease.until <= now)
            .map(|(position, _)| position)
            .collect()
    }

    /// What these messages, each named by its row, leave of the rows. Changes nothing.
    pub(crate) fn sent(&self, holder: Uuid, positions: &[i64]) -> Sent {
        let mut messages: BTreeMap<i64, usize> = BTreeMap::new();
        for position in positions {
            *messages.entry(*position).or_default() += 1;
        }
        let state = self.lock();
        let mut sent = Sent { whole: Vec::new(), part: Vec::new() };
        for (position, count) in messages {
            match state.by_position.get(&position) {
                Some(lease) if lease.holder == holder && lease.unsent <= count => {
                    sent.whole.push((position, lease.message_id));
                }
                Some(lease) if lease.holder == holder => sent.part.push((position, count)),
                Some(_) | None => {}
            }
        }
        sent
    }

    /// The rows that were sent whole are gone, of others there is less to send.
    pub(crate) fn settle(&self, holder: Uuid, sent: &Sent) {
        let mut state = self.lock();
        for (position, _) in &sent.whole {
            state.by_position.remove(position);
        }
        for (position, count) in &sent.part {
            // Meanwhile the lease may have ended, and another relay have the row.
            if let Some(lease) = state.by_position.get_mut(position).filter(|lease| lease.holder == holder) {
                lease.unsent = lease.unsent.saturating_sub(*count);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
