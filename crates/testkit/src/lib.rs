//! What tests stand on: simulation on virtual time, chaos on real processes. Never shipped.

pub mod chaos;
pub mod servers;
pub mod simulation;
