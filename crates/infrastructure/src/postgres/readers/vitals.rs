//! The signs of life, and the state of the server.

use application::ports::{DatabaseState, VitalSigns, Vitals};
use async_trait::async_trait;
use bus::Fault;
use jiff::Timestamp;

use super::super::PostgresStore;
use crate::vitals;
use bus_postgres::{query, views};

/// What the server says of itself: name and amount.
const STATE: &str = "select 'in_recovery', pg_is_in_recovery()::int::bigint
     union all select 'connections_used', count(*) from pg_stat_activity where datname = current_database()
     union all select 'connections_max', current_setting('max_connections')::bigint
     union all select 'oldest_transaction_ms',
         coalesce((extract(epoch from max(clock_timestamp() - xact_start)) * 1000)::bigint, 0)
         from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
     union all select 'waiting_for_locks', count(*) from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'
     union all select 'wal_mib', case when pg_is_in_recovery() then 0
         else (pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') / 1048576)::bigint end";

#[async_trait]
impl VitalSigns for PostgresStore {
    async fn vitals(&self, overdue_since: Timestamp) -> Result<Vitals, Fault> {
        let sql = vitals::statement("is_open", "i.is_low");
        let values = [Box::new(overdue_since.as_microsecond()) as bus_postgres::Value<'_>];
        let reader = self.reader("vitals.read").await?;
        let rows = query(&reader, "vitals.read", &sql, &values).await?;
        let told =
            views(&rows, "vitals.read", |row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))?;
        Ok(vitals::vitals(told))
    }

    async fn database_state(&self) -> Result<DatabaseState, Fault> {
        let reader = self.reader("database.state").await?;
        let rows = query(&reader, "database.state", STATE, &[]).await?;
        let facts = views(&rows, "database.state", |row| Ok((row.try_get(0)?, row.try_get(1)?)))?;
        Ok(DatabaseState { engine: "postgresql", facts })
    }
}
