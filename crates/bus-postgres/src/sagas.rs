//! Sagas of users who keep them in no table of their own: one row for each instance, its state as JSON. The row is also the lock
//! of the instance.

use async_trait::async_trait;
use bus::{CorrelationId, Fault, SagaRepository, StoredSaga, from_json, to_json};
use jiff::Timestamp;

use crate::array::Array;
use crate::fault::{CHANGED, Taken, fault};
use crate::pipeline::{Act, Param};
use crate::unit::{PostgresUnit, Rows};

#[async_trait]
impl<R: Rows, S: StoredSaga> SagaRepository<S> for PostgresUnit<R> {
    async fn load_sagas(&mut self, ids: &[CorrelationId]) -> Result<Vec<S>, Fault> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.ask_locking(select(S::NAME, ids), ids).await?;
        let states = rows.iter().map(|row| row.try_get::<_, &[u8]>(0)).collect::<Result<Vec<_>, _>>();
        let states = states.map_err(fault("sagas.load", Taken::GiveUp))?;
        states.into_iter().map(from_json).collect()
    }

    async fn insert_sagas(&mut self, sagas: &[S], now: Timestamp) -> Result<(), Fault> {
        if !sagas.is_empty() {
            self.later(Act::new("sagas.insert", INSERT, columns(sagas, now)).conflict_if_taken());
        }
        Ok(())
    }

    async fn update_sagas(&mut self, sagas: &[S], now: Timestamp) -> Result<(), Fault> {
        if !sagas.is_empty() {
            let mut params = columns(sagas, now);
            params.push(Box::new(CHANGED));
            self.later(Act::new("sagas.update", UPDATE, params));
        }
        Ok(())
    }
}

/// Rows that are locked are joined with the ids instead of compared with an array of them: of each row that another transaction
/// has changed meanwhile, the server looks again whether it is wanted, and would then sort the whole array anew.
fn select(name: &'static str, ids: &[CorrelationId]) -> Act {
    let sql = "select state from unnest($2::uuid[]) as wanted (id) join sagas on saga = $1 and correlation_id = wanted.id
         order by correlation_id for update of sagas";
    let ids = Array::uuids(ids.iter().map(|id| id.0));
    Act::new("sagas.load", sql, vec![Box::new(name), Box::new(ids)])
}

const INSERT: &str = "insert into sagas (saga, correlation_id, state, created_at, updated_at)
     select $1, id, state, $4, $4 from unnest($2::uuid[], $3::bytea[]) as fresh (id, state)";

const UPDATE: &str = "with moved as (
         update sagas s set state = n.state, updated_at = greatest(s.updated_at, $4)
         from unnest($2::uuid[], $3::bytea[]) as n (id, state)
         where s.saga = $1 and s.correlation_id = n.id returning 1
     )
     select require_rows((select count(*) from moved), cardinality($2::uuid[]), $5, 'sagas.update')";

fn columns<S: StoredSaga>(sagas: &[S], now: Timestamp) -> Vec<Param> {
    let mut states = Array::of_bytes();
    sagas.iter().for_each(|saga| states.push_bytes(&to_json(saga)));
    vec![
        Box::new(S::NAME),
        Box::new(Array::uuids(sagas.iter().map(|saga| saga.correlation_id().0))),
        Box::new(states),
        Box::new(now.as_microsecond()),
    ]
}
