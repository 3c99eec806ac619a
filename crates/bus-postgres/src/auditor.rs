//! Looking at all there is, which takes the longer the more there is. A process makes one audit at a time, on a
//! connection of its own that nobody has afterwards; an audit that nobody waits for any more ends at the server too.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bus::Fault;
use tokio::sync::OwnedMutexGuard;

use crate::fault::Taken;
use crate::lent::Lent;
use crate::server::Server;
use crate::store::PostgresBus;
use crate::unit::Rows;

/// How it differs from other reading: a statement may take ten minutes, and has room to join by hashing.
const SETTINGS: &str = "set statement_timeout = '10min'; set work_mem = '64MB'";

/// How long its answers are waited for: longer than the server lets them take.
const ANSWER_LIMIT: Duration = Duration::from_secs(11 * 60);

/// Who looks at all there is.
pub struct Auditor {
    connection: Lent,
    server: Server,
    _turn: OwnedMutexGuard<()>,
}

impl<R: Rows> PostgresBus<R> {
    /// Waits until no other audit of this process is under way.
    ///
    /// # Errors
    /// Those of the store, under the name of this operation.
    pub async fn auditor(&self, operation: &'static str) -> Result<Auditor, Fault> {
        let turn = Arc::clone(&self.shared.audits).lock_owned().await;
        let reader = self.reader(operation).await?;
        reader.answer(operation, Taken::GiveUp, reader.batch_execute(SETTINGS)).await?;
        let connection = reader.keep(ANSWER_LIMIT);
        Ok(Auditor { connection, server: self.shared.server.clone(), _turn: turn })
    }
}

impl Deref for Auditor {
    type Target = Lent;

    fn deref(&self) -> &Lent {
        &self.connection
    }
}

impl Drop for Auditor {
    /// The server does not notice by itself that nobody waits; where nothing runs any more, the wish to end it means nothing.
    fn drop(&mut self) {
        let (token, server) = (self.connection.cancel_token(), self.server.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let limit = server.connect_limit();
            drop(
                runtime
                    .spawn(tokio::time::timeout(limit, async move { token.cancel_query(server.tls).await })),
            );
        }
    }
}
