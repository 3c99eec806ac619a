//! Orders in an embedded SQLite file, in the same transaction as the bus's queues. Never decides anything about orders, and
//! never reads a clock.

mod api_keys;
mod closed_endpoints;
mod column;
mod history;
mod holds;
mod housekeeping;
mod idempotency;
mod inventory;
mod memory;
mod order_events;
mod orders;
mod payments;
mod products;
mod readers;
mod returns;
mod rows;
mod sagas;
mod shipments;
mod store;
mod unit;
mod unmatched;
mod webhook_endpoints;
mod writes;

pub use bus_sqlite::{BackupError, Exclusive, FILE_GONE, FileGone, OpenError, SqliteOptions, back_up};
pub use store::SqliteStore;
pub use unit::SqliteUnit;
