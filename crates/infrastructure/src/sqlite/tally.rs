//! Counts: written once, in the transaction that makes their changes durable.

use rusqlite::{Connection, Result, params};

use crate::tally::Tally;

/// Writes what changed.
pub(super) fn store(connection: &Connection, tally: &Tally) -> Result<()> {
    let mut update = connection.prepare_cached(
        "insert into tallies values (?, ?, ?) on conflict (subject, name) do update set amount = amount + excluded.amount",
    )?;
    for (subject, name, amount) in tally.changes() {
        update.execute(params![subject, name, amount])?;
    }
    Ok(())
}
