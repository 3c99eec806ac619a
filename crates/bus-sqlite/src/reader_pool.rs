//! Connections that only read, each used by one query at a time on a thread where blocking is allowed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bus::Fault;
use rusqlite::{Connection, Result};
use tokio::sync::Semaphore;

use crate::fault::fault;
use crate::open;
use crate::watch::Watch;

/// Readers at once. More would only compete with the writer for the same two or four cores.
const READERS_MAX: usize = 4;

/// The readers of one file.
pub(crate) struct ReaderPool {
    path: PathBuf,
    watch: Arc<Watch>,
    idle: Arc<Mutex<Vec<Connection>>>,
    room: Arc<Semaphore>,
}

impl ReaderPool {
    /// A pool whose connections are opened when first needed.
    pub(crate) fn new(path: PathBuf, watch: Arc<Watch>) -> Self {
        Self { path, watch, idle: Arc::default(), room: Arc::new(Semaphore::new(READERS_MAX)) }
    }

    /// Runs a query on a snapshot of its own.
    pub(crate) async fn read<T, Q>(&self, operation: &'static str, query: Q) -> std::result::Result<T, Fault>
    where
        T: Send + 'static,
        Q: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.room).acquire_owned().await.expect("the semaphore is never closed");
        let (path, idle, watch) = (self.path.clone(), Arc::clone(&self.idle), Arc::clone(&self.watch));
        let reading = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            // A new connection would open whatever has the name now.
            watch.look()?;
            let connection = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = connection.map_or_else(|| open::reader(&path), Ok);
            let connection = connection.map_err(fault(operation))?;
            let found = in_snapshot(&connection, query).map_err(fault(operation))?;
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            Ok(found)
        });
        match reading.await {
            Ok(found) => found,
            Err(panic) => Err(Fault::give_up(operation, panic)),
        }
    }
}

/// Several statements of one query see one moment.
fn in_snapshot<T>(connection: &Connection, query: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    let snapshot = connection.unchecked_transaction()?;
    query(&snapshot)
}
