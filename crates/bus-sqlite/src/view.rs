//! What one memory of a process sees of the rows: where they are, and its queues.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bus::{Fault, Routing, Topology};
use tokio::sync::Notify;

use crate::held_file::ServerLock;
use crate::queue::Queue;
use crate::reader_pool::ReaderPool;
use crate::watch::Watch;

/// What every clone, unit and feed of a store sees.
pub(crate) struct View {
    pub(crate) place: Place,
    pub(crate) topology: Topology,
    pub(crate) routing: Routing,
    pub(crate) queues: BTreeMap<Arc<str>, Arc<Queue>>,
    pub(crate) queue_memory_max: usize,
    /// Told whenever a message is on its way to a broker.
    pub(crate) outgoing: Arc<Notify>,
    /// Tells this memory from others that share the writer.
    pub(crate) viewer: u64,
}

/// Where the rows are.
pub(crate) enum Place {
    /// In a file; the lock, if any, is held as long as the store lives.
    File { path: PathBuf, readers: ReaderPool, watch: Arc<Watch>, _lock: Option<ServerLock> },
    /// In memory, gone with the last clone.
    Memory,
}

impl View {
    /// Whether somebody else may write to the same rows without this memory being told.
    pub(crate) const fn has_neighbours(&self) -> bool {
        matches!(self.place, Place::File { .. })
    }

    /// Looks whether the files are still those that were opened.
    pub(crate) fn look_at_the_file(&self) -> Result<(), Fault> {
        match &self.place {
            Place::File { watch, .. } => watch.look(),
            Place::Memory => Ok(()),
        }
    }
}
