//! The user's own tables beside those of the bus: what a unit keeps of them in memory, and the steps that make them. Whoever has
//! none uses `()`.

use bus::{CorrelationId, Fault, Redriven};
use jiff::Timestamp;
use refinery::Runner;

use crate::PostgresUnit;
use crate::pipeline::Act;

/// What a unit keeps of the user's own rows: some that are not stored yet, and some that need not be read again.
pub trait Rows: Default + Send + Sync + Sized + 'static {
    /// The steps that make the user's tables; none if there are none. They are noted in `schema_history`.
    #[must_use]
    fn migrations() -> Option<Runner> {
        None
    }

    /// The statements that store what waits; nothing waits any more. Called before each question of which the answer may depend
    /// on it, and before the commit.
    fn writes(&mut self) -> Vec<Act> {
        Vec::new()
    }

    /// The statements that store what nothing in a unit ever asks for. Called with the commit, behind all others.
    fn last_writes(&mut self) -> Vec<Act> {
        Vec::new()
    }

    /// Whether this saga waits to be stored for the first time, so that it has no timers yet.
    fn is_new(&self, _saga: CorrelationId) -> bool {
        false
    }

    /// Somebody has put dead letters back; what is noted about it commits with that.
    ///
    /// # Errors
    /// Those of the store.
    fn redriven(
        _unit: &mut PostgresUnit<Self>,
        _letters: &[Redriven<'_>],
        _actor: &str,
        _at: Timestamp,
    ) -> Result<(), Fault> {
        Ok(())
    }
}

impl Rows for () {}
