//! A connection pooler between us and the server, such as PgBouncer: whether one is there, and whether it lends its connections for
//! as long as we are connected. It says neither.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::connect::{ConnectError, driver_error, explain, place};
use crate::server::{NoConnection, Server};

/// How PgBouncer begins to say that it knows nothing of a setting: its words of 1.7 to 1.24 (`client.c`).
const UNSUPPORTED: &str = "unsupported startup parameter";

/// How long a pooler is waited for that has no other connection to lend.
const TURN: Duration = Duration::from_secs(2);

/// How often it is looked whether a connection changes hands. Others may take and give back connections meanwhile.
const LOOKS: u32 = 3;

/// Whether somebody in between takes no settings with the login.
pub(crate) fn refuses_settings(error: &NoConnection) -> bool {
    driver_error(error)
        .and_then(tokio_postgres::Error::as_db_error)
        .is_some_and(|said| said.message().starts_with(UNSUPPORTED))
}

/// Refuses a pooler that lends a connection for a transaction or a statement: prepared statements, locks, settings and what is listened
/// to belong to a connection. While another client holds the connection that we had just now, such a pooler lends us a different
/// one.
pub(crate) async fn must_lend_for_good(server: &Server) -> Result<(), ConnectError> {
    let pooled = || ConnectError::Pooled { place: place(&server.config) };
    let (ours, others) = (Guest::at(server).await?, Guest::at(server).await?);
    for _ in 0..LOOKS {
        let before = ours.process().await.ok_or_else(pooled)?;
        others.says("begin; select 1").await.ok_or_else(pooled)?;
        let meanwhile = ours.process().await;
        others.says("commit").await.ok_or_else(pooled)?;
        if meanwhile.as_ref() != Some(&before) {
            return Err(pooled());
        }
    }
    Ok(())
}

/// One client. What it says is not prepared, so that any pooler understands it.
struct Guest {
    client: Client,
    driver: JoinHandle<()>,
}

impl Guest {
    async fn at(server: &Server) -> Result<Self, ConnectError> {
        let (client, connection) = server.connect().await.map_err(|error| explain(&server.config, &error))?;
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self { client, driver })
    }

    /// The first value of the answer; nothing if none comes.
    async fn says(&self, words: &str) -> Option<String> {
        let said = tokio::time::timeout(TURN, self.client.simple_query(words)).await.ok()?.ok()?;
        let value = said.iter().find_map(first_value);
        Some(value.unwrap_or_default())
    }

    /// The process that serves it now.
    async fn process(&self) -> Option<String> {
        self.says("select pg_backend_pid()").await
    }
}

/// The first value of a row.
pub(crate) fn first_value(message: &SimpleQueryMessage) -> Option<String> {
    if let SimpleQueryMessage::Row(row) = message { row.get(0).map(str::to_owned) } else { None }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
