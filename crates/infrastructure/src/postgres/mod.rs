//! Orders on a PostgreSQL server that several processes share, in the same transaction as the bus's queues. Writes go as whole
//! sets, and rows are locked in the order of their ids. Never decides anything about orders, and never reads a clock.

mod api_keys;
mod closed_endpoints;
mod column;
mod event_batch;
mod history;
mod holds;
mod housekeeping;
mod idempotency;
mod inventory;
mod order_events;
mod orders;
mod payments;
mod products;
mod readers;
mod returns;
mod rows;
mod sagas;
mod seen;
mod settled;
mod shipments;
mod store;
mod unit;
mod unmatched;
mod webhook_endpoints;
mod writes;

pub use bus_postgres::{ConnectError, PostgresOptions, Presence};
pub use store::PostgresStore;
pub use unit::PostgresUnit;
