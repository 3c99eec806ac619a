//! What tests stand on: laws for every engine, simulation on virtual time, private servers. Never shipped.

pub mod agreeable;
pub mod conformance;
pub mod happen;
pub mod proxy;
pub mod servers;
pub mod simulation;
