//! Meter readings: a message, a saga with a timer, and a consumer that also writes a table of its own. The examples of the stores
//! run it on theirs.

pub(crate) mod worker;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bus::{
    Clock, Consumer, CorrelationId, Envelope, Fault, Incoming, Message, Outcome, Reaction, Saga,
    SagaRepository, StoredSaga, TimerChange, TimerFired, Unit, Work, advance, from_json, to_json,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The queue of the consumer.
pub(crate) const QUEUE: &str = "meter-readings";

/// How long a meter may say nothing.
const SILENCE: Duration = Duration::from_millis(200);

/// A meter was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ReadingTaken {
    pub(crate) meter_id: Uuid,
    pub(crate) kwh: i64,
}

/// What the consumer understands: a reading, and the timer of a meter.
pub(crate) enum News {
    Taken(ReadingTaken),
    Silent(TimerFired),
}

impl Message for News {
    const KINDS: &'static [&'static str] = &["ReadingTaken", Meter::TIMER_KIND];

    fn kind(&self) -> &'static str {
        match self {
            Self::Taken(_) => "ReadingTaken",
            Self::Silent(_) => Meter::TIMER_KIND,
        }
    }

    fn encode(&self) -> bytes::Bytes {
        match self {
            Self::Taken(taken) => to_json(taken),
            Self::Silent(fired) => to_json(fired),
        }
    }

    fn decode(kind: &str, body: &[u8]) -> Result<Self, Fault> {
        match kind {
            "ReadingTaken" => from_json(body).map(Self::Taken),
            _ => from_json(body).map(Self::Silent),
        }
    }
}

/// The saga: one meter. It is silent once its timer has fired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meter {
    pub(crate) id: Uuid,
    pub(crate) readings: u32,
    pub(crate) is_silent: bool,
    pub(crate) generation: u32,
}

/// What can happen to a meter.
pub(crate) enum Event {
    Read,
    Silent { generation: u32 },
}

impl Saga for Meter {
    type Event = Event;
    type Command = ();
    const TIMER_KIND: &'static str = "MeterTimer";

    fn correlation_id(&self) -> CorrelationId {
        CorrelationId(self.id)
    }

    fn react(&self, event: &Event, _now: Timestamp) -> Reaction<Self> {
        let (mut next, mut timers, mut outcome) = (self.clone(), Vec::new(), Outcome::Moved);
        match event {
            Event::Read => {
                next = Self { readings: self.readings + 1, is_silent: false, ..next };
                timers.push(TimerChange::Set { name: "silence", after: SILENCE });
            }
            Event::Silent { generation } if *generation == self.generation => next.is_silent = true,
            Event::Silent { .. } => outcome = Outcome::Ignored("it was read since"),
        }
        Reaction { next, commands: Vec::new(), timers, outcome }
    }

    fn generation(&self) -> u32 {
        self.generation
    }

    fn next_generation(&mut self) -> u32 {
        self.generation += 1;
        self.generation
    }
}

impl StoredSaga for Meter {
    const NAME: &'static str = "meter";
}

/// The user's own table, in the transaction of the batch.
#[async_trait]
pub(crate) trait Readings {
    async fn add(&mut self, taken: &[ReadingTaken]) -> Result<(), Fault>;
}

/// Adds readings to the table and tells each meter.
pub(crate) struct MeterReadings(pub(crate) Arc<dyn Clock>);

#[async_trait]
impl<U: Unit + SagaRepository<Meter> + Readings> Consumer<U> for MeterReadings {
    type Message = News;
    type Answer = ();

    fn queue(&self) -> &'static str {
        QUEUE
    }

    async fn perform(&self, _: &News, _: &Envelope) -> Result<(), Fault> {
        Ok(())
    }

    async fn handle(&self, unit: &mut U, batch: &mut [Work<News, ()>]) -> Result<(), Fault> {
        let (mut taken, mut fired, mut incoming) = (Vec::new(), Vec::new(), Vec::new());
        for work in batch.iter() {
            let (saga, event) = match &work.message {
                News::Taken(reading) => {
                    taken.push(reading.clone());
                    (reading.meter_id, Event::Read)
                }
                News::Silent(timer) => {
                    fired.push(timer.retired());
                    (timer.saga, Event::Silent { generation: timer.generation })
                }
            };
            incoming.push(Incoming { saga: CorrelationId(saga), event, cause: work.envelope() });
        }
        unit.add(&taken).await?;
        unit.retire_timers(fired).await?;
        begin(unit, &taken, self.0.now()).await?;
        advance(unit, &incoming, self.0.now()).await.map(drop)
    }
}

/// A meter that is read for the first time begins its saga.
async fn begin<U>(unit: &mut U, taken: &[ReadingTaken], now: Timestamp) -> Result<(), Fault>
where
    U: Unit + SagaRepository<Meter>,
{
    let mut ids: Vec<CorrelationId> = taken.iter().map(|reading| CorrelationId(reading.meter_id)).collect();
    ids.sort_unstable();
    ids.dedup();
    for known in unit.load_sagas(&ids).await? {
        ids.retain(|id| id.0 != known.id);
    }
    let begun = ids.into_iter().map(|id| Meter { id: id.0, readings: 0, is_silent: false, generation: 0 });
    unit.insert_sagas(&begun.collect::<Vec<_>>(), now).await
}
