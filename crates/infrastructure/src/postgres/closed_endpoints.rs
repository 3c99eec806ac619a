//! Receivers of our webhooks that want no more of them.

use application::ports::{AuditRepository, ClosedEndpoints};
use async_trait::async_trait;
use bus::{Fault, Unit};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::PostgresStore;
use super::column::{Broken, time};
use crate::audit;
use bus_postgres::Act;
use bus_postgres::broken;
use bus_postgres::query;

#[async_trait]
impl ClosedEndpoints for PostgresStore {
    async fn close_endpoint(&self, address: &str, reason: &str, now: Timestamp) -> Result<bool, Fault> {
        let sql = "insert into closed_endpoints (address, reason, closed_at) values ($1, $2, $3)
             on conflict do nothing returning address";
        let values: Vec<bus_postgres::Value<'static>> =
            vec![Box::new(address.to_owned()), Box::new(reason.to_owned()), Box::new(now.as_microsecond())];
        let rows = self.run_alone("endpoints.close", Act::new("endpoints.close", sql, values)).await?;
        Ok(!rows.is_empty())
    }

    async fn reopen_endpoint(&self, address: &str, actor: &str, now: Timestamp) -> Result<bool, Fault> {
        let mut unit = self.unit().await?;
        let sql = "delete from closed_endpoints where address = $1 returning address";
        let act = Act::new("endpoints.reopen", sql, vec![Box::new(address.to_owned())]);
        let reopened = !unit.ask(act).await?.is_empty();
        if reopened {
            unit.record(&[audit::reopened(address, actor, now)]).await?;
        }
        Box::new(unit).commit().await?;
        Ok(reopened)
    }

    async fn closed_endpoints(&self) -> Result<Vec<(String, String, Timestamp)>, Fault> {
        let reader = self.reader("endpoints.list").await?;
        let sql = "select address, reason, closed_at from closed_endpoints order by address";
        let rows = query(&reader, "endpoints.list", sql, &[]).await?;
        rows.iter().map(closed).collect::<Result<_, _>>().map_err(broken("endpoints.list"))
    }
}

fn closed(row: &Row) -> Result<(String, String, Timestamp), Broken> {
    Ok((row.try_get(0)?, row.try_get(1)?, time(row, 2)?))
}
