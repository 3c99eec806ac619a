//! What every feed of a transport needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bus::Clock;
use tokio::sync::watch;

use super::culprits::Culprits;
use super::declaration::Declaration;
use super::held::Held;
use super::link::Link;
use super::publisher::Publisher;
use super::renewals::Renewals;
use super::troubles::Troubles;
use super::turns::Turns;
use super::wire::Codec;

/// What every feed needs.
pub(super) struct Shared {
    /// Has the names of queues at the broker.
    pub(super) declaration: Arc<Declaration>,
    /// Begins each of these.
    pub(super) prefix: String,
    /// For what is said of messages that cannot be read.
    pub(super) publisher: Arc<Publisher>,
    pub(super) codec: Codec,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) consuming: Arc<Link>,
    /// Queues that cannot be read along with the others.
    pub(super) culprits: Culprits,
    /// Deliveries that the broker may send ahead, per feed.
    pub(super) prefetch: u16,
    /// How long the broker may take to let somebody read a queue.
    pub(super) answer_limit: Duration,
    /// Queues that could not be read.
    pub(super) troubles: Troubles,
    /// What is in our hands.
    pub(super) held: Held,
    /// When consumers were made anew.
    pub(super) renewals: Renewals,
    /// Raised with each message that came back for want of a queue.
    pub(super) returns: Arc<watch::Sender<u64>>,
    pub(super) generations: AtomicU64,
    /// Whose turn it is at the error queues.
    pub(super) turns: Turns,
}

impl Shared {
    /// The name of a queue at the broker.
    pub(super) fn named(&self, queue: &str) -> String {
        [&self.prefix, queue].concat()
    }

    /// The name of a queue as it is known here.
    pub(super) fn bare<'a>(&self, named: &'a str) -> &'a str {
        named.strip_prefix(&*self.prefix).unwrap_or(named)
    }

    /// Tells consuming channels apart over the life of the process.
    pub(super) fn next_generation(&self) -> u64 {
        self.generations.fetch_add(1, Ordering::Relaxed)
    }
}
