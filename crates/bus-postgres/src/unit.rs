//! The unit of work on PostgreSQL: one pooled connection, one transaction at read committed. Questions are asked when they
//! are put; writes are kept back and sent in a row with the next question, at the latest with the commit. A write that
//! fails is therefore told of there, as the fault of its own operation, and the commit behind it is refused.
//!
//! Dropped, it is rolled back, and the connection goes back to the pool when that is done. One whose server has fallen silent
//! is not asked to: it is closed, and what it was about to do is done or not done as after any break.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bus::{
    Admission, CorrelationId, Counts, Delivery, Envelope, Fault, LetterAct, MovedLetter, PauseAct,
    PendingTimers, Retired, Settlement, Signed, Timer, TimerKey, Unit, Verdict,
};
use jiff::Timestamp;
use refinery::Runner;
use tokio_postgres::Row;

use crate::fault::{Taken, fault};
use crate::lent::Lent;
use crate::outgoing::Outgoing;
use crate::parked::{self, Parked};
use crate::pipeline::{Act, Ending, Opening, run};
use crate::shared::Shared;
use crate::{inbox, tally, timers};

/// What a unit keeps of the user's own rows: some that are not stored yet, and some that need not be read again.
pub trait Rows: Default + Send + Sync + Sized + 'static {
    /// The steps that make the user's tables; none if there are none. They are noted in `schema_history`.
    #[must_use]
    fn migrations() -> Option<Runner> {
        None
    }

    /// The statements that store what waits; nothing waits any more. Called before each question of which the answer may depend
    /// on it, and before the commit.
    fn writes(&mut self) -> Vec<Act> {
        Vec::new()
    }

    /// The statements that store what nothing in a unit ever asks for. Called with the commit, behind all others.
    fn last_writes(&mut self) -> Vec<Act> {
        Vec::new()
    }

    /// Whether this saga waits to be stored for the first time, so that it has no timers yet.
    fn is_new(&self, _saga: CorrelationId) -> bool {
        false
    }

    /// Somebody has put dead letters back or archived them; what is noted about it commits with that.
    ///
    /// # Errors
    /// Those of the store.
    fn letters_moved(
        _unit: &mut PostgresUnit<Self>,
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
        _unit: &mut PostgresUnit<Self>,
        _act: PauseAct,
        _queue: &str,
        _by: &Signed<'_>,
    ) -> Result<(), Fault> {
        Ok(())
    }
}

impl Rows for () {}

/// One transaction, with what it keeps of the user's own rows.
pub struct PostgresUnit<R: Rows = ()> {
    pub(crate) shared: Arc<Shared>,
    /// What leaves with the commit.
    pub(crate) outgoing: Outgoing,
    /// The user's own rows.
    pub rows: R,
    /// What this transaction changes of the counts.
    pub counts: Counts,
    pub(crate) parked: HashMap<CorrelationId, Parked>,
    timers: PendingTimers,
    pending: Vec<Act>,
    connection: Option<Lent>,
    phase: Phase,
}

/// How far a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The server has not heard of it.
    Unsent,
    /// It is open.
    Open,
    /// The commit was sent and not answered.
    InDoubt,
    /// It is over, one way or the other.
    Over,
}

impl<R: Rows> PostgresUnit<R> {
    /// A transaction on a connection that nobody else uses.
    pub(crate) fn over(shared: Arc<Shared>, connection: Lent) -> Self {
        Self {
            shared,
            outgoing: Outgoing::default(),
            rows: R::default(),
            counts: Counts::default(),
            parked: HashMap::new(),
            timers: PendingTimers::default(),
            pending: Vec::new(),
            connection: Some(connection),
            phase: Phase::Unsent,
        }
    }

    /// Keeps a write back until the next question or the commit.
    pub fn later(&mut self, act: Act) {
        self.pending.push(act);
    }

    /// Sends all that was kept back and this question behind it, and waits for its rows.
    ///
    /// # Errors
    /// Those of the store, of the first statement that fails.
    pub async fn ask(&mut self, question: Act) -> Result<Vec<Row>, Fault> {
        self.send_unsaved();
        self.ask_beside(question).await
    }

    /// The same for a question that what is unsaved has no bearing on.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub async fn ask_beside(&mut self, question: Act) -> Result<Vec<Row>, Fault> {
        Ok(self.ask_all_beside(vec![question]).await?.pop().unwrap_or_default())
    }

    /// The same for a question that locks these sagas. Whether messages are parked for them is asked in the same breath: parking
    /// one takes the lock too, so the answer stays true as long as the unit lasts.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub async fn ask_locking(&mut self, question: Act, sagas: &[CorrelationId]) -> Result<Vec<Row>, Fault> {
        let operation = question.operation();
        let mut answers = self.ask_all_beside(vec![question, parked::parked_of(sagas)]).await?;
        let parked = answers.pop().unwrap_or_default();
        let known = parked::answered(sagas, &parked).map_err(fault(operation, Taken::GiveUp))?;
        self.parked.extend(known);
        Ok(answers.pop().unwrap_or_default())
    }

    /// Nobody has heard of this saga yet, so nothing is parked for it.
    pub fn is_unheard_of(&mut self, saga: CorrelationId) {
        self.parked.insert(saga, Parked::Nothing);
    }

    /// The same for several, in one round trip.
    async fn ask_all_beside(&mut self, questions: Vec<Act>) -> Result<Vec<Vec<Row>>, Fault> {
        let mut acts = std::mem::take(&mut self.pending);
        let first = acts.len();
        acts.extend(questions);
        let opening = self.opening();
        self.phase = Phase::Open;
        let mut answers = run(self.connection(), opening, &acts, Ending::None).await?;
        Ok(answers.split_off(first))
    }

    /// Keeps no row back any more.
    pub fn send_unsaved(&mut self) {
        let (set, cancelled) = self.timers.take(|saga| self.rows.is_new(saga));
        self.pending.extend(self.rows.writes());
        self.pending.extend((!set.is_empty()).then(|| timers::set(&set)));
        self.pending.extend((!cancelled.is_empty()).then(|| timers::cancel(&cancelled)));
    }

    fn connection(&self) -> &Lent {
        self.connection.as_ref().expect("a unit has its connection until it is dropped")
    }

    fn opening(&self) -> Opening {
        match self.phase {
            Phase::Unsent => Opening::Begin,
            Phase::Open | Phase::InDoubt | Phase::Over => Opening::None,
        }
    }

    async fn make_durable(&mut self) -> Result<(), Fault> {
        self.send_unsaved();
        let mut claims = self.keep_local();
        self.outgoing.bundle_news(&self.shared);
        self.outgoing.claim(&mut claims, &self.shared);
        let mut acts = std::mem::take(&mut self.pending);
        acts.extend(self.rows.last_writes());
        acts.extend(tally::store(&std::mem::take(&mut self.counts)));
        acts.extend(self.outgoing.store(&claims, self.shared.instance));
        if acts.is_empty() && self.phase == Phase::Unsent {
            self.phase = Phase::Over;
            return Ok(());
        }
        let opening = self.opening();
        self.phase = Phase::InDoubt;
        match run(self.connection(), opening, &acts, Ending::Commit).await {
            Ok(mut answers) => {
                self.phase = Phase::Over;
                let positions = answers.pop().unwrap_or_default();
                self.outgoing.hand_over(&self.shared, &claims, &positions);
                Ok(())
            }
            Err(fault) => {
                // With any other verdict the server itself has refused the commit.
                if fault.verdict != Verdict::Retry {
                    self.phase = Phase::Open;
                }
                Err(fault)
            }
        }
    }
}

impl<R: Rows> Drop for PostgresUnit<R> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if self.phase == Phase::InDoubt {
            self.shared.errands.doubt();
        }
        if matches!(self.phase, Phase::Unsent | Phase::Over) || connection.is_lost() {
            return;
        }
        // A connection that is not clean must not be used again: it goes back after the rollback or not at all. The store lives
        // until then: what a commit under way has claimed must not come to light when the claims were given up already.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(roll_back(connection, Arc::clone(&self.shared)))),
            Err(_) => connection.discard(),
        }
    }
}

async fn roll_back(connection: Lent, _outlived: Arc<Shared>) {
    let rolled_back = connection.batch_execute("rollback");
    if connection.answer("unit.rollback", Taken::GiveUp, rolled_back).await.is_err() {
        connection.discard();
    }
}

#[async_trait]
impl<R: Rows> Unit for PostgresUnit<R> {
    async fn publish(&mut self, envelopes: Vec<Envelope>) -> Result<(), Fault> {
        self.publish_all(envelopes);
        Ok(())
    }

    async fn reclaim(&mut self, queues: &[Arc<str>]) -> Result<Vec<Delivery>, Fault> {
        Ok(self.reclaim_all(queues))
    }

    async fn settle(&mut self, settlements: Vec<Settlement>) -> Result<(), Fault> {
        self.settle_all(&settlements);
        Ok(())
    }

    async fn unpark(&mut self, correlations: &[CorrelationId], _now: Timestamp) -> Result<usize, Fault> {
        self.unpark_all(correlations).await
    }

    async fn requeue_due(&mut self, now: Timestamp, max: usize) -> Result<usize, Fault> {
        self.requeue_all_due(now, max).await
    }

    async fn set_timers(&mut self, timers: Vec<Timer>) -> Result<(), Fault> {
        timers.into_iter().for_each(|timer| self.timers.set(timer));
        Ok(())
    }

    async fn cancel_timers(&mut self, timers: Vec<TimerKey>) -> Result<(), Fault> {
        timers.into_iter().for_each(|key| self.timers.cancel(key));
        Ok(())
    }

    async fn lease_due_timers(&mut self, now: Timestamp, max: usize) -> Result<Vec<Timer>, Fault> {
        let rows = self.ask(timers::lease_due(now, max)).await?;
        timers::read_all(&rows)
    }

    async fn retire_timers(&mut self, timers: Vec<Retired>) -> Result<Vec<Retired>, Fault> {
        if timers.is_empty() {
            return Ok(timers);
        }
        timers::retired(&self.ask(timers::retire(&timers)).await?)
    }

    async fn admit(&mut self, source: &str, ids: &[String], now: Timestamp) -> Result<Vec<Admission>, Fault> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.ask_beside(inbox::admit(source, ids, now)).await?;
        inbox::admissions(ids, &rows)
    }

    async fn commit(mut self: Box<Self>) -> Result<(), Fault> {
        self.make_durable().await
    }
}
