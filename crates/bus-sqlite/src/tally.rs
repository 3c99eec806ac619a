//! Counts: written once, in the transaction that makes their changes durable.

use bus::Counts;
use rusqlite::{Connection, Result, params};

/// Writes what changed.
pub(crate) fn store(connection: &Connection, counts: &Counts) -> Result<()> {
    let mut update = connection.prepare_cached(
        "insert into tallies values (?, ?, ?) on conflict (subject, name) do update set amount = amount + excluded.amount",
    )?;
    for (subject, name, amount) in counts.changes() {
        update.execute(params![subject, name, amount])?;
    }
    Ok(())
}
