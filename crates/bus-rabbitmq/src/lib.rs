//! RabbitMQ as the transport, speaking MassTransit's envelope and topology. Delivers at least once; everything that makes it
//! exactly once is above, in the store's transaction. Uses none of the driver's own recovery.
#![doc = include_str!("../README.md")]

mod attempt;
mod culprits;
mod declaration;
mod depths;
mod error_queues;
mod exchanges;
mod feed;
mod heard;
mod held;
mod holds;
mod limits;
mod link;
mod post;
mod properties;
mod publisher;
mod receipts;
mod refusal;
mod renewals;
mod session;
mod settings;
mod shared;
mod steps;
mod transport;
mod troubles;
mod turns;
mod unreadable;
mod watch;
pub mod wire;

pub use depths::QueueDepth;
pub use settings::{QueueKind, RabbitMqSettings, SettingsError};
pub use transport::RabbitMqTransport;
