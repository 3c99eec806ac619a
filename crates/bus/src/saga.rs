//! Sagas: a total pure function decides, a table states the same for people and checkers, and one engine loads,
//! reacts and stores. The engine never performs a command; the caller turns commands into messages and writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{CorrelationId, Envelope, Fault, Timer, TimerKey, Unit, Work};

/// A process that reacts to events by changing state and issuing commands.
pub trait Saga: Clone + PartialEq + Send + Sync + Sized + 'static {
    /// The events it reacts to.
    type Event: Send + Sync;
    /// The commands it issues.
    type Command: Send + Sync;

    /// Kind of the messages that its timers become.
    const TIMER_KIND: &'static str;

    /// Which instance this is.
    fn correlation_id(&self) -> CorrelationId;

    /// The reaction to an event. Total: every state answers every event. Pure: it sees only its arguments.
    fn react(&self, event: &Self::Event, now: Timestamp) -> Reaction<Self>;

    /// Counts that timers were set once more, and returns the count: the generation of the timer that is being set. A
    /// firing of an older generation is of a timer that was set anew since.
    fn next_generation(&mut self) -> u32;
}

/// A saga's answer to an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction<S: Saga> {
    /// The instance afterwards.
    pub next: S,
    /// The commands, in order.
    pub commands: Vec<S::Command>,
    /// Timers to set and to cancel.
    pub timers: Vec<TimerChange>,
    /// How the event was taken.
    pub outcome: Outcome,
}

impl<S: Saga> Reaction<S> {
    /// The saga reacts and is `next` afterwards.
    #[must_use]
    pub const fn moved(next: S) -> Self {
        Self { next, commands: Vec::new(), timers: Vec::new(), outcome: Outcome::Moved }
    }

    /// The saga stays as it is; `outcome` says why.
    #[must_use]
    pub fn stays(saga: &S, outcome: Outcome) -> Self {
        Self { outcome, ..Self::moved(saga.clone()) }
    }

    /// The same reaction with one more command.
    #[must_use]
    pub fn command(mut self, command: S::Command) -> Self {
        self.commands.push(command);
        self
    }

    /// The same reaction, which also sets a timer that fires after this time.
    #[must_use]
    pub fn set_timer(mut self, name: &'static str, after: Duration) -> Self {
        self.timers.push(TimerChange::Set { name, after });
        self
    }

    /// The same reaction, which also cancels a timer.
    #[must_use]
    pub fn cancel_timer(mut self, name: &'static str) -> Self {
        self.timers.push(TimerChange::Cancel { name });
        self
    }
}

/// How an event was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The saga reacted.
    Moved,
    /// The event changes nothing: a repeat, or too late to matter. Gives the reason.
    Ignored(&'static str),
    /// The event is ahead of its turn: keep it until the saga has moved on.
    Early,
    /// The event asks for something that is no longer possible. Gives the reason.
    Refused(&'static str),
}

/// A change to a saga's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimerChange {
    /// Fires after this time, replacing the one of the same name.
    Set {
        /// Its name.
        name: &'static str,
        /// From now.
        after: Duration,
    },
    /// Is cancelled.
    Cancel {
        /// Its name.
        name: &'static str,
    },
}

/// A saga that a store can keep as it is, as JSON in the bus's own table, beside others of other kinds.
///
/// Sagas of several kinds may have the same id. Then the names of their timers must differ, because a timer is known by
/// its saga's id and its name, and so must their [`Saga::TIMER_KIND`], by which each gets its own.
pub trait StoredSaga: Saga + Serialize + DeserializeOwned {
    /// Which kind it is. Stored with every instance, so it never changes.
    const NAME: &'static str;
}

/// Loads and stores instances, by sets.
#[async_trait]
pub trait SagaRepository<S: Saga>: Send {
    /// The instances of `ids` that exist, locked until the unit ends.
    async fn load_sagas(&mut self, ids: &[CorrelationId]) -> Result<Vec<S>, Fault>;

    /// Adds new instances.
    async fn insert_sagas(&mut self, sagas: &[S], now: Timestamp) -> Result<(), Fault>;

    /// Stores changed instances.
    async fn update_sagas(&mut self, sagas: &[S], now: Timestamp) -> Result<(), Fault>;
}

/// One event on its way to a saga, with the message that carried it.
#[derive(Clone, Debug)]
pub struct Incoming<'a, E> {
    /// The instance.
    pub saga: CorrelationId,
    /// What happened.
    pub event: E,
    /// The message that carried it; messages for the commands are derived from it.
    pub cause: &'a Envelope,
}

/// What one event led to.
#[derive(Clone, Debug)]
pub struct Step<S: Saga> {
    /// The instance before; none if there is no such instance.
    pub before: Option<S>,
    /// The instance after.
    pub after: Option<S>,
    /// The commands.
    pub commands: Vec<S::Command>,
    /// How the event was taken.
    pub outcome: Outcome,
}

/// Applies events to their sagas, in order, several on the same saga included; stores the changed instances and their
/// timers. Returns one step per event; the caller carries out its commands in the same unit.
///
/// # Errors
/// Those of the store.
pub async fn advance<S, U>(
    unit: &mut U,
    incoming: &[Incoming<'_, S::Event>],
    now: Timestamp,
) -> Result<Vec<Step<S>>, Fault>
where
    S: Saga,
    U: Unit + SagaRepository<S> + ?Sized,
{
    let mut sagas = load(unit, incoming).await?;
    let mut timers = TimerPlan::default();
    let mut steps = Vec::with_capacity(incoming.len());
    let mut touched = BTreeSet::new();
    for input in incoming {
        let step = step(&mut sagas, input, &mut timers, now);
        if step.before != step.after {
            touched.insert(input.saga);
        }
        steps.push(step);
    }
    let changed: Vec<S> = touched.iter().filter_map(|id| sagas.remove(id)).collect();
    if !changed.is_empty() {
        unit.update_sagas(&changed, now).await?;
    }
    timers.store(unit).await?;
    Ok(steps)
}

/// Begins those of these sagas that do not exist yet; the others stay as they are.
///
/// # Errors
/// Those of the store.
pub async fn begin_missing<S, U>(unit: &mut U, sagas: Vec<S>, now: Timestamp) -> Result<(), Fault>
where
    S: Saga,
    U: SagaRepository<S> + ?Sized,
{
    let mut missing: BTreeMap<CorrelationId, S> =
        sagas.into_iter().map(|saga| (saga.correlation_id(), saga)).collect();
    let ids: Vec<CorrelationId> = missing.keys().copied().collect();
    for known in unit.load_sagas(&ids).await? {
        missing.remove(&known.correlation_id());
    }
    let missing: Vec<S> = missing.into_values().collect();
    if missing.is_empty() {
        return Ok(());
    }
    unit.insert_sagas(&missing, now).await
}

/// Tells one saga of the event that a message brought. If there is no such instance, `fresh` begins first.
///
/// # Errors
/// Those of the store.
pub async fn advance_one<S, U, M, A>(
    unit: &mut U,
    fresh: S,
    event: S::Event,
    work: &Work<M, A>,
) -> Result<Step<S>, Fault>
where
    S: Saga,
    U: Unit + SagaRepository<S> + ?Sized,
    M: Sync,
    A: Sync,
{
    let incoming = Incoming { saga: fresh.correlation_id(), event, cause: work.envelope() };
    begin_missing(unit, vec![fresh], work.now()).await?;
    let mut steps = advance(unit, &[incoming], work.now()).await?;
    steps.pop().ok_or_else(|| Fault::give_up("saga.advance", "an event led to no step"))
}

async fn load<S, U>(
    unit: &mut U,
    incoming: &[Incoming<'_, S::Event>],
) -> Result<BTreeMap<CorrelationId, S>, Fault>
where
    S: Saga,
    U: SagaRepository<S> + ?Sized,
{
    let mut ids: Vec<CorrelationId> = incoming.iter().map(|input| input.saga).collect();
    ids.sort_unstable();
    ids.dedup();
    let loaded = unit.load_sagas(&ids).await?;
    Ok(loaded.into_iter().map(|saga| (saga.correlation_id(), saga)).collect())
}

fn step<S: Saga>(
    sagas: &mut BTreeMap<CorrelationId, S>,
    input: &Incoming<'_, S::Event>,
    timers: &mut TimerPlan,
    now: Timestamp,
) -> Step<S> {
    let Some(before) = sagas.get(&input.saga).cloned() else {
        return Step { before: None, after: None, commands: Vec::new(), outcome: Outcome::Early };
    };
    let mut reaction = before.react(&input.event, now);
    timers.add(&mut reaction, input, now);
    sagas.insert(input.saga, reaction.next.clone());
    Step {
        before: Some(before),
        after: Some(reaction.next),
        commands: reaction.commands,
        outcome: reaction.outcome,
    }
}

/// The timer changes of a batch: only the last one of each key.
#[derive(Default)]
struct TimerPlan(BTreeMap<TimerKey, Option<Timer>>);

impl TimerPlan {
    fn add<S: Saga>(&mut self, reaction: &mut Reaction<S>, input: &Incoming<'_, S::Event>, now: Timestamp) {
        for change in &reaction.timers {
            match *change {
                TimerChange::Set { name, after } => {
                    let timer = new_timer(&mut reaction.next, name, after, input.cause, now);
                    self.0.insert(timer.key.clone(), Some(timer));
                }
                TimerChange::Cancel { name } => {
                    self.0.insert(TimerKey { saga: input.saga, name: Arc::from(name) }, None);
                }
            }
        }
    }

    async fn store<U: Unit + ?Sized>(self, unit: &mut U) -> Result<(), Fault> {
        let (set, cancelled): (Vec<_>, Vec<_>) = self.0.into_iter().partition(|(_, timer)| timer.is_some());
        if !set.is_empty() {
            unit.set_timers(set.into_iter().filter_map(|(_, timer)| timer).collect()).await?;
        }
        if !cancelled.is_empty() {
            unit.cancel_timers(cancelled.into_iter().map(|(key, _)| key).collect()).await?;
        }
        Ok(())
    }
}

/// A timer of a saga instance, of a fresh generation.
pub fn new_timer<S: Saga>(
    saga: &mut S,
    name: &str,
    after: Duration,
    cause: &Envelope,
    now: Timestamp,
) -> Timer {
    let after = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
    Timer {
        key: TimerKey { saga: saga.correlation_id(), name: Arc::from(name) },
        generation: saga.next_generation(),
        due_at: now.saturating_add(after).unwrap_or(Timestamp::MAX),
        kind: Arc::from(S::TIMER_KIND),
        traceparent: cause.traceparent.clone(),
        fired: 0,
    }
}
