//! Connections that a pool lends. One whose server has fallen silent, or takes no writes any more, does not come back to the
//! pool, and those beside it that nobody uses at the moment go with it: they lead to the same server.

use std::ops::Deref;
use std::time::Duration;

use bus::Fault;
use deadpool_postgres::{ClientWrapper, Object, Pool, PoolError};

use crate::fault::Taken;
use crate::patience::Patience;

/// A pool, and how long its connections are waited for.
pub(crate) struct Lender {
    pool: Pool,
    answer_limit: Duration,
}

impl Lender {
    pub(crate) const fn new(pool: Pool, answer_limit: Duration) -> Self {
        Self { pool, answer_limit }
    }

    /// A connection that nobody else uses, opened if there is none.
    pub(crate) async fn get(&self) -> Result<Lent, PoolError> {
        let connection = Connection::Pooled(self.pool.get().await?);
        Ok(Lent { connection: Some(connection), patience: Patience::new(self.answer_limit) })
    }
}

/// A connection that is the borrower's until it is dropped.
pub struct Lent {
    connection: Option<Connection>,
    pub(crate) patience: Patience,
}

enum Connection {
    Pooled(Object),
    Own(ClientWrapper),
}

impl Lent {
    /// Waits for one answer.
    pub(crate) async fn answer<T>(
        &self,
        operation: &'static str,
        taken: Taken,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fault> {
        self.patience.answer(operation, taken, answer).await
    }

    /// Whether it must not be used any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.patience.is_lost()
    }

    /// Nobody has it afterwards, and answers may take longer.
    pub(crate) fn keep(mut self, answer_limit: Duration) -> Self {
        let connection = self.connection.take().map(|connection| Connection::Own(connection.taken()));
        Self { connection, patience: Patience::new(answer_limit) }
    }

    /// Closes it.
    pub(crate) fn discard(mut self) {
        if !self.is_lost() {
            drop(self.connection.take().map(Connection::taken));
        }
    }
}

impl Connection {
    fn taken(self) -> ClientWrapper {
        match self {
            Self::Pooled(object) => Object::take(object),
            Self::Own(client) => client,
        }
    }

    /// Closes it and those beside it.
    fn clear_out(self) {
        if let Self::Pooled(object) = &self
            && let Some(pool) = Object::pool(object)
        {
            pool.retain(|_, _| false);
        }
        drop(self.taken());
    }
}

impl Deref for Lent {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        match self.connection.as_ref().expect("a connection is there until it is dropped") {
            Connection::Pooled(object) => object,
            Connection::Own(client) => client,
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.patience.is_lost()
            && let Some(connection) = self.connection.take()
        {
            connection.clear_out();
        }
    }
}
