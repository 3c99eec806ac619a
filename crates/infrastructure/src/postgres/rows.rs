//! What a unit keeps of the rows of orders: those that it has written and not sent, and those that it need not ask for again.

use application::ports::AuditEntry;
use bus::{CorrelationId, Fault, LetterAct, MovedLetter, PauseAct, Signed};
use bus_postgres::{Act, PostgresUnit, Rows};
use domain::OrderId;
use refinery::Runner;

use super::seen::Seen;
use super::writes::{self, HistoryColumns};
use crate::audit::{consumer_moved, letter_moved};
use crate::unsaved::{self, Unsaved};

mod embedded {
    refinery::embed_migrations!("src/postgres/migrations");
}

/// Rows of orders within one unit.
#[derive(Default)]
pub struct OrderRows {
    /// What was written here and is sent later.
    pub(super) unsaved: Unsaved,
    /// What was read and written here, as far as somebody will want to know.
    pub(super) seen: Seen,
    /// What joins the timelines with the commit.
    pub(super) history: HistoryColumns,
}

impl Rows for OrderRows {
    fn migrations() -> Option<Runner> {
        Some(embedded::migrations::runner())
    }

    fn writes(&mut self) -> Vec<Act> {
        all_writes(&self.unsaved.take())
    }

    fn last_writes(&mut self) -> Vec<Act> {
        self.history.store()
    }

    fn is_new(&self, saga: CorrelationId) -> bool {
        self.unsaved.is_new(OrderId(saga.0))
    }

    fn letters_moved(
        unit: &mut PostgresUnit<Self>,
        act: LetterAct,
        letters: &[MovedLetter<'_>],
        by: &Signed<'_>,
    ) -> Result<(), Fault> {
        let entries: Vec<AuditEntry> = letters.iter().map(|letter| letter_moved(act, letter, by)).collect();
        if !entries.is_empty() {
            unit.later(writes::record_audit(&entries));
        }
        Ok(())
    }

    fn consumer_moved(
        unit: &mut PostgresUnit<Self>,
        act: PauseAct,
        queue: &str,
        by: &Signed<'_>,
    ) -> Result<(), Fault> {
        unit.later(writes::record_audit(&[consumer_moved(act, queue, by)]));
        Ok(())
    }
}

/// The statements that store these rows; none where there is none.
fn all_writes(rows: &unsaved::Rows) -> Vec<Act> {
    fn of<T>(rows: &[T], act: fn(&[T]) -> Act) -> Option<Act> {
        (!rows.is_empty()).then(|| act(rows))
    }
    let acts = [
        of(&rows.new_orders, writes::insert_orders),
        of(&rows.new_orders, writes::insert_lines),
        writes::insert_details(&rows.new_orders),
        of(&rows.moves, writes::move_orders),
        of(&rows.cancellations, writes::record_cancellations),
        of(&rows.new_sagas, writes::insert_sagas),
        of(&rows.changed_sagas, writes::update_sagas),
    ];
    acts.into_iter().flatten().collect()
}
