//! What memory holds of a queue: the rows ahead of their turn, so that a message committed in this process is handed on
//! without being read back.
//!
//! The invariant, for every committed row of the queue:
//!   1. position <= cursor  =>  the row is in `ready` or held by a living feed, unless a committed unit settled it;
//!   2. position >  cursor  =>  `spilled` is set, so a feed that runs dry reads on from the cursor.
//!
//! It holds because positions only grow, every change to a queue happens while the writer is held, and whatever memory
//! cannot vouch for (a start, a full memory, a row of another process, a commit of unknown outcome) sets `spilled`, which
//! only a look at the table from the cursor to the last position clears. A row is handed to one feed at a time; a feed
//! that is dropped puts what it held back in front.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus::{Delivery, Envelope, Origin, Receipt};
use tokio::sync::Notify;

/// One queue in memory.
pub(crate) struct Queue {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// Told whenever there may be something to receive.
    pub(crate) woken: Notify,
    state: Mutex<State>,
    memory_max: usize,
    held: AtomicU64,
}

struct State {
    ready: VecDeque<Row>,
    cursor: i64,
    tail: Tail,
}

/// Whether the table may hold rows behind the cursor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tail {
    Known,
    Spilled,
}

/// A row of the queue.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its place.
    pub(crate) position: i64,
    /// The message.
    pub(crate) envelope: Arc<Envelope>,
}

/// What a feed that wants more should do.
pub(crate) enum Next {
    /// Take these.
    Take(Vec<Row>),
    /// Read on from here.
    ReadOn {
        /// The last position that memory vouches for.
        cursor: i64,
    },
    /// Wait to be woken.
    Wait,
}

impl Queue {
    /// A queue of which memory knows nothing yet.
    pub(crate) fn new(name: Arc<str>, memory_max: usize) -> Self {
        let state = State { ready: VecDeque::new(), cursor: 0, tail: Tail::Spilled };
        Self { name, woken: Notify::new(), state: Mutex::new(state), memory_max, held: AtomicU64::new(0) }
    }

    /// What there is to do for a feed with room for `max`.
    pub(crate) fn next(&self, max: usize) -> Next {
        let mut state = self.lock();
        let count = state.ready.len().min(max);
        if count > 0 {
            let taken = state.ready.drain(..count).collect();
            self.wake_if_more(&state);
            return Next::Take(taken);
        }
        match state.tail {
            Tail::Spilled => Next::ReadOn { cursor: state.cursor },
            Tail::Known => Next::Wait,
        }
    }

    /// Adds a row that was just committed. The writer is held.
    pub(crate) fn push(&self, position: i64, envelope: Arc<Envelope>) {
        let mut state = self.lock();
        if state.tail == Tail::Known && state.ready.len() < self.memory_max {
            state.ready.push_back(Row { position, envelope });
            state.cursor = position;
        } else {
            state.tail = Tail::Spilled;
        }
        drop(state);
        self.woken.notify_one();
    }

    /// Takes in what a look at the table from `cursor` on has found. The writer is held since before the look; `last` is
    /// the last position given to anything, if the look has reached it. What another feed read meanwhile is not doubled.
    pub(crate) fn refill(&self, cursor: i64, rows: Vec<Row>, last: Option<i64>) {
        let mut state = self.lock();
        if state.cursor != cursor {
            return;
        }
        match (rows.last(), last) {
            (_, Some(last)) => {
                state.cursor = last;
                state.tail = Tail::Known;
            }
            (Some(row), None) => state.cursor = row.position,
            (None, None) => {}
        }
        state.ready.extend(rows);
        self.wake_if_more(&state);
    }

    /// Puts back what a feed held, in front of everything else.
    pub(crate) fn put_back(&self, rows: impl DoubleEndedIterator<Item = Row>) {
        let mut state = self.lock();
        for row in rows.rev() {
            state.ready.push_front(row);
        }
        self.wake_if_more(&state);
    }

    /// Rows in the hands of feeds.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Feeds have so many rows more in hand.
    pub(crate) fn hold(&self, rows: usize) {
        self.held.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Feeds have so many rows less in hand.
    pub(crate) fn let_go(&self, rows: usize) {
        self.held.fetch_sub(rows as u64, Ordering::Relaxed);
    }

    /// The table may hold rows that memory has not seen.
    pub(crate) fn spill(&self) {
        self.lock().tail = Tail::Spilled;
        self.woken.notify_one();
    }

    /// A delivery of a row of this queue.
    pub(crate) fn delivery(&self, row: &Row) -> Delivery {
        Delivery {
            envelope: Arc::clone(&row.envelope),
            receipt: Receipt { queue: Arc::clone(&self.name), origin: Origin::Store(row.position) },
        }
    }

    /// One that is woken takes what it has room for; the rest is for the next.
    fn wake_if_more(&self, state: &State) {
        if !state.ready.is_empty() || state.tail == Tail::Spilled {
            self.woken.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
