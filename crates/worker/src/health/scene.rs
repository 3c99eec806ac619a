//! What one round of checks looks at together, so that the store is asked once and not once for each check.

use application::ports::{Overview, Vitals};
use jiff::Timestamp;
use tokio::time::Instant;

use super::Finding;

/// The store as it was seen at the beginning of a round.
pub struct Scene {
    /// When, as people count: for what is stored under such a time.
    pub now: Timestamp,
    /// The monotonic time of the reading, to measure how long a state lasts.
    pub at: Instant,
    /// Counts and ages; or why they could not be read.
    pub store: Result<StoreScene, String>,
}

/// What the store holds.
#[derive(Clone, Debug, Default)]
pub struct StoreScene {
    /// Counts.
    pub overview: Overview,
    /// Ages and what is overdue.
    pub vitals: Vitals,
}

impl Scene {
    /// The store's data, or the finding for checks that need it.
    ///
    /// # Errors
    /// That it could not be read.
    pub fn store(&self) -> Result<&StoreScene, Finding> {
        self.store.as_ref().map_err(|why| Finding::down(format!("not known: {why}")))
    }
}

impl StoreScene {
    /// Sagas in this state.
    #[must_use]
    pub fn sagas(&self, state: &str) -> u64 {
        self.overview.sagas.iter().find(|(name, _)| name == state).map_or(0, |(_, count)| *count)
    }
}
