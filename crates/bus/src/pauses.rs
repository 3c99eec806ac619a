//! Pausing a consumer: a person has its queue left alone until it is resumed. The store keeps which queues are paused; each
//! process reads that again and again, finishes what it has in hand of a paused queue, and takes nothing more from it. Its
//! messages wait where they lie. Timers and the outbox go on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{Fault, Signed, Supervisor};

/// How often a process reads what is paused.
const LOOK: Duration = Duration::from_secs(1);

/// A queue that a person has paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paused {
    /// The queue.
    pub queue: Arc<str>,
    /// Since when.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Why, in their words.
    pub note: String,
}

/// What a person does with a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseAct {
    /// Has its queue left alone.
    Pause,
    /// Has it read again.
    Resume,
}

/// Which queues are paused, in the store.
#[async_trait]
pub trait Pauses: Send + Sync {
    /// All of them, by name.
    ///
    /// # Errors
    /// Those of the store.
    async fn paused_queues(&self) -> Result<Vec<Paused>, Fault>;

    /// Pauses a queue and records who asked, in one transaction. False if it is paused already: it stays as it was.
    ///
    /// # Errors
    /// Those of the store.
    async fn pause_queue(&self, queue: &str, by: &Signed<'_>) -> Result<bool, Fault>;

    /// Resumes a queue and records who asked, in one transaction. False if it is not paused.
    ///
    /// # Errors
    /// Those of the store.
    async fn resume_queue(&self, queue: &str, by: &Signed<'_>) -> Result<bool, Fault>;
}

type Known = BTreeMap<Arc<str>, Paused>;

/// Which queues are paused, as far as this process knows. Clones share it.
#[derive(Clone, Debug)]
pub struct PauseBoard(Arc<watch::Sender<Option<Known>>>);

impl Default for PauseBoard {
    /// Nothing is paused, until it is said otherwise.
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Some(Known::new()))))
    }
}

impl PauseBoard {
    /// Nothing is known yet. Until it is, every queue counts as paused: a process that starts must not touch a paused one.
    #[must_use]
    pub fn unread() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// From now on these are paused, and no others.
    pub fn put(&self, paused: Vec<Paused>) {
        let known: Known = paused.into_iter().map(|paused| (Arc::clone(&paused.queue), paused)).collect();
        self.0.send_if_modified(|before| {
            let has_changed = before.as_ref() != Some(&known);
            *before = Some(known);
            has_changed
        });
    }

    /// Those that are paused, by name.
    #[must_use]
    pub fn paused(&self) -> Vec<Paused> {
        self.0.borrow().iter().flat_map(|known| known.values().cloned()).collect()
    }

    /// Whether this queue is to be left alone.
    #[must_use]
    pub fn is_paused(&self, queue: &str) -> bool {
        self.0.borrow().as_ref().is_none_or(|known| known.contains_key(queue))
    }

    /// Reads what is paused now.
    ///
    /// # Errors
    /// Those of the store; what was known stays.
    pub async fn read(&self, pauses: &dyn Pauses) -> Result<(), Fault> {
        self.put(pauses.paused_queues().await?);
        Ok(())
    }

    /// Waits until a queue is paused, or is not.
    pub(crate) async fn until(&self, queue: &str, is_paused: bool) {
        let mut changes = self.0.subscribe();
        let wanted =
            |known: &Option<Known>| known.as_ref().is_none_or(|known| known.contains_key(queue)) == is_paused;
        // The sender lives as long as this board.
        let _ = changes.wait_for(wanted).await;
    }
}

/// The service that reads what is paused.
pub struct PauseService {
    pauses: Arc<dyn Pauses>,
    board: PauseBoard,
}

impl PauseService {
    /// It reads from here and tells this board.
    pub fn new(pauses: Arc<dyn Pauses>, board: PauseBoard) -> Self {
        Self { pauses, board }
    }

    /// How often it reads.
    #[must_use]
    pub const fn every() -> Duration {
        LOOK
    }

    /// Reads once.
    ///
    /// # Errors
    /// Those of the store; what was known stays.
    pub async fn step(&self) -> Result<(), Fault> {
        self.board.read(self.pauses.as_ref()).await
    }

    /// Runs under the supervisor.
    pub fn start(self, name: &'static str, supervisor: &mut Supervisor) {
        let service = Arc::new(self);
        supervisor.run(name, move |stop| {
            let service = Arc::clone(&service);
            async move {
                while !stop.is_stopped() {
                    if let Err(fault) = service.step().await {
                        tracing::warn!(%fault, "it is not known which queues are paused; what was known holds");
                    }
                    stop.sleep(LOOK).await;
                }
            }
        });
    }
}
