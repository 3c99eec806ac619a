//! What the publisher is given.

use super::wire::Parcel;

/// Something to publish.
pub(super) struct Post {
    pub(super) exchange: String,
    /// The queue that has handled it already; nobody else looks at it.
    pub(super) routing_key: String,
    pub(super) demand: Demand,
    pub(super) parcel: Parcel,
}

/// Whether a queue is known to want a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// It must come to a queue. Its exchange was declared with the topology.
    Wanted,
    /// News: whoever is interested has bound the exchange, perhaps nobody.
    Optional,
    /// A fault: news whose exchange leads to that of all faults.
    Fault {
        /// The exchange of all faults.
        all: &'static str,
    },
}
