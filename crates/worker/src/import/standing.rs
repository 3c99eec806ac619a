//! How the orders stand as a whole, and waiting until each of them is final.

use std::time::Duration;

use anyhow::Result;
use application::ports::{Overview, Readers};
use application::saga::SagaState;
use tokio::time::Instant;

use super::Gauge;

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Orders by where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// All there are.
    pub accepted: u64,
    /// Not yet looked at: the stock for them is not set aside.
    pub fresh: u64,
    /// Delivered.
    pub delivered: u64,
    /// Cancelled, with everything undone.
    pub cancelled: u64,
    /// Being undone.
    pub being_undone: u64,
    /// Waiting for a person.
    pub needs_attention: u64,
    /// Waiting until their holds are released.
    pub on_hold: u64,
    /// Waiting for their goods.
    pub awaiting_stock: u64,
}

impl Standing {
    /// The standing in an overview.
    #[must_use]
    pub fn of(overview: &Overview) -> Self {
        let count = |state: SagaState| {
            let found = overview.sagas.iter().find(|(name, _)| name == state.as_str());
            found.map_or(0, |(_, count)| *count)
        };
        Self {
            accepted: overview.sagas.iter().map(|(_, count)| count).sum(),
            fresh: count(SagaState::Created),
            delivered: count(SagaState::Completed),
            cancelled: count(SagaState::Failed),
            being_undone: count(SagaState::Compensating),
            needs_attention: count(SagaState::NeedsAttention),
            on_hold: count(SagaState::OnHold),
            awaiting_stock: count(SagaState::AwaitingStock),
        }
    }

    /// Orders with which the service has nothing more to do by itself.
    #[must_use]
    pub const fn settled(&self) -> u64 {
        self.delivered + self.cancelled + self.needs_attention + self.on_hold + self.awaiting_stock
    }
}

/// Waits until all orders are settled, or until none has moved for as long as `stall_max`. Returns how they stand then.
///
/// # Errors
/// If the store cannot be read.
pub async fn settle(readers: &dyn Readers, gauge: &Gauge, stall_max: Duration) -> Result<Standing> {
    let mut last = Standing::default();
    let mut moved_at = Instant::now();
    loop {
        let standing = Standing::of(&readers.overview().await?);
        gauge.set(standing.settled());
        if standing.settled() == standing.accepted || moved_at.elapsed() > stall_max {
            return Ok(standing);
        }
        if standing != last {
            (last, moved_at) = (standing, Instant::now());
        }
        tokio::time::sleep(LOOK).await;
    }
}
