//! The rows behind what persons do with consumers, and behind the register of processes.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::{PauseAct, Paused, Signed, Worker};

/// The record of what a person did with a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorRecord {
    /// What.
    pub act: PauseAct,
    /// The queue.
    pub queue: String,
    /// Who asked.
    pub actor: String,
    /// Why.
    pub note: String,
    /// When.
    pub at: Timestamp,
}

/// The rows behind both.
#[derive(Clone, Debug, Default)]
pub(super) struct OperatorTables {
    pub(super) paused: BTreeMap<Arc<str>, Paused>,
    pub(super) records: Vec<OperatorRecord>,
    pub(super) workers: BTreeMap<Uuid, Worker>,
}

impl OperatorTables {
    fn note(&mut self, act: PauseAct, queue: &str, by: &Signed<'_>) {
        let Signed { actor, note, at } = *by;
        let (queue, actor, note) = (queue.to_owned(), actor.to_owned(), note.to_owned());
        self.records.push(OperatorRecord { act, queue, actor, note, at });
    }

    pub(super) fn pause(&mut self, queue: &str, by: &Signed<'_>) -> bool {
        if self.paused.contains_key(queue) {
            return false;
        }
        let queue_name: Arc<str> = Arc::from(queue);
        let paused = Paused {
            queue: Arc::clone(&queue_name),
            at: by.at,
            by: by.actor.to_owned(),
            note: by.note.to_owned(),
        };
        self.paused.insert(queue_name, paused);
        self.note(PauseAct::Pause, queue, by);
        true
    }

    pub(super) fn resume(&mut self, queue: &str, by: &Signed<'_>) -> bool {
        let was_paused = self.paused.remove(queue).is_some();
        if was_paused {
            self.note(PauseAct::Resume, queue, by);
        }
        was_paused
    }
}
