//! Servers of a test's own: started on free ports with their data in a folder of their own, killed with the test.
//! Never touches a server that it did not start.

mod guard;
mod postgres;
mod programs;
pub mod prometheus;
pub mod rabbitmq;

use anyhow::Result;

pub use postgres::{Durability, Postgres};

/// Which servers can be started here, a line for each. Installs what is missing where that is possible.
///
/// # Errors
/// Says what to install.
pub fn ready() -> Result<Vec<String>> {
    let folder = programs::postgres()?;
    let rabbitmq = programs::rabbitmq()?;
    let prometheus = programs::prometheus()?;
    Ok(vec![
        format!("{} in {}", programs::release(&folder)?, folder.display()),
        format!("RabbitMQ at {}", rabbitmq.server.display()),
        format!("Prometheus at {}", prometheus.server.display()),
    ])
}
