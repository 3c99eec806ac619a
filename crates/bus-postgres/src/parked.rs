//! Whether messages wait for a saga to move on, as far as a unit knows. True as long as the unit lasts: parking one takes the lock
//! of the saga too.

use bus::CorrelationId;
use tokio_postgres::{Error, Row};

use crate::array::Array;
use crate::pipeline::Act;

/// Whether messages wait for a saga to move on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    /// None does.
    Nothing,
    /// Some do.
    Something,
}

/// Those of these correlations for which messages are parked.
pub(crate) fn parked_of(correlations: &[CorrelationId]) -> Act {
    let sql =
        "select correlation_id from delayed_messages where waiting = 'parked' and correlation_id = any($1)";
    let wanted = Array::uuids(correlations.iter().map(|correlation| correlation.0));
    Act::new("outbox.parked", sql, vec![Box::new(wanted)])
}

/// The answer to [`parked_of`]: what is known of each of `asked` now.
pub(crate) fn answered(asked: &[CorrelationId], rows: &[Row]) -> Result<Vec<(CorrelationId, Parked)>, Error> {
    let waiting = rows.iter().map(|row| Ok((CorrelationId(row.try_get(0)?), Parked::Something)));
    asked.iter().map(|id| Ok((*id, Parked::Nothing))).chain(waiting).collect()
}
