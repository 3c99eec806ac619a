//! The bus on a PostgreSQL server that several processes share: queues, outbox, timers, inbox and dead letters in the same
//! transaction as the user's own tables. Writes go as whole sets, and what a process works on is claimed in the database. Knows
//! nothing of what the messages are about, and never reads a clock.
//!
//! [`PostgresBus`] is the store and the transport. Its units keep what the user says of its own rows ([`Rows`]); `()` has none.
#![doc = include_str!("../README.md")]

mod adoption;
mod array;
mod auditor;
mod bundle;
mod call_slots;
pub mod column;
mod connect;
mod connect_error;
mod dead_letters;
mod due;
mod fault;
mod feed;
mod hosts;
mod housekeeping;
mod inbox;
mod keeper;
mod leases;
mod lent;
mod message_rows;
mod outbox;
mod outgoing;
mod pace;
mod parked;
mod patience;
mod pauses;
mod pipeline;
mod pooler;
mod queue;
mod reading;
mod relay;
mod rounds;
mod sagas;
mod schema;
mod server;
mod shared;
mod store;
mod tally;
mod timers;
mod unit;
mod workers;

pub use array::Array;
pub use auditor::Auditor;
pub use connect::{DatabaseOwner, PostgresOptions, Presence};
pub use connect_error::ConnectError;
pub use fault::{CHANGED, Taken, broken, fault};
pub use housekeeping::before;
pub use lent::Lent;
pub use pipeline::{Act, Param};
pub use reading::{Value, query, views};
pub use store::PostgresBus;
pub use tally::READ as COUNTS;
pub use unit::{PostgresUnit, Rows};
