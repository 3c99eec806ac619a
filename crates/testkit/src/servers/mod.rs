//! Servers of a test's own: started on free ports with their data in a folder of their own, killed with the test.
//! Never touches a server that it did not start.

pub mod browser;
#[cfg(test)]
mod fakes;
pub mod family;
mod guard;
mod install;
mod log;
mod pgbouncer;
mod postgres;
mod programs;
pub mod prometheus;
pub mod python;
pub mod rabbitmq;
mod smtp;
pub mod tools;

use anyhow::Result;

pub use guard::{Ends, Guard};
pub use pgbouncer::PgBouncer;
pub use postgres::{Durability, Postgres};
pub use smtp::Smtp;

/// Which servers can be started here, a line for each. Installs what is missing where that is possible.
///
/// # Errors
/// Says what to install.
pub fn ready() -> Result<Vec<String>> {
    let folder = programs::postgres()?;
    let pooler = programs::pgbouncer()?;
    let rabbitmq = programs::rabbitmq()?;
    let prometheus = programs::prometheus()?;
    let smtp = programs::smtp()?;
    let browser = programs::browser()?;
    Ok(vec![
        format!("{} in {}", programs::release(&folder)?, folder.display()),
        format!("PgBouncer at {}", pooler.display()),
        format!("RabbitMQ {} at {}", programs::rabbitmq_release(&rabbitmq)?, rabbitmq.server.display()),
        format!("Prometheus at {}", prometheus.server.display()),
        format!("aiosmtpd for {}", smtp.display()),
        format!("Chromium at {}", browser.browser.display()),
    ])
}
