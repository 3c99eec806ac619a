//! The embedded store: everything in one SQLite file, with the same guarantees as a server would give. One connection
//! writes, some read; messages committed here are handed on in memory, with their rows as the safety net.
//! Never decides anything about orders, and never reads a clock.

mod adoption;
mod api_keys;
mod closed_endpoints;
mod column;
mod dead_letters;
mod fault;
mod feed;
mod held_file;
mod history;
mod housekeeping;
mod idempotency;
mod inbox;
mod inventory;
mod memory;
mod message_rows;
mod open;
mod orders;
mod outbox;
mod ownership;
mod payments;
mod products;
mod queue;
mod reader_pool;
mod readers;
mod relay;
mod sagas;
mod schema;
mod shipments;
mod store;
mod tally;
mod timers;
mod turns;
mod unit;
mod unmatched;
mod watch;
mod writer;

pub use housekeeping::{Retention, Swept};
pub use open::{Exclusive, OpenError, SqliteOptions};
pub use store::SqliteStore;
pub use unit::SqliteUnit;
pub use watch::{FILE_GONE, FileGone};

/// Who carries messages from the outbox to their queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routing {
    /// The store itself: the outbox is the queues.
    Store,
    /// A relay, to a broker that knows the queues.
    Outbox,
}
