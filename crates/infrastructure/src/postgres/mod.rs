//! The store on a PostgreSQL server that several processes share, with the same guarantees as the embedded one. Writes go
//! as whole sets, rows are locked in the order of their ids, and what a process works on is claimed in the database.
//! Never decides anything about orders, and never reads a clock.

mod adoption;
mod api_keys;
mod array;
mod audit;
mod bundle;
mod call_slots;
mod closed_endpoints;
mod column;
mod connect;
mod dead_letters;
mod due;
mod fault;
mod feed;
mod history;
mod housekeeping;
mod idempotency;
mod inbox;
mod inventory;
mod keeper;
mod lent;
mod message_rows;
mod orders;
mod outbox;
mod pace;
mod patience;
mod payments;
mod pipeline;
mod products;
mod queue;
mod readers;
mod relay;
mod rounds;
mod sagas;
mod schema;
mod seen;
mod server;
mod shipments;
mod store;
mod tally;
mod timers;
mod unit;
mod unmatched;

pub use connect::{ConnectError, PostgresOptions, Presence};
pub use store::PostgresStore;
pub use unit::PostgresUnit;
