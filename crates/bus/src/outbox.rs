//! The relay between the store and a broker of its own: leases outgoing rows, sends them, and removes them once confirmed.
//! No transaction is open while the broker is waited for; rows of a relay that died are leased again after a while.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use crate::limits::{BACKOFF_MAX, BACKOFF_MIN, RELAY_BATCH_MAX, RELAY_CONFIRM_MAX, RELAY_LEASE, RELAY_POLL};
use crate::{Clock, Envelope, Fault, IdSource, Stop, Transport, jittered};

/// An outgoing row held by one relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// Its place in the outbox.
    pub position: i64,
    /// What to send.
    pub envelope: Envelope,
}

/// The outbox as a relay sees it.
#[async_trait]
pub trait OutboxStore: Send + Sync + 'static {
    /// Takes up to `max` rows, oldest first, that nobody holds or whose lease has ended.
    ///
    /// # Errors
    /// Those of the store.
    async fn lease(
        &self,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
        max: usize,
    ) -> Result<Vec<Leased>, Fault>;

    /// Removes rows that were sent, if `holder` still holds them.
    ///
    /// # Errors
    /// Those of the store.
    async fn remove(&self, holder: Uuid, positions: &[i64]) -> Result<usize, Fault>;
}

/// Moves rows from outbox to broker. Several may run at once.
pub struct Relay {
    outbox: Arc<dyn OutboxStore>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    holder: Uuid,
}

impl Relay {
    /// A relay with an identity of its own.
    pub fn new(
        outbox: Arc<dyn OutboxStore>,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        let holder = ids.next(clock.now());
        Self { outbox, transport, clock, ids, holder }
    }

    /// Runs until stopped.
    pub async fn run(&self, stop: Stop) {
        let mut pause = BACKOFF_MIN;
        while !stop.is_stopped() {
            match self.step().await {
                Ok(RELAY_BATCH_MAX..) => pause = BACKOFF_MIN,
                Ok(_) => {
                    pause = BACKOFF_MIN;
                    stop.sleep(RELAY_POLL).await;
                }
                Err(fault) => {
                    tracing::warn!(%fault, "outgoing messages wait");
                    stop.sleep(jittered(pause, self.ids.as_ref())).await;
                    pause = (pause * 2).min(BACKOFF_MAX);
                }
            }
        }
    }

    /// Sends one slice; returns how many rows left the outbox.
    ///
    /// # Errors
    /// Those of the store and of the transport; rows that were sent but not removed are sent again.
    pub async fn step(&self) -> Result<usize, Fault> {
        let now = self.clock.now();
        let until = now.saturating_add(RELAY_LEASE).unwrap_or(Timestamp::MAX);
        let leased = self.outbox.lease(self.holder, now, until, RELAY_BATCH_MAX).await?;
        if leased.is_empty() {
            return Ok(0);
        }
        let (positions, envelopes): (Vec<_>, Vec<_>) =
            leased.into_iter().map(|row| (row.position, row.envelope)).unzip();
        within(RELAY_CONFIRM_MAX, self.transport.send(&envelopes)).await?;
        self.outbox.remove(self.holder, &positions).await
    }
}

async fn within(limit: Duration, sending: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
    tokio::time::timeout(limit, sending)
        .await
        .unwrap_or_else(|_| Err(Fault::retry("transport.send", format!("no confirm within {limit:?}"))))
}
