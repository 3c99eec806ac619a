//! How long things are kept that only guard against repeats, and what a step of the sweep has removed.

use std::time::Duration;

/// How long things are kept that only guard against repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Ids of messages from outside, and events of no order that a person has seen to.
    pub inbox: Duration,
    /// Answers given under a client's key.
    pub idempotency: Duration,
    /// What leads to the events of all orders in one order. The timelines themselves stay. What
    /// became of deliveries to webhook endpoints as well.
    pub events: Duration,
}

/// What one step removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Ids of messages from outside.
    pub inbox: usize,
    /// Accepted orders by a client's key.
    pub idempotency: usize,
    /// Other answers given under a client's key.
    pub kept_answers: usize,
    /// Batches of events.
    pub events: usize,
}

impl Swept {
    /// How many rows of the kind of which most were removed.
    #[must_use]
    pub fn most(&self) -> usize {
        self.inbox.max(self.idempotency).max(self.kept_answers).max(self.events)
    }
}
