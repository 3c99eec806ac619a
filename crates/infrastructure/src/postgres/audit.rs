//! Looking at all there is, which takes the longer the more orders there are. A process makes one audit at a time, on a
//! connection of its own that nobody has afterwards; an audit that nobody waits for any more ends at the server too.

use std::ops::Deref;
use std::sync::Arc;

use bus::Fault;
use deadpool_postgres::{ClientWrapper, Object};
use tokio::sync::OwnedMutexGuard;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::PostgresStore;
use super::fault::{Taken, fault};

/// How it differs from other reading: a statement may take ten minutes, and has room to join by hashing.
const SETTINGS: &str = "set statement_timeout = '10min'; set work_mem = '64MB'";

/// Who looks at all there is.
pub(super) struct Auditor {
    connection: ClientWrapper,
    tls: MakeRustlsConnect,
    _turn: OwnedMutexGuard<()>,
}

impl PostgresStore {
    /// Waits until no other audit of this process is under way.
    pub(super) async fn auditor(&self, operation: &'static str) -> Result<Auditor, Fault> {
        let turn = Arc::clone(&self.shared.audits).lock_owned().await;
        let connection = Object::take(self.reader(operation).await?);
        connection.batch_execute(SETTINGS).await.map_err(fault(operation, Taken::GiveUp))?;
        Ok(Auditor { connection, tls: self.shared.server.tls.clone(), _turn: turn })
    }
}

impl Deref for Auditor {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        &self.connection
    }
}

impl Drop for Auditor {
    /// The server does not notice by itself that nobody waits; where nothing runs any more, the wish to end it means nothing.
    fn drop(&mut self) {
        let (token, tls) = (self.connection.cancel_token(), self.tls.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(async move { token.cancel_query(tls).await }));
        }
    }
}
