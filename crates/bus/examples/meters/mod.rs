//! Meter readings: a message, a saga with a timer, and a handler that writes a table of its own. Each store has an example.

use std::time::Duration;

use bus::{
    CorrelationId, Fault, Host, Message, Outcome, Reaction, Saga, SagaRepository, StoredSaga, TimerFired,
    Timestamp, Unit, Work, advance_one,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A meter was read.
#[derive(Clone, Serialize, Deserialize, Message)]
#[message(kind = "ReadingTaken")]
pub(crate) struct ReadingTaken {
    pub(crate) meter_id: Uuid,
    pub(crate) kwh: i64,
}

/// What happens to a meter: it is read, or its timer fires.
#[derive(Clone, Message)]
pub(crate) enum News {
    Taken(ReadingTaken),
    #[message(kind = Meter::TIMER_KIND)]
    Silent(TimerFired),
}

/// The saga: one meter. It is silent once its timer has fired.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meter {
    pub(crate) id: Uuid,
    pub(crate) readings: u32,
    pub(crate) is_silent: bool,
    pub(crate) generation: u32,
}

impl Saga for Meter {
    type Event = News;
    type Command = ();
    const TIMER_KIND: &'static str = "MeterTimer";
    fn correlation_id(&self) -> CorrelationId {
        CorrelationId(self.id)
    }
    fn react(&self, event: &News, _now: Timestamp) -> Reaction<Self> {
        let silent = Self { is_silent: true, ..self.clone() };
        let read = Self { readings: self.readings + 1, is_silent: false, ..self.clone() };
        match event {
            News::Taken(_) => Reaction::moved(read).set_timer("silence", Duration::from_millis(200)),
            News::Silent(fired) if fired.generation == self.generation => Reaction::moved(silent),
            News::Silent(_) => Reaction::stays(self, Outcome::Ignored("it was read since")),
        }
    }
    fn next_generation(&mut self) -> u32 {
        self.generation += 1;
        self.generation
    }
}

impl StoredSaga for Meter {
    const NAME: &'static str = "meter";
}

/// Tells a meter what happened to it; the first reading begins its saga.
pub(crate) async fn tell<U: Unit + SagaRepository<Meter>>(
    unit: &mut U,
    work: &Work<News>,
) -> Result<(), Fault> {
    let id = match &work.message {
        News::Taken(reading) => reading.meter_id,
        News::Silent(fired) => {
            if unit.retire_timers(vec![fired.retired()]).await?.is_empty() {
                return Ok(());
            }
            fired.saga
        }
    };
    advance_one(unit, Meter { id, ..Meter::default() }, work.message.clone(), work).await.map(drop)
}

/// Reads a meter twice, and waits until it is silent.
pub(crate) async fn read_twice<U: Unit + SagaRepository<Meter> + 'static>(
    host: &Host<U>,
) -> Result<Meter, Fault> {
    let meter_id = host.ids.next(host.clock.now());
    for kwh in [7, 5] {
        host.publish(CorrelationId(meter_id), &ReadingTaken { meter_id, kwh }).await?;
    }
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    loop {
        looks.tick().await;
        let found = host.store.begin().await?.load_sagas(&[CorrelationId(meter_id)]).await?;
        if let Some(meter) = found.into_iter().find(|meter| meter.is_silent) {
            return Ok(meter);
        }
    }
}
