//! What tests stand on: laws for every engine, simulation on virtual time, chaos on real processes. Never shipped.

pub mod agreeable;
pub mod chaos;
pub mod conformance;
pub mod proxy;
pub mod servers;
pub mod simulation;
