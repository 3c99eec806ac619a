//! Whether messages wait for a saga to move on, as far as a unit knows. True as long as the unit lasts: parking one takes the lock
//! of the saga too.

use bus::CorrelationId;
use tokio_postgres::{Error, Row};

use crate::PostgresUnit;
use crate::rows::Rows;

/// Whether messages wait for a saga to move on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    /// None does.
    Nothing,
    /// Some do.
    Something,
}

impl<R: Rows> PostgresUnit<R> {
    /// Takes in the answer to the question for which of `asked` messages are parked.
    pub(crate) fn note_parked(&mut self, asked: &[CorrelationId], rows: &[Row]) -> Result<(), Error> {
        self.parked.extend(asked.iter().map(|id| (*id, Parked::Nothing)));
        for row in rows {
            self.parked.insert(CorrelationId(row.try_get(0)?), Parked::Something);
        }
        Ok(())
    }
}
