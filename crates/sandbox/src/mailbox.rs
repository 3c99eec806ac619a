//! Events ready to be posted, per topic: a bounded queue and the bell that wakes its couriers. A batch is whatever
//! is there when a courier comes by, so it grows under load and costs no waiting when there is none.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::events::Event;
use crate::limits;
use crate::stats::WebhookStats;

#[derive(Default)]
pub(crate) struct Mailbox {
    state: Mutex<State>,
    bell: Notify,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Event>,
    counts: WebhookStats,
}

/// How posting a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Post {
    Accepted,
    GivenUp,
}

/// A fault that befell an event before it was ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    Duplicated,
    Reordered,
    Dropped,
}

impl Mailbox {
    pub(crate) fn put(&self, event: Event) {
        let mut state = self.lock();
        if state.ready.len() >= limits::MAILBOX_MAX {
            state.ready.pop_front();
            state.counts.overflowed += 1;
            state.counts.waiting -= 1;
        }
        state.ready.push_back(event);
        state.counts.waiting += 1;
        drop(state);
        self.bell.notify_one();
    }

    /// Waits for events and takes as many as are there, at most the given number.
    pub(crate) async fn take(&self, batch_max: usize) -> Vec<Event> {
        loop {
            let batch = self.take_ready(batch_max);
            if !batch.is_empty() {
                return batch;
            }
            self.bell.notified().await;
        }
    }

    pub(crate) fn done(&self, events: usize, post: Post) {
        let events = events as u64;
        let counts = &mut self.lock().counts;
        counts.waiting -= events;
        match post {
            Post::Accepted => {
                counts.sent += events;
                counts.posts += 1;
            }
            Post::GivenUp => counts.failed += events,
        }
    }

    pub(crate) fn count_retry(&self) {
        self.lock().counts.retried_posts += 1;
    }

    pub(crate) fn count(&self, mishap: Mishap) {
        let counts = &mut self.lock().counts;
        match mishap {
            Mishap::Duplicated => counts.duplicated += 1,
            Mishap::Reordered => counts.reordered += 1,
            Mishap::Dropped => counts.dropped += 1,
        }
    }

    pub(crate) fn stats(&self) -> WebhookStats {
        self.lock().counts
    }

    fn take_ready(&self, batch_max: usize) -> Vec<Event> {
        let mut state = self.lock();
        let taken = state.ready.len().min(batch_max.max(1));
        state.ready.drain(..taken).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WebhookStats {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            posts: self.posts + other.posts,
            retried_posts: self.retried_posts + other.retried_posts,
            failed: self.failed + other.failed,
            overflowed: self.overflowed + other.overflowed,
            waiting: self.waiting + other.waiting,
            duplicated: self.duplicated + other.duplicated,
            reordered: self.reordered + other.reordered,
            dropped: self.dropped + other.dropped,
        }
    }
}
