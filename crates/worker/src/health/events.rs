//! Whether every provider event belongs to an order, or was seen by a person.

use async_trait::async_trait;

use super::{Check, Finding, Scene};

/// Whether events wait that belong to no order.
pub(super) struct ProviderEventsCheck;

#[async_trait]
impl Check for ProviderEventsCheck {
    fn name(&self) -> &'static str {
        "provider-events"
    }

    async fn look(&self, scene: &Scene) -> Finding {
        match scene.store() {
            Err(unknown) => unknown,
            Ok(store) => match store.vitals.unmatched_events {
                0 => Finding::up("every event of a provider belongs to an order, or was seen to"),
                waiting => Finding::degraded(format!(
                    "{waiting} events of providers belong to no order and nobody has seen to them; list them with \
                     `orderwright providers unmatched`"
                )),
            },
        }
    }
}
