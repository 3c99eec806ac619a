//! Keys that let callers in. Knows only the digests of their secrets.

use application::ports::{ApiKey, ApiKeys, AuditRepository};
use async_trait::async_trait;
use bus::{Fault, Unit};
use jiff::Timestamp;
use rusqlite::{Connection, Result, Row, params};

use super::SqliteStore;
use super::column::{Micros, name, rows_max, time, time_or_none};
use bus_sqlite::fault;

#[async_trait]
impl ApiKeys for SqliteStore {
    async fn add_key(&self, key: &ApiKey, actor: &str) -> std::result::Result<(), Fault> {
        let mut unit = self.unit().await?;
        add(unit.connection(), key).map_err(fault("keys.add"))?;
        unit.record(&[key.creation(actor)]).await?;
        Box::new(unit).commit().await
    }

    async fn revoke_key(&self, id: &str, actor: &str, now: Timestamp) -> std::result::Result<bool, Fault> {
        let mut unit = self.unit().await?;
        let sql = "update api_keys set revoked_at = ?2 where id = ?1 and revoked_at is null";
        let revoked =
            unit.connection().execute(sql, params![id, Micros(now)]).map_err(fault("keys.revoke"))? > 0;
        if revoked {
            unit.record(&[ApiKey::revocation(id, actor, now)]).await?;
        }
        Box::new(unit).commit().await?;
        Ok(revoked)
    }

    async fn keys(&self, max: usize) -> std::result::Result<Vec<ApiKey>, Fault> {
        self.read("keys.list", move |connection| {
            let sql = "select id, name, digest, scopes, created_at, expires_at, revoked_at from api_keys
                 order by created_at, id limit ?";
            connection.prepare_cached(sql)?.query_map([rows_max(max)], key)?.collect()
        })
        .await
    }
}

fn add(connection: &Connection, key: &ApiKey) -> Result<usize> {
    connection.execute(
        "insert into api_keys values (?, ?, ?, ?, ?, ?, ?)",
        params![
            key.id,
            key.name,
            &key.digest[..],
            key.scopes.to_string(),
            Micros(key.created_at),
            key.expires_at.map(Micros),
            key.revoked_at.map(Micros),
        ],
    )
}

fn key(row: &Row<'_>) -> Result<ApiKey> {
    Ok(ApiKey {
        id: row.get(0)?,
        name: row.get(1)?,
        digest: row.get(2)?,
        scopes: name(row, 3)?,
        created_at: time(row, 4)?,
        expires_at: time_or_none(row, 5)?,
        revoked_at: time_or_none(row, 6)?,
    })
}
