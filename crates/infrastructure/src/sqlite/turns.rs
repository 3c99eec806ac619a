//! Group commit. Units that follow one another closely share one transaction of the file, each as a savepoint, so
//! that a page they all touch is logged once and the disk is flushed once. The last writer in the queue commits for
//! all; no caller is answered before that. A unit that is alone never waits: it is durable at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::writer::Writer;

/// The line before the writer. Clones are the same line.
#[derive(Clone)]
pub(super) struct Turns {
    writer: Arc<Mutex<Writer>>,
    waiting: Arc<AtomicUsize>,
}

/// The right to use the writer, until dropped.
pub(super) struct Turn {
    writer: Option<OwnedMutexGuard<Writer>>,
    turns: Turns,
}

/// A place in the line, until dropped.
struct Place<'a>(&'a Turns);

impl Turns {
    /// A line with nobody in it.
    pub(super) fn new(writer: Writer) -> Self {
        Self { writer: Arc::new(Mutex::new(writer)), waiting: Arc::default() }
    }

    /// Waits for a turn. Others' units may not be durable yet.
    pub(super) async fn next(&self) -> Turn {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let place = Place(self);
        let writer = Arc::clone(&self.writer).lock_owned().await;
        drop(place);
        Turn { writer: Some(writer), turns: self.clone() }
    }

    /// Waits for a turn outside any transaction: everything committed so far is durable.
    pub(super) async fn next_alone(&self) -> Turn {
        let mut turn = self.next().await;
        turn.writer_mut().close_group();
        turn
    }

    /// A turn at once, if nobody has the writer.
    pub(super) fn now(&self) -> Option<Turn> {
        let writer = Arc::clone(&self.writer).try_lock_owned().ok()?;
        Some(Turn { writer: Some(writer), turns: self.clone() })
    }

    /// Commits for units that wait for somebody who is not coming any more. Whoever has the writer does so when it leaves.
    fn close_unattended(&self) {
        if self.waiting.load(Ordering::SeqCst) == 0
            && let Ok(mut writer) = self.writer.try_lock()
        {
            writer.close_group();
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.0.waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.close_unattended();
        }
    }
}

impl Turn {
    /// The writer.
    pub(super) fn writer(&self) -> &Writer {
        self.writer.as_ref().expect("the writer is given back only when the turn is dropped")
    }

    /// The writer.
    pub(super) fn writer_mut(&mut self) -> &mut Writer {
        self.writer.as_mut().expect("the writer is given back only when the turn is dropped")
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(mut writer) = self.writer.take()
            && (self.turns.waiting.load(Ordering::SeqCst) == 0 || writer.group_is_full())
        {
            writer.close_group();
        }
        // Whoever waited a moment ago may have gone away since.
        self.turns.close_unattended();
    }
}
