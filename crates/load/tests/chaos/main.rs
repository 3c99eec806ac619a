//! Short runs of chaos on the real program, with mishaps that each run is sure to have.

mod killed;
mod postgres;
mod rabbitmq;

/// The program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_program-under-test");
