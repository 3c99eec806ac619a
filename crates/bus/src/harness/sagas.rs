//! Saga instances on memory, for any saga: the user's tables say where they are kept, the rest is done here.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::task::yield_now;

use super::MemoryUnit;
use crate::{CorrelationId, Fault, Saga, SagaRepository};

/// Tables that hold instances of the saga `S`.
pub trait HoldsSagas<S> {
    /// The instances by their correlation.
    fn sagas(&mut self) -> &mut BTreeMap<CorrelationId, S>;
}

/// Tables that hold instances of one saga and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sagas<S>(pub BTreeMap<CorrelationId, S>);

impl<S> Default for Sagas<S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<S> HoldsSagas<S> for Sagas<S> {
    fn sagas(&mut self) -> &mut BTreeMap<CorrelationId, S> {
        &mut self.0
    }
}

#[async_trait]
impl<S, T> SagaRepository<S> for MemoryUnit<T>
where
    S: Saga,
    T: HoldsSagas<S> + Send,
{
    async fn load_sagas(&mut self, ids: &[CorrelationId]) -> Result<Vec<S>, Fault> {
        yield_now().await;
        let sagas = self.data.sagas();
        Ok(ids.iter().filter_map(|id| sagas.get(id).cloned()).collect())
    }

    async fn insert_sagas(&mut self, sagas: &[S], _now: Timestamp) -> Result<(), Fault> {
        yield_now().await;
        for saga in sagas {
            if self.data.sagas().insert(saga.correlation_id(), saga.clone()).is_some() {
                return Err(Fault::conflict("sagas.insert", "there is such an instance already"));
            }
        }
        Ok(())
    }

    async fn update_sagas(&mut self, sagas: &[S], _now: Timestamp) -> Result<(), Fault> {
        yield_now().await;
        for saga in sagas {
            if self.data.sagas().insert(saga.correlation_id(), saga.clone()).is_none() {
                return Err(Fault::conflict("sagas.update", "there is no such instance"));
            }
        }
        Ok(())
    }
}
