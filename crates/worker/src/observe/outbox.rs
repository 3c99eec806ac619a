//! The outbox as a relay sees it, observed: each look is a sign of the relay's life. Passes everything on.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Fault, Leased, OutboxStore};
use jiff::Timestamp;
use uuid::Uuid;

use super::Pulses;

/// The name of the service that takes messages to a broker; its steps are seen where they reach the store.
pub const RELAY_SERVICE: &str = "outbox-relay";

/// An outbox, observed.
pub(super) struct ObservedOutbox {
    pub(super) inner: Arc<dyn OutboxStore>,
    pub(super) pulses: Arc<Pulses>,
}

#[async_trait]
impl OutboxStore for ObservedOutbox {
    async fn lease(
        &self,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
        max: usize,
    ) -> Result<Vec<Leased>, Fault> {
        let leased = self.inner.lease(holder, now, until, max).await;
        match &leased {
            Ok(_) => self.pulses.beat(RELAY_SERVICE),
            Err(fault) => self.pulses.fail(RELAY_SERVICE, fault),
        }
        leased
    }

    async fn remove(&self, holder: Uuid, positions: &[i64]) -> Result<usize, Fault> {
        self.inner.remove(holder, positions).await
    }
}
