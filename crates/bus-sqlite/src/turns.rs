//! Group commit. Units that follow one another closely share one transaction of the file, each as a savepoint, so
//! that a page they all touch is logged once and the disk is flushed once. The last writer in the queue commits for
//! all; no caller is answered before that. A unit that is alone never waits: it is durable at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::view::View;
use crate::writer::Writer;

/// The line before the writer. Clones are the same line.
pub(crate) struct Turns<M: Default> {
    writer: Arc<Mutex<Writer<M>>>,
    waiting: Arc<AtomicUsize>,
}

/// The writer, and what a memory sees of its rows.
pub(crate) struct Shared<M: Default> {
    pub(crate) turns: Turns<M>,
    pub(crate) view: Arc<View>,
}

/// The right to use the writer, until dropped.
pub(crate) struct Turn<M: Default> {
    writer: Option<OwnedMutexGuard<Writer<M>>>,
    turns: Turns<M>,
}

/// A place in the line, until dropped.
struct Place<'a, M: Default>(&'a Turns<M>);

impl<M: Default> Clone for Turns<M> {
    fn clone(&self) -> Self {
        Self { writer: Arc::clone(&self.writer), waiting: Arc::clone(&self.waiting) }
    }
}

impl<M: Default> Turns<M> {
    /// A line with nobody in it.
    pub(crate) fn new(writer: Writer<M>) -> Self {
        Self { writer: Arc::new(Mutex::new(writer)), waiting: Arc::default() }
    }

    /// Waits for a turn. Others' units may not be durable yet.
    pub(crate) async fn next(&self) -> Turn<M> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let place = Place(self);
        let writer = Arc::clone(&self.writer).lock_owned().await;
        drop(place);
        Turn { writer: Some(writer), turns: self.clone() }
    }

    /// Waits for a turn outside any transaction: everything committed so far is durable.
    pub(crate) async fn next_alone(&self) -> Turn<M> {
        let mut turn = self.next().await;
        turn.writer_mut().close_group();
        turn
    }

    /// A turn at once, if nobody has the writer.
    pub(crate) fn now(&self) -> Option<Turn<M>> {
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

impl<M: Default> Drop for Place<'_, M> {
    fn drop(&mut self) {
        if self.0.waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.close_unattended();
        }
    }
}

impl<M: Default> Turn<M> {
    /// The writer.
    pub(crate) fn writer(&self) -> &Writer<M> {
        self.writer.as_ref().expect("the writer is given back only when the turn is dropped")
    }

    /// The writer.
    pub(crate) fn writer_mut(&mut self) -> &mut Writer<M> {
        self.writer.as_mut().expect("the writer is given back only when the turn is dropped")
    }
}

impl<M: Default> Drop for Turn<M> {
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
