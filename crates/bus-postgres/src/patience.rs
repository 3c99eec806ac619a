//! Waiting for the server, and never for ever: one that was stopped, or whose host died, closes no connection and says
//! nothing. What was asked of it may still be done later, so a connection that was waited for in vain is not used again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::Fault;
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use crate::fault::{Taken, fault, refuses_writes};

/// No answer came.
#[derive(Clone, Copy, Debug, Error)]
#[error("the server has said nothing for {0:?}")]
pub(crate) struct Silent(pub(crate) Duration);

/// How long an answer on one connection is waited for, and whether the connection is still worth it.
pub(crate) struct Patience {
    limit: Duration,
    is_lost: AtomicBool,
}

impl Patience {
    pub(crate) const fn new(limit: Duration) -> Self {
        Self { limit, is_lost: AtomicBool::new(false) }
    }

    /// Waits for one answer. Of statements that were sent in a row each is waited for in its turn, as each has the server's
    /// own limit for itself.
    pub(crate) async fn answer<T>(
        &self,
        operation: &'static str,
        taken: Taken,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fault> {
        match tokio::time::timeout(self.limit, answer).await {
            Ok(Ok(answered)) => Ok(answered),
            Ok(Err(error)) => {
                if refuses_writes(&error) {
                    self.lose();
                }
                Err(fault(operation, taken)(error))
            }
            Err(_) => {
                self.lose();
                Err(Fault::retry(operation, Silent(self.limit)))
            }
        }
    }

    /// Whether the connection must not be used any more: its server is silent, or takes no writes.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    fn lose(&self) {
        self.is_lost.store(true, Ordering::Relaxed);
    }
}

/// A connection of nobody else's; closed when dropped, whatever is still to be answered on it.
pub(crate) struct Line {
    pub(crate) client: Client,
    pub(crate) patience: Patience,
    driver: JoinHandle<()>,
}

impl Line {
    /// A client, and what drives its connection.
    pub(crate) const fn new(client: Client, driver: JoinHandle<()>, limit: Duration) -> Self {
        Self { client, patience: Patience::new(limit), driver }
    }

    /// Runs a query that stands for itself.
    pub(crate) async fn query(
        &self,
        operation: &'static str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Fault> {
        self.patience.answer(operation, Taken::GiveUp, self.client.query(sql, values)).await
    }

    /// Runs statements of which nothing is asked.
    pub(crate) async fn run(&self, operation: &'static str, sql: &str) -> Result<(), Fault> {
        self.patience.answer(operation, Taken::GiveUp, self.client.batch_execute(sql)).await
    }

    /// Whether it is of no use any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.client.is_closed() || self.patience.is_lost()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
