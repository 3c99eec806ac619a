//! Sagas of users who keep them in no table of their own: one row for each instance, its state as JSON.

use async_trait::async_trait;
use bus::{CorrelationId, Fault, SagaRepository, StoredSaga, from_json, to_json};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, params};

use crate::column::Micros;
use crate::fault::{changed_meanwhile, conflict_if_taken, fault};
use crate::unit::{Rows, SqliteUnit};

#[async_trait]
impl<R: Rows, S: StoredSaga> SagaRepository<S> for SqliteUnit<R> {
    async fn load_sagas(&mut self, ids: &[CorrelationId]) -> std::result::Result<Vec<S>, Fault> {
        let states = select(self.connection(), S::NAME, ids).map_err(fault("sagas.load"))?;
        states.iter().map(|state| from_json(state)).collect()
    }

    async fn insert_sagas(&mut self, sagas: &[S], now: Timestamp) -> std::result::Result<(), Fault> {
        insert(self.connection(), sagas, now).map_err(conflict_if_taken("sagas.insert"))
    }

    async fn update_sagas(&mut self, sagas: &[S], now: Timestamp) -> std::result::Result<(), Fault> {
        match update(self.connection(), sagas, now).map_err(fault("sagas.update"))? {
            Some(stray) => Err(changed_meanwhile("sagas.update", stray.0)),
            None => Ok(()),
        }
    }
}

fn select(connection: &Connection, name: &str, ids: &[CorrelationId]) -> Result<Vec<Vec<u8>>> {
    let mut select =
        connection.prepare_cached("select state from sagas where saga = ? and correlation_id = ?")?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(select.query_row(params![name, id.0.as_bytes()], |row| row.get(0)).optional()?);
    }
    Ok(found)
}

fn insert<S: StoredSaga>(connection: &Connection, sagas: &[S], now: Timestamp) -> Result<()> {
    let mut insert = connection.prepare_cached("insert into sagas values (?1, ?2, ?3, ?4, ?4)")?;
    for saga in sagas {
        let state = to_json(saga);
        insert.execute(params![S::NAME, saga.correlation_id().0.as_bytes(), &*state, Micros(now)])?;
    }
    Ok(())
}

/// Stores all; the first that is not there, if any.
fn update<S: StoredSaga>(
    connection: &Connection,
    sagas: &[S],
    now: Timestamp,
) -> Result<Option<CorrelationId>> {
    let sql = "update sagas set state = ?3, updated_at = max(updated_at, ?4) where saga = ?1 and correlation_id = ?2";
    let mut update = connection.prepare_cached(sql)?;
    for saga in sagas {
        let (id, state) = (saga.correlation_id(), to_json(saga));
        if update.execute(params![S::NAME, id.0.as_bytes(), &*state, Micros(now)])? != 1 {
            return Ok(Some(id));
        }
    }
    Ok(None)
}
