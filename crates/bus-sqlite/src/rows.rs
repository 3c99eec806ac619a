//! The user's own tables beside those of the bus: what a unit keeps of them in memory, and the steps that make them. Whoever has
//! none uses `()`.

use bus::{CorrelationId, Fault, Redriven};
use jiff::Timestamp;
use refinery::Runner;

use crate::SqliteUnit;

/// What a unit keeps of the user's own rows: some that are not stored yet, and some that need not be read again.
pub trait Rows: Default + Send + Sync + Sized + 'static {
    /// What is remembered of them from one unit to the next. It begins anew whenever another process may have written.
    type Memory: Default + Send + 'static;

    /// The steps that make the user's tables; none if there are none. They are noted in `schema_history`.
    #[must_use]
    fn migrations() -> Option<Runner> {
        None
    }

    /// Stores what waits. Called before the unit's timers are stored, and before it ends.
    ///
    /// # Errors
    /// Those of the store.
    fn save(_unit: &mut SqliteUnit<Self>) -> Result<(), Fault> {
        Ok(())
    }

    /// Whether this saga waits to be stored for the first time, so that it has no timers yet.
    fn is_new(&self, _saga: CorrelationId) -> bool {
        false
    }

    /// Hands over what a unit has read and written, now that it is committed.
    fn remember(self, _memory: &mut Self::Memory) {}

    /// Somebody has put dead letters back; what is noted about it commits with that.
    ///
    /// # Errors
    /// Those of the store.
    fn redriven(
        _unit: &mut SqliteUnit<Self>,
        _letters: &[Redriven<'_>],
        _actor: &str,
        _at: Timestamp,
    ) -> Result<(), Fault> {
        Ok(())
    }
}

impl Rows for () {
    type Memory = ();
}
