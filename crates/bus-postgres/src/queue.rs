//! What this process holds of a queue: rows that are claimed for it in the database, so that a message committed here is
//! handed on without being read back, and nobody else works on it.
//!
//! The database knows who has claimed what and is always right; memory is only ahead of it by what was just settled. A row
//! that memory should hold and does not (its commit or its claim ended in doubt) is found by the keeper's audit. Rows that
//! nobody has claimed are claimed when memory has run dry: `rest` says whether there may be any.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus::limits::{BATCH_MAX, QUEUE_MEMORY_MAX};
use bus::{Delivery, Fault, Origin, Receipt};
use tokio::sync::Notify;

use crate::bundle::Letter;

/// Rows claimed at once, unless memory is smaller still: what is claimed here waits for this process alone.
const CLAIM_MAX: usize = 2 * BATCH_MAX;

/// Rows kept while other processes could do their work: more wait unclaimed, for whoever is free.
const SHARED_MEMORY_MAX: usize = 4 * BATCH_MAX;

const _: () =
    assert!(CLAIM_MAX <= SHARED_MEMORY_MAX && SHARED_MEMORY_MAX <= QUEUE_MEMORY_MAX, "claims must fit");

/// One queue in memory.
pub(crate) struct Queue {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// Told whenever there may be something to receive.
    pub(crate) woken: Arc<Notify>,
    memory_max: usize,
    state: Mutex<State>,
}

struct State {
    ready: VecDeque<Row>,
    held: HashMap<i64, Held>,
    readers: usize,
    reserved: usize,
    bound: usize,
    rest: Rest,
    rumours: u64,
    failure: Option<Fault>,
}

/// Whether the table may hold rows that nobody has claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    None,
    Rumoured,
    BeingClaimed,
}

/// A row in some reader's hands.
struct Held {
    reader: u64,
    row: Row,
}

/// A row of the queue.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its place.
    pub(crate) position: i64,
    /// What it holds.
    pub(crate) letter: Letter,
}

/// What a reader that wants more should do.
pub(crate) enum Next {
    /// Take these.
    Take(Vec<Row>),
    /// Claim up to so many, and say so with this number.
    Claim {
        /// Rows that may be claimed.
        max: usize,
        /// Rumours of unclaimed rows heard so far.
        rumours: u64,
    },
    /// Claiming has failed.
    Failed(Fault),
    /// Wait to be woken.
    Wait,
}

impl Queue {
    /// A queue that nobody here reads, and of which memory keeps no more than so many rows.
    pub(crate) fn new(name: Arc<str>, memory_max: usize) -> Self {
        let state = State {
            ready: VecDeque::new(),
            held: HashMap::new(),
            readers: 0,
            reserved: 0,
            bound: SHARED_MEMORY_MAX.min(memory_max),
            rest: Rest::None,
            rumours: 0,
            failure: None,
        };
        Self { name, woken: Arc::default(), memory_max, state: Mutex::new(state) }
    }

    /// A reader begins.
    pub(crate) fn join(&self) {
        self.lock().readers += 1;
        self.spill();
    }

    /// A reader goes: what it held is ready again. After the last one nothing is kept, and the positions come back to be
    /// given up.
    pub(crate) fn leave(&self, reader: u64) -> Vec<i64> {
        let mut state = self.lock();
        state.readers = state.readers.saturating_sub(1);
        state.return_where(|held| held.reader == reader);
        if state.readers > 0 {
            self.wake_if_more(&state);
            return Vec::new();
        }
        state.ready.drain(..).map(|row| row.position).collect()
    }

    /// Whether anybody here reads it.
    pub(crate) fn is_read(&self) -> bool {
        self.lock().readers > 0
    }

    /// Whether other processes share the work.
    pub(crate) fn share(&self, others: usize) {
        let bound = if others == 0 { QUEUE_MEMORY_MAX } else { SHARED_MEMORY_MAX };
        self.lock().bound = bound.min(self.memory_max);
    }

    /// Makes room for up to `wanted` rows that are about to be committed as claimed. None while older rows wait unclaimed,
    /// so that they are not overtaken for ever.
    pub(crate) fn reserve(self: &Arc<Self>, wanted: usize) -> Reservation {
        let mut state = self.lock();
        let granted = wanted.min(state.room());
        state.reserved += granted;
        drop(state);
        Reservation { queue: Arc::clone(self), wanted, granted }
    }

    /// Adds rows that are claimed for this process. If the last reader went meanwhile, their positions come back to be
    /// given up.
    pub(crate) fn push(&self, rows: Vec<Row>) -> Vec<i64> {
        let mut state = self.lock();
        if state.readers == 0 {
            return rows.iter().map(|row| row.position).collect();
        }
        state.ready.extend(rows);
        self.wake_if_more(&state);
        Vec::new()
    }

    /// What there is to do for a reader with room for `max` messages. The last row may hold more than there is room left for.
    pub(crate) fn next(&self, reader: u64, max: usize) -> Next {
        let mut state = self.lock();
        if let Some(fault) = state.failure.take() {
            self.wake_if_more(&state);
            return Next::Failed(fault);
        }
        let taken = state.take(reader, max);
        if !taken.is_empty() {
            self.wake_if_more(&state);
            return Next::Take(taken);
        }
        if state.rest != Rest::Rumoured {
            return Next::Wait;
        }
        state.rest = Rest::BeingClaimed;
        Next::Claim { max: self.claim_max(), rumours: state.rumours }
    }

    /// Takes in what was claimed. Fewer rows than might be are all there were, unless more were rumoured meanwhile.
    pub(crate) fn claimed(&self, rows: Vec<Row>, rumours: u64) {
        let mut state = self.lock();
        let all = rows.len() < self.claim_max() && state.rumours == rumours;
        state.rest = if all { Rest::None } else { Rest::Rumoured };
        state.ready.extend(rows);
        self.wake_if_more(&state);
    }

    /// Claiming has failed; whoever asks next is told, and tries again after that.
    pub(crate) fn claim_failed(&self, fault: Fault) {
        let mut state = self.lock();
        state.rest = Rest::Rumoured;
        state.failure = Some(fault);
        self.woken.notify_one();
    }

    /// The table may hold rows that nobody has claimed.
    pub(crate) fn spill(&self) {
        let mut state = self.lock();
        state.rumours = state.rumours.wrapping_add(1);
        if state.readers > 0 && state.rest == Rest::None {
            state.rest = Rest::Rumoured;
            self.woken.notify_one();
        }
    }

    /// These are done for good.
    pub(crate) fn release(&self, positions: impl IntoIterator<Item = i64>) {
        let mut state = self.lock();
        for position in positions {
            state.held.remove(&position);
        }
    }

    /// Puts back some of what a reader holds.
    pub(crate) fn put_back(&self, positions: &[i64]) {
        let mut state = self.lock();
        let back: Vec<Held> = positions.iter().filter_map(|position| state.held.remove(position)).collect();
        state.put_in_front(back);
        self.wake_if_more(&state);
    }

    /// Every position that memory knows of.
    pub(crate) fn known(&self) -> Vec<i64> {
        let state = self.lock();
        state.ready.iter().map(|row| row.position).chain(state.held.keys().copied()).collect()
    }

    /// A delivery of a row of this queue.
    pub(crate) fn delivery(&self, row: &Row) -> Delivery {
        Delivery {
            envelope: Arc::clone(&row.letter.envelope),
            receipt: Receipt { queue: Arc::clone(&self.name), origin: Origin::Store(row.position) },
        }
    }

    fn claim_max(&self) -> usize {
        CLAIM_MAX.min(self.memory_max).max(1)
    }

    /// One that is woken takes what it has room for; the rest is for the next.
    fn wake_if_more(&self, state: &State) {
        if !state.ready.is_empty() || state.rest == Rest::Rumoured {
            self.woken.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Rows that may be reserved.
    fn room(&self) -> usize {
        let may_claim = self.readers > 0 && self.rest == Rest::None;
        if may_claim { self.bound.saturating_sub(self.ready.len() + self.reserved) } else { 0 }
    }

    fn take(&mut self, reader: u64, max: usize) -> Vec<Row> {
        let mut messages = 0;
        let mut taken = Vec::new();
        while messages < max
            && let Some(row) = self.ready.pop_front()
        {
            messages += row.letter.messages;
            taken.push(row);
        }
        let held = |row: &Row| (row.position, Held { reader, row: row.clone() });
        self.held.extend(taken.iter().map(held));
        taken
    }

    fn return_where(&mut self, wanted: impl Fn(&Held) -> bool) {
        let back: Vec<Held> = self.held.extract_if(|_, held| wanted(held)).map(|(_, held)| held).collect();
        self.put_in_front(back);
    }

    /// Oldest first, as they were.
    fn put_in_front(&mut self, mut back: Vec<Held>) {
        back.sort_unstable_by_key(|held| std::cmp::Reverse(held.row.position));
        for held in back {
            self.ready.push_front(held.row);
        }
    }
}

/// Room for rows that are about to be committed.
pub(crate) struct Reservation {
    /// The queue.
    pub(crate) queue: Arc<Queue>,
    /// Rows that are to come.
    pub(crate) wanted: usize,
    /// Rows that there is room for.
    pub(crate) granted: usize,
}

impl Reservation {
    /// Makes room for one more row; false if there is none.
    pub(crate) fn grow(&mut self) -> bool {
        let mut state = self.queue.lock();
        let has_room = state.room() > 0;
        if has_room {
            state.reserved += 1;
            self.granted += 1;
            self.wanted += 1;
        }
        has_room
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.queue.lock().reserved -= self.granted;
    }
}

#[cfg(test)]
mod tests {
    use bus::{CorrelationId, Envelope, MessageId};
    use bytes::Bytes;
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn row(position: i64) -> Row {
        let id = Uuid::from_u128(position.unsigned_abs().into());
        let envelope =
            Envelope::first(MessageId(id), CorrelationId(id), "K", Bytes::new(), Timestamp::UNIX_EPOCH);
        Row { position, letter: Letter::of(Arc::new(envelope)) }
    }

    fn read_queue() -> Arc<Queue> {
        let queue = Arc::new(Queue::new(Arc::from("q"), QUEUE_MEMORY_MAX));
        queue.join();
        let Next::Claim { rumours, .. } = queue.next(1, 1) else { panic!("a new reader looks at the table") };
        queue.claimed(Vec::new(), rumours);
        queue
    }

    fn taken(queue: &Queue, max: usize) -> Vec<i64> {
        match queue.next(1, max) {
            Next::Take(rows) => rows.iter().map(|row| row.position).collect(),
            Next::Claim { .. } | Next::Failed(_) | Next::Wait => Vec::new(),
        }
    }

    #[test]
    fn a_rumour_during_a_claim_is_not_forgotten() {
        let queue = read_queue();
        queue.spill();
        let Next::Claim { rumours, .. } = queue.next(1, 1) else { panic!("there is a rumour") };
        queue.spill();
        queue.claimed(Vec::new(), rumours);
        assert!(matches!(queue.next(1, 1), Next::Claim { .. }));
    }

    #[test]
    fn rows_are_claimed_by_one_reader_at_a_time() {
        let queue = read_queue();
        queue.spill();
        assert!(matches!(queue.next(1, 1), Next::Claim { .. }));
        assert!(matches!(queue.next(2, 1), Next::Wait));
    }

    #[test]
    fn nothing_is_reserved_while_older_rows_wait_unclaimed() {
        let queue = read_queue();
        assert_eq!(queue.reserve(3).granted, 3);
        queue.spill();
        assert_eq!(queue.reserve(3).granted, 0);
    }

    #[test]
    fn memory_is_bounded_and_room_comes_back() {
        let queue = read_queue();
        let first = queue.reserve(usize::MAX);
        assert_eq!(first.granted, SHARED_MEMORY_MAX);
        assert_eq!(queue.reserve(1).granted, 0);
        drop(first);
        assert_eq!(queue.reserve(1).granted, 1);
    }

    #[test]
    fn what_a_reader_held_is_ready_again_in_its_old_order() {
        let queue = read_queue();
        queue.join();
        assert!(queue.push((1..=5).map(row).collect()).is_empty());
        assert_eq!(taken(&queue, 3), [1, 2, 3]);
        queue.release([2]);
        assert!(queue.leave(1).is_empty());
        assert_eq!(taken(&queue, 9), [1, 3, 4, 5]);
    }

    #[test]
    fn a_reader_has_room_for_messages_not_for_rows() {
        let queue = read_queue();
        let many = |position| {
            let row = row(position);
            Row { letter: Letter { messages: 10, ..row.letter }, ..row }
        };
        assert!(queue.push((1..=4).map(many).collect()).is_empty());
        assert_eq!(taken(&queue, 11), [1, 2]);
        assert_eq!(taken(&queue, 10), [3]);
    }

    #[test]
    fn the_last_reader_gives_everything_up() {
        let queue = read_queue();
        assert!(queue.push((1..=3).map(row).collect()).is_empty());
        assert_eq!(taken(&queue, 2), [1, 2]);
        assert_eq!(queue.leave(1), [1, 2, 3]);
        assert_eq!(queue.push(vec![row(4)]), [4]);
        assert!(queue.known().is_empty());
    }
}
