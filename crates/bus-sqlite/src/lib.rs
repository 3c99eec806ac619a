//! The bus on an embedded SQLite file: queues, outbox, timers, inbox and dead letters in the same transaction as the user's own
//! tables. One connection writes, some read; messages committed here are handed on in memory, with their rows as the safety
//! net. Knows nothing of what the messages are about, and never reads a clock.
//!
//! [`SqliteBus`] is the store and the transport. Its units keep what the user says of its own rows ([`Rows`]); `()` has none.
#![doc = include_str!("../README.md")]

mod adoption;
mod backup;
pub mod column;
mod contents;
mod dead_letters;
mod fault;
mod feed;
mod held_file;
mod housekeeping;
mod inbox;
mod message_rows;
mod open;
mod options;
mod outbox;
mod ownership;
mod pauses;
mod queue;
mod reader_pool;
mod relay;
mod sagas;
mod schema;
mod store;
mod tally;
mod timers;
mod turns;
mod unit;
mod view;
mod watch;
mod workers;
mod writer;

pub use backup::{BackupError, back_up};
pub use fault::{changed_meanwhile, conflict_if_taken, fault};
pub use housekeeping::before;
pub use options::{DatabaseOwner, Exclusive, OpenError, SqliteOptions};
pub use store::SqliteBus;
pub use unit::{Rows, SqliteUnit};
pub use watch::{FILE_GONE, FileGone};
