//! The signs of life, and the state of the file.

use application::ports::{DatabaseState, VitalSigns, Vitals};
use async_trait::async_trait;
use bus::Fault;
use jiff::Timestamp;
use rusqlite::{Connection, Result, Row};

use super::super::SqliteStore;
use super::super::column::Micros;
use crate::vitals;

#[async_trait]
impl VitalSigns for SqliteStore {
    async fn vitals(&self, overdue_since: Timestamp) -> std::result::Result<Vitals, Fault> {
        self.read("vitals.read", move |connection| read(connection, overdue_since)).await
    }

    async fn database_state(&self) -> std::result::Result<DatabaseState, Fault> {
        let mut facts = self.read("database.state", state).await?;
        let wal = self.file_sizes().into_iter().find(|(path, _)| path.to_string_lossy().ends_with("-wal"));
        if let Some((_, Some(bytes))) = wal {
            facts.push(("wal_bytes".to_owned(), i64::try_from(bytes).unwrap_or(i64::MAX)));
        }
        Ok(DatabaseState { engine: "sqlite", facts })
    }
}

fn read(connection: &Connection, overdue_since: Timestamp) -> Result<Vitals> {
    let sql = vitals::statement("is_open = 1", "i.available_stock <= i.reorder_level");
    let told = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([Micros(overdue_since)], told)?.collect::<Result<Vec<_>>>()?;
    Ok(vitals::vitals(rows))
}

/// Asks for a row of a table, so that a file that cannot be read is noticed.
fn state(connection: &Connection) -> Result<Vec<(String, i64)>> {
    let ask = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    ask("select last_position from positions")?;
    let bytes = ask("pragma page_count")? * ask("pragma page_size")?;
    let free = ask("pragma freelist_count")?;
    Ok(vec![("file_bytes".to_owned(), bytes), ("free_pages".to_owned(), free)])
}
