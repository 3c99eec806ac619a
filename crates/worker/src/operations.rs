//! What operators see of queues, and do with them, whichever way they come in. Knows no HTTP and no command line.

use std::collections::BTreeMap;
use std::sync::Arc;

use application::ports::Readers;
use bus::{ErrorQueues, Fault, PauseAct, Paused, Pauses, Signed, WorkerRegister};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

/// The ports behind the running of queues, workers and error queues. Clones share everything.
#[derive(Clone)]
pub struct Operations {
    /// The queues that are read here.
    pub queues: Arc<[Arc<str>]>,
    /// What persons have paused.
    pub pauses: Arc<dyn Pauses>,
    /// Who works on the store.
    pub workers: Arc<dyn WorkerRegister>,
    /// The id of this process in the register.
    pub worker_id: Uuid,
    /// The error queues of the broker, if there is one.
    pub error_queues: Option<Arc<dyn ErrorQueues>>,
}

/// A queue as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct QueueView {
    pub(crate) name: String,
    /// Messages that wait in the store.
    pub(crate) waiting: u64,
    #[serde(flatten)]
    pub(crate) pause: Option<PauseView>,
}

/// That a queue is paused.
#[derive(Debug, Serialize)]
pub(crate) struct PauseView {
    pub(crate) paused_at: Timestamp,
    pub(crate) paused_by: String,
    pub(crate) pause_reason: String,
}

/// A list of queues as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct QueuesView {
    pub(crate) items: Vec<QueueView>,
}

impl From<Paused> for PauseView {
    fn from(paused: Paused) -> Self {
        Self { paused_at: paused.at, paused_by: paused.by, pause_reason: paused.note }
    }
}

/// What became of a wish about a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    /// It was done.
    Now,
    /// It was so already.
    Before,
    /// There is no such queue.
    Unknown,
}

impl Turned {
    /// Both outcomes by their names.
    pub(crate) const NAMES: &'static [&'static str] = &["now", "before"];

    /// Its name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Before => "before",
            Self::Unknown => "unknown",
        }
    }
}

impl Operations {
    /// Every queue, by name: those that are read here, and those that hold something or are paused although nobody reads them
    /// any more.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn list_queues(&self, readers: &dyn Readers) -> Result<QueuesView, Fault> {
        let overview = readers.overview().await?;
        let mut items: BTreeMap<String, QueueView> = BTreeMap::new();
        let own = self.queues.iter().map(|name| (name.to_string(), 0));
        // What waits for a relay has no queue.
        let held = overview.queues.into_iter().filter(|(name, _)| !name.is_empty());
        for (name, waiting) in own.chain(held) {
            items.insert(name.clone(), QueueView { name, waiting, pause: None });
        }
        for paused in self.pauses.paused_queues().await? {
            let name = paused.queue.to_string();
            let view = items.entry(name.clone()).or_insert(QueueView { name, waiting: 0, pause: None });
            view.pause = Some(paused.into());
        }
        Ok(QueuesView { items: items.into_values().collect() })
    }

    /// Pauses a queue, or resumes it. One that nobody reads any more can be resumed and not paused.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn turn(&self, act: PauseAct, queue: &str, by: &Signed<'_>) -> Result<Turned, Fault> {
        let is_known = self.queues.iter().any(|known| **known == *queue);
        let is_done = match act {
            PauseAct::Pause if !is_known => return Ok(Turned::Unknown),
            PauseAct::Pause => self.pauses.pause_queue(queue, by).await?,
            PauseAct::Resume => self.pauses.resume_queue(queue, by).await?,
        };
        Ok(match is_done {
            true => Turned::Now,
            false if is_known => Turned::Before,
            false => Turned::Unknown,
        })
    }
}
