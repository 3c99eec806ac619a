//! Servers of a test's own: started on free ports with their data in a folder of their own, killed with the test.
//! Never touches a server that it did not start.

mod guard;
mod postgres;
mod programs;
pub mod rabbitmq;

pub use postgres::{Durability, Postgres};
