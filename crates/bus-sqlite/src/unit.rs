//! The unit of work on SQLite: a savepoint of the writer's transaction, statements executed where they are called. Dropped,
//! it is undone; committed, it is durable together with the units around it, and only then are its messages handed over.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{
    Admission, CorrelationId, Counts, Delivery, Envelope, Fault, LetterAct, MovedLetter, PauseAct,
    PendingTimers, Retired, Settlement, Signed, Timer, TimerKey, Unit,
};
use jiff::Timestamp;
use refinery::Runner;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::fault::fault;
use crate::turns::{Shared, Turn};
use crate::writer::Member;
use crate::{inbox, timers};

/// Tells whether a unit has become durable.
type Told = oneshot::Receiver<std::result::Result<(), Fault>>;

/// What a unit keeps of the user's own rows: some that are not stored yet, and some that need not be read again.
pub trait Rows: Default + Send + Sync + Sized + 'static {
    /// What is remembered of them from one unit to the next. It begins anew whenever another process may have written.
    type Memory: Default + Send + 'static;

    /// The steps that make the user's tables; none if there are none. They are noted in `schema_history`.
    #[must_use]
    fn migrations() -> Option<Runner> {
        None
    }

    /// Stores what waits. Called before the unit's timers are stored, and before it ends.
    ///
    /// # Errors
    /// Those of the store.
    fn save(_unit: &mut SqliteUnit<Self>) -> Result<(), Fault> {
        Ok(())
    }

    /// Whether this saga waits to be stored for the first time, so that it has no timers yet.
    fn is_new(&self, _saga: CorrelationId) -> bool {
        false
    }

    /// Hands over what a unit has read and written, now that it is committed.
    fn remember(self, _memory: &mut Self::Memory) {}

    /// Somebody has put dead letters back or archived them; what is noted about it commits with that.
    ///
    /// # Errors
    /// Those of the store.
    fn letters_moved(
        _unit: &mut SqliteUnit<Self>,
        _act: LetterAct,
        _letters: &[MovedLetter<'_>],
        _by: &Signed<'_>,
    ) -> Result<(), Fault> {
        Ok(())
    }

    /// Somebody has paused a queue or resumed it; what is noted about it commits with that.
    ///
    /// # Errors
    /// Those of the store.
    fn consumer_moved(
        _unit: &mut SqliteUnit<Self>,
        _act: PauseAct,
        _queue: &str,
        _by: &Signed<'_>,
    ) -> Result<(), Fault> {
        Ok(())
    }
}

impl Rows for () {
    type Memory = ();
}

/// One unit of work, with what it keeps of the user's own rows.
pub struct SqliteUnit<R: Rows = ()> {
    pub(crate) shared: Arc<Shared<R::Memory>>,
    /// What leaves with the commit.
    pub(crate) outgoing: Vec<(Arc<str>, Arc<Envelope>)>,
    /// The user's own rows.
    pub rows: R,
    /// What this unit changes of the counts.
    pub counts: Counts,
    timers: PendingTimers,
    turn: Turn<R::Memory>,
    last_position: i64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed,
}

impl<R: Rows> SqliteUnit<R> {
    /// Begins a unit on a writer that nobody else has.
    pub(crate) fn begin(
        shared: Arc<Shared<R::Memory>>,
        mut turn: Turn<R::Memory>,
    ) -> std::result::Result<Self, Fault> {
        turn.writer_mut().begin_unit(&shared.view)?;
        let last_position = turn.writer().last_position;
        Ok(Self {
            shared,
            outgoing: Vec::new(),
            rows: R::default(),
            counts: Counts::default(),
            timers: PendingTimers::default(),
            turn,
            last_position,
            state: State::Open,
        })
    }

    /// The connection, within the transaction.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.turn.writer().connection
    }

    /// What is remembered of earlier units.
    #[must_use]
    pub fn memory(&self) -> &R::Memory {
        &self.turn.writer().memory
    }

    /// Gives out `count` positions in a row and returns the first.
    ///
    /// # Panics
    /// If more are asked for than there are numbers.
    pub fn take_positions(&mut self, count: usize) -> i64 {
        let first = self.last_position + 1;
        self.last_position += i64::try_from(count).expect("a batch is far smaller than 2^63");
        first
    }

    /// Stores what was kept until now, so that questions about it are answered.
    ///
    /// # Errors
    /// Those of the store.
    pub fn save(&mut self) -> std::result::Result<(), Fault> {
        let (set, cancelled) = self.timers.take(|saga| self.rows.is_new(saga));
        R::save(self)?;
        timers::set(self.connection(), &set).map_err(fault("timers.set"))?;
        timers::cancel(self.connection(), &cancelled).map_err(fault("timers.cancel"))
    }

    /// Ends the unit and its turn; what comes back tells when it is durable.
    fn leave(mut self) -> std::result::Result<Told, Fault> {
        self.save()?;
        let fresh = self.send_out().map_err(fault("outbox.publish"))?;
        let (durable, told) = oneshot::channel();
        let member = Member { view: Arc::clone(&self.shared.view), fresh, durable };
        let (rows, counts) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.counts));
        let last_position = self.last_position;
        self.turn
            .writer_mut()
            .commit_unit(|memory| rows.remember(memory), counts, last_position, member)
            .map_err(fault("unit.commit"))?;
        self.state = State::Closed;
        Ok(told)
    }
}

impl<R: Rows> Drop for SqliteUnit<R> {
    fn drop(&mut self) {
        match self.state {
            State::Open => self.turn.writer_mut().abandon_unit(),
            State::Closed => {}
        }
    }
}

#[async_trait]
impl<R: Rows> Unit for SqliteUnit<R> {
    async fn publish(&mut self, envelopes: Vec<Envelope>) -> std::result::Result<(), Fault> {
        self.publish_all(envelopes);
        Ok(())
    }

    async fn reclaim(&mut self, queues: &[Arc<str>]) -> std::result::Result<Vec<Delivery>, Fault> {
        Ok(self.reclaim_all(queues))
    }

    async fn settle(&mut self, settlements: Vec<Settlement>) -> std::result::Result<(), Fault> {
        self.settle_all(&settlements)
    }

    async fn unpark(
        &mut self,
        correlations: &[CorrelationId],
        _now: Timestamp,
    ) -> std::result::Result<usize, Fault> {
        self.unpark_all(correlations).map_err(fault("outbox.unpark"))
    }

    async fn requeue_due(&mut self, now: Timestamp, max: usize) -> std::result::Result<usize, Fault> {
        self.requeue_all_due(now, max).map_err(fault("outbox.requeue"))
    }

    async fn set_timers(&mut self, timers: Vec<Timer>) -> std::result::Result<(), Fault> {
        timers.into_iter().for_each(|timer| self.timers.set(timer));
        Ok(())
    }

    async fn cancel_timers(&mut self, timers: Vec<TimerKey>) -> std::result::Result<(), Fault> {
        timers.into_iter().for_each(|key| self.timers.cancel(key));
        Ok(())
    }

    async fn lease_due_timers(
        &mut self,
        now: Timestamp,
        max: usize,
    ) -> std::result::Result<Vec<Timer>, Fault> {
        self.save()?;
        timers::lease_due(self.connection(), now, max).map_err(fault("timers.lease_due"))
    }

    /// The rows of older generations, whatever this unit has set since.
    async fn retire_timers(&mut self, timers: Vec<Retired>) -> std::result::Result<Vec<Retired>, Fault> {
        timers::retire(self.connection(), timers).map_err(fault("timers.retire"))
    }

    async fn admit(
        &mut self,
        source: &str,
        ids: &[String],
        now: Timestamp,
    ) -> std::result::Result<Vec<Admission>, Fault> {
        let first = self.take_positions(ids.len());
        inbox::admit(self.connection(), first, source, ids, now).map_err(fault("inbox.admit"))
    }

    async fn commit(self: Box<Self>) -> std::result::Result<(), Fault> {
        let told = self.leave()?;
        told.await
            .unwrap_or_else(|_| Err(Fault::retry("unit.commit", "the store was closed before the commit")))
    }
}
