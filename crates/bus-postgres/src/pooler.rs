//! A connection pooler between us and the server, such as PgBouncer: whether one is there, and whether it lends its connections for
//! as long as we are connected. It says neither.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::server::{NoConnection, Server};

/// How long a pooler is waited for that has no other connection to lend.
const TURN: Duration = Duration::from_secs(2);

/// How often it is looked whether a connection changes hands. Others may take and give back connections meanwhile.
const LOOKS: u32 = 3;

/// Whether a connection is lent for as long as its client is there, and not for a transaction or a statement. While another client
/// holds the connection that we had just now, a pooler that lends for less gives us a different one. Nothing is set on these
/// connections: they may be others' next.
///
/// # Errors
/// If there is no connection.
pub(crate) async fn lends_for_good(server: &Server) -> Result<bool, NoConnection> {
    let server = server.without_settings();
    let (ours, others) = (Guest::at(&server).await?, Guest::at(&server).await?);
    for _ in 0..LOOKS {
        let before = ours.process().await;
        if before.is_none() || others.says("begin; select 1").await.is_none() {
            return Ok(false);
        }
        let meanwhile = ours.process().await;
        if others.says("commit").await.is_none() || meanwhile != before {
            return Ok(false);
        }
    }
    Ok(true)
}

/// One client. What it says is not prepared, so that any pooler understands it.
struct Guest {
    client: Client,
    driver: JoinHandle<()>,
}

impl Guest {
    async fn at(server: &Server) -> Result<Self, NoConnection> {
        let (client, connection) = server.connect().await?;
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
