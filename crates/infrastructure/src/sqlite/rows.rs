//! What a unit keeps of the rows of orders: those that it has written and not stored, and those that it need not read again.

use application::ports::AuditEntry;
use bus::{CorrelationId, Fault, LetterAct, MovedLetter, PauseAct, Signed};
use bus_sqlite::{Rows, SqliteUnit};
use domain::OrderId;
use refinery::Runner;

use super::memory::{Memories, View};
use super::writes::{record_audit, save_orders, save_sagas};
use crate::audit::{consumer_moved, letter_moved};
use crate::unsaved::Unsaved;

mod embedded {
    refinery::embed_migrations!("src/sqlite/migrations");
}

/// Rows of orders within one unit.
#[derive(Default)]
pub struct OrderRows {
    /// What is stored when the unit ends, or when somebody asks for it.
    pub(super) unsaved: Unsaved,
    /// What this unit has read and written.
    pub(super) view: View,
}

impl Rows for OrderRows {
    type Memory = Memories;

    fn migrations() -> Option<Runner> {
        Some(embedded::migrations::runner())
    }

    fn save(unit: &mut SqliteUnit<Self>) -> Result<(), Fault> {
        let rows = unit.rows.unsaved.take();
        save_orders(unit.connection(), &rows)?;
        save_sagas(unit.connection(), &rows)
    }

    fn is_new(&self, saga: CorrelationId) -> bool {
        self.unsaved.is_new(OrderId(saga.0))
    }

    fn remember(self, memory: &mut Memories) {
        memory.absorb(self.view);
    }

    fn letters_moved(
        unit: &mut SqliteUnit<Self>,
        act: LetterAct,
        letters: &[MovedLetter<'_>],
        by: &Signed<'_>,
    ) -> Result<(), Fault> {
        let entries: Vec<AuditEntry> = letters.iter().map(|letter| letter_moved(act, letter, by)).collect();
        let first = unit.take_positions(entries.len());
        record_audit(unit.connection(), first, &entries)
    }

    fn consumer_moved(
        unit: &mut SqliteUnit<Self>,
        act: PauseAct,
        queue: &str,
        by: &Signed<'_>,
    ) -> Result<(), Fault> {
        let first = unit.take_positions(1);
        record_audit(unit.connection(), first, &[consumer_moved(act, queue, by)])
    }
}
