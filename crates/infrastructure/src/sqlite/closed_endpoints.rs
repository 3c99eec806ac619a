//! Receivers of our webhooks that want no more of them.

use application::ports::{AuditRepository, ClosedEndpoints};
use async_trait::async_trait;
use bus::{Fault, Unit};
use jiff::Timestamp;
use rusqlite::params;

use super::SqliteStore;
use super::column::{Micros, time};
use crate::audit;
use bus_sqlite::fault;

#[async_trait]
impl ClosedEndpoints for SqliteStore {
    async fn close_endpoint(&self, address: &str, reason: &str, now: Timestamp) -> Result<bool, Fault> {
        let unit = self.unit().await?;
        let sql = "insert into closed_endpoints values (?, ?, ?) on conflict do nothing";
        let closed = unit.connection().execute(sql, params![address, reason, Micros(now)]);
        let closed = closed.map_err(fault("endpoints.close"))? > 0;
        Box::new(unit).commit().await?;
        Ok(closed)
    }

    async fn reopen_endpoint(&self, address: &str, actor: &str, now: Timestamp) -> Result<bool, Fault> {
        let mut unit = self.unit().await?;
        let reopened = unit.connection().execute("delete from closed_endpoints where address = ?", [address]);
        let reopened = reopened.map_err(fault("endpoints.reopen"))? > 0;
        if reopened {
            unit.record(&[audit::reopened(address, actor, now)]).await?;
        }
        Box::new(unit).commit().await?;
        Ok(reopened)
    }

    async fn closed_endpoints(&self) -> Result<Vec<(String, String, Timestamp)>, Fault> {
        self.read("endpoints.list", |connection| {
            let sql = "select address, reason, closed_at from closed_endpoints order by address";
            let found = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, time(row, 2)?));
            connection.prepare_cached(sql)?.query_map([], found)?.collect()
        })
        .await
    }
}
