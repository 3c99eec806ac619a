//! What tests stand on: laws for every engine, simulation on virtual time, chaos on real processes. Never shipped.

pub mod chaos;
pub mod conformance;
pub mod servers;
pub mod simulation;
