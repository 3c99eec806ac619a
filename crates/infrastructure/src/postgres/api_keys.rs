//! Keys that let callers in. Knows only the digests of their secrets.

use application::ports::{ApiKey, ApiKeys, AuditRepository};
use async_trait::async_trait;
use bus::{Fault, Unit};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::PostgresStore;
use super::column::{Broken, name, rows_max, time, time_or_none};
use bus_postgres::Act;
use bus_postgres::broken;
use bus_postgres::query;

#[async_trait]
impl ApiKeys for PostgresStore {
    async fn add_key(&self, key: &ApiKey, actor: &str) -> Result<(), Fault> {
        let mut unit = self.unit().await?;
        let sql = "insert into api_keys (id, name, digest, scopes, created_at, expires_at, revoked_at)
             values ($1, $2, $3, $4, $5, $6, $7)";
        let micros = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
        let act = Act::new(
            "keys.add",
            sql,
            vec![
                Box::new(key.id.clone()),
                Box::new(key.name.clone()),
                Box::new(key.digest.to_vec()),
                Box::new(key.scopes.to_string()),
                Box::new(key.created_at.as_microsecond()),
                Box::new(micros(key.expires_at)),
                Box::new(micros(key.revoked_at)),
            ],
        );
        unit.ask(act).await?;
        unit.record(&[key.creation(actor)]).await?;
        Box::new(unit).commit().await
    }

    async fn revoke_key(&self, id: &str, actor: &str, now: Timestamp) -> Result<bool, Fault> {
        let mut unit = self.unit().await?;
        let sql = "update api_keys set revoked_at = $2 where id = $1 and revoked_at is null returning id";
        let act = Act::new("keys.revoke", sql, vec![Box::new(id.to_owned()), Box::new(now.as_microsecond())]);
        let revoked = !unit.ask(act).await?.is_empty();
        if revoked {
            unit.record(&[ApiKey::revocation(id, actor, now)]).await?;
        }
        Box::new(unit).commit().await?;
        Ok(revoked)
    }

    async fn keys(&self, max: usize) -> Result<Vec<ApiKey>, Fault> {
        let reader = self.reader("keys.list").await?;
        let sql = "select id, name, digest, scopes, created_at, expires_at, revoked_at from api_keys
             order by created_at, id limit $1";
        let rows = query(&reader, "keys.list", sql, &[Box::new(rows_max(max))]).await?;
        rows.iter().map(key).collect::<Result<_, _>>().map_err(broken("keys.list"))
    }
}

fn key(row: &Row) -> Result<ApiKey, Broken> {
    Ok(ApiKey {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        digest: row.try_get::<_, &[u8]>(2)?.try_into()?,
        scopes: name(row, 3)?,
        created_at: time(row, 4)?,
        expires_at: time_or_none(row, 5)?,
        revoked_at: time_or_none(row, 6)?,
    })
}
