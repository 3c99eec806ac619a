//! Load on the running program: how fast it is (`bench`), what becomes of it when too much is asked (`stress`), and what it
//! loses when its processes are killed (`chaos`). Never shipped. It starts the program and the provider as processes, sends
//! orders over HTTP, and reconciles the totals of all sides.

pub mod chaos;
pub mod cli;

mod bench;
mod client;
mod fleet;
mod generator;
mod server_processes;
mod servers;
mod setup;
mod stress;
mod totals;
mod usage;
