//! What the publisher is given.

use lapin::BasicProperties;
use lapin::types::ShortString;

use super::properties;
use super::wire::Parcel;

/// Something to publish.
pub(super) struct Post {
    pub(super) exchange: String,
    /// The queue that has handled it already; nobody else looks at it.
    pub(super) routing_key: String,
    pub(super) demand: Demand,
    pub(super) properties: BasicProperties,
    pub(super) body: Vec<u8>,
}

impl Post {
    /// A message of ours.
    pub(super) fn of(parcel: Parcel, demand: Demand, exchange: String, routing_key: &str) -> Self {
        let properties = properties::of(&parcel);
        Self { exchange, routing_key: routing_key.to_owned(), demand, properties, body: parcel.body }
    }

    /// Its message id, which the broker names if it returns it; empty if it has none.
    pub(super) fn id(&self) -> &str {
        self.properties.message_id().as_ref().map_or("", ShortString::as_str)
    }
}

/// Whether a queue is known to want a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// It must come to a queue. Its exchange was declared with the topology.
    Wanted,
    /// News: whoever is interested has bound the exchange, perhaps nobody.
    Optional,
    /// An answer, for an exchange that its receiver has made and takes away when it goes. We make none, and what cannot go there has no
    /// reader any more.
    Answer,
    /// A fault: news whose exchange leads to that of all faults.
    Fault {
        /// The exchange of all faults.
        all: &'static str,
    },
}
