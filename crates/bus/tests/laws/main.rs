//! The laws of the bus, on memory and virtual time. A test here waits for events or moves the clock; it never sleeps.

mod batches;
mod chain;
mod coalescer;
mod crashes;
mod effects;
mod inbox;
mod ledger;
mod local_first;
mod outages;
mod pauses;
mod redelivery;
mod registry;
mod relay;
mod sagas;
mod supervisor;
mod timers;
