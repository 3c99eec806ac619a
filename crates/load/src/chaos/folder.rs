//! What a run keeps on disk: configurations, databases and logs, in a folder that goes with them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use testkit::servers::{Ends, Guard};

/// Stage limits short enough that every timeout happens within a run.
const CONFIG: &str = "
[providers]
call_limit_ms = 400
[limits]
order_ms = 60000
payment_ms = 8000
shipping_ms = 8000
delivery_poll_ms = 1000
undo_ms = 30000
capture_ms = 8000
[pipeline]
call_retry_first_ms = 50
undo_retry_first_ms = 100
undo_retries_max = 12
[postgres]
lease_ms = 2000
";

/// What the first worker beside a broker has in its place: so few connections that its units of work always wait for one.
const FEW_CONNECTIONS: &str = "lease_ms = 2000\npool_max = 2\nreaders_max = 1\n";

/// A folder of our own, removed with its contents, even if this process is killed.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A folder, and a guard that ends every process of its group and removes the folder if this process does not. The workers of
    /// every other seed capture at the shipment.
    pub(crate) fn new(seed: u64) -> Result<(Self, Guard)> {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("orderwright-chaos-{}-{}", std::process::id(), FOLDERS.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        let guard = Guard::over(&folder, Ends::Killed)?;
        std::fs::create_dir_all(&folder)?;
        let capture = if seed.is_multiple_of(2) { "at_shipment" } else { "at_once" };
        let config = CONFIG.replace("[providers]\n", &format!("[providers]\ncapture = \"{capture}\"\n"));
        std::fs::write(folder.join("chaos.toml"), &config)?;
        let few = config.replace("lease_ms = 2000\n", FEW_CONNECTIONS);
        std::fs::write(folder.join("few-connections.toml"), few)?;
        Ok((Self(folder), guard))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} is left behind: {error}", self.0.display());
        }
    }
}
