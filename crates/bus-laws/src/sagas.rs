//! Laws of sagas that a store keeps as they are: two kinds of them lie side by side in one store, under the same ids, and
//! neither touches the other. A kettle boils and a lamp burns out; one message switches on both.

use std::time::Duration;

use async_trait::async_trait;
use bus::{
    CorrelationId, Fault, Host, Message, Outcome, Reaction, Registry, Saga, SagaRepository, Stop, StoredSaga,
    Supervisor, TimerFired, Unit, Verdict, Work, advance_one,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::SOON;
use crate::stage::{NOW, instance};

/// Where the rows of a store are that keeps sagas.
#[async_trait]
pub trait SagaHome: Send {
    /// Its units.
    type Unit: Unit + SagaRepository<Kettle> + SagaRepository<Lamp> + 'static;

    /// A process that has just started on these rows, with the queues of [`crate::stage::topology`].
    async fn host(&mut self) -> Host<Self::Unit>;
}

/// Both are switched on by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(kind = "B")]
pub struct SwitchedOn {}

/// What happens to a kettle.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
pub enum KettleNews {
    /// It is switched on.
    On(SwitchedOn),
    /// Its time is up.
    #[message(kind = Kettle::TIMER_KIND)]
    Up(TimerFired),
}

/// What happens to a lamp.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
pub enum LampNews {
    /// It is switched on.
    On(SwitchedOn),
    /// Its time is up.
    #[message(kind = Lamp::TIMER_KIND)]
    Up(TimerFired),
}

/// A saga of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kettle {
    id: CorrelationId,
    boils: bool,
    generation: u32,
    /// How often the sweep of crashes has handled it.
    pub(crate) times: u32,
}

/// A saga of another kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lamp {
    id: CorrelationId,
    has_burnt_out: bool,
    generation: u32,
    /// How often the sweep of crashes has handled it.
    pub(crate) times: u32,
}

impl Kettle {
    pub(crate) const fn new(id: CorrelationId) -> Self {
        Self { id, boils: false, generation: 0, times: 0 }
    }

    pub(crate) const fn handled(mut self) -> Self {
        self.times += 1;
        self
    }
}

impl Lamp {
    pub(crate) const fn new(id: CorrelationId) -> Self {
        Self { id, has_burnt_out: false, generation: 0, times: 0 }
    }

    pub(crate) const fn handled(mut self) -> Self {
        self.times += 1;
        self
    }
}

impl Saga for Kettle {
    type Event = KettleNews;
    type Command = ();

    const TIMER_KIND: &'static str = "K";

    fn correlation_id(&self) -> CorrelationId {
        self.id
    }

    fn react(&self, event: &KettleNews, _now: Timestamp) -> Reaction<Self> {
        match event {
            KettleNews::On(_) => Reaction::moved(self.clone()).set_timer("boil", Duration::ZERO),
            KettleNews::Up(up) if up.name == "boil" && up.generation == self.generation => {
                Reaction::moved(Self { boils: true, ..self.clone() })
            }
            KettleNews::Up(_) => Reaction::stays(self, Outcome::Refused("it is another's timer")),
        }
    }

    fn next_generation(&mut self) -> u32 {
        self.generation += 1;
        self.generation
    }
}

impl Saga for Lamp {
    type Event = LampNews;
    type Command = ();

    const TIMER_KIND: &'static str = "L";

    fn correlation_id(&self) -> CorrelationId {
        self.id
    }

    fn react(&self, event: &LampNews, _now: Timestamp) -> Reaction<Self> {
        match event {
            LampNews::On(_) => Reaction::moved(self.clone()).set_timer("burn out", Duration::ZERO),
            LampNews::Up(up) if up.name == "burn out" && up.generation == self.generation => {
                Reaction::moved(Self { has_burnt_out: true, ..self.clone() })
            }
            LampNews::Up(_) => Reaction::stays(self, Outcome::Refused("it is another's timer")),
        }
    }

    fn next_generation(&mut self) -> u32 {
        self.generation += 1;
        self.generation
    }
}

impl StoredSaga for Kettle {
    const NAME: &'static str = "kettle";
}

impl StoredSaga for Lamp {
    const NAME: &'static str = "lamp";
}

/// Each kind under ids of its own choice, the same ones included.
pub async fn sagas_of_two_kinds_lie_side_by_side<H: SagaHome>(home: &mut H) {
    let host = home.host().await;
    let mut unit = host.store.begin().await.unwrap();
    unit.insert_sagas(&[Kettle::new(instance(1)), Kettle::new(instance(2))], NOW).await.unwrap();
    unit.insert_sagas(&[Lamp::new(instance(2)), Lamp::new(instance(3))], NOW).await.unwrap();
    unit.update_sagas(&[Lamp { has_burnt_out: true, ..Lamp::new(instance(2)) }], NOW).await.unwrap();
    unit.commit().await.unwrap();
    drop(host);

    let host = home.host().await;
    let ids = [1, 2, 3, 4].map(instance);
    let mut kettles: Vec<Kettle> = host.store.begin().await.unwrap().load_sagas(&ids).await.unwrap();
    let mut lamps: Vec<Lamp> = host.store.begin().await.unwrap().load_sagas(&ids).await.unwrap();
    kettles.sort_by_key(|kettle| kettle.id);
    lamps.sort_by_key(|lamp| lamp.id);
    assert_eq!(kettles, [Kettle::new(instance(1)), Kettle::new(instance(2))]);
    let burnt_out = Lamp { has_burnt_out: true, ..Lamp::new(instance(2)) };
    assert_eq!(lamps, [burnt_out, Lamp::new(instance(3))]);
}

/// A saga is new once.
pub async fn a_saga_is_begun_once_and_changed_only_if_it_is_there<H: SagaHome>(home: &mut H) {
    async fn refused<U: Unit + SagaRepository<Kettle>>(
        mut unit: Box<U>,
        new: &[Kettle],
        changed: &[Kettle],
    ) -> Verdict {
        let stored = async {
            unit.insert_sagas(new, NOW).await?;
            unit.update_sagas(changed, NOW).await?;
            unit.commit().await
        };
        stored.await.expect_err("this cannot be stored").verdict
    }
    let host = home.host().await;
    let mut unit = host.store.begin().await.unwrap();
    unit.insert_sagas(&[Lamp::new(instance(1))], NOW).await.unwrap();
    unit.insert_sagas(&[Kettle::new(instance(2))], NOW).await.unwrap();
    unit.commit().await.unwrap();
    let [one, two] = [1, 2].map(|number| Kettle::new(instance(number)));
    let twice = refused(host.store.begin().await.unwrap(), std::slice::from_ref(&two), &[]).await;
    let missing = refused(host.store.begin().await.unwrap(), &[], std::slice::from_ref(&one)).await;
    assert_eq!((twice, missing), (Verdict::Conflict, Verdict::Conflict));
    let found: Vec<Kettle> = host.store.begin().await.unwrap().load_sagas(&[one.id, two.id]).await.unwrap();
    assert_eq!(found, [two], "the lamp with the first id is no kettle");
}

/// The whole way in one process: one message begins a saga of each kind under one id, and each one's timer comes to it alone.
pub async fn timers_of_two_kinds_of_sagas_find_their_own<H: SagaHome>(home: &mut H) {
    let host = home.host().await;
    let consumers = Registry::new().handler("q", kettle::<H::Unit>).handler("other", lamp::<H::Unit>);
    let mut supervisor = Supervisor::new(Stop::new());
    consumers.start(&(), &host, &mut supervisor);
    host.publish(instance(1), &SwitchedOn {}).await.unwrap();
    let both = async {
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        loop {
            looks.tick().await;
            let kettles: Vec<Kettle> =
                host.store.begin().await.unwrap().load_sagas(&[instance(1)]).await.unwrap();
            let lamps: Vec<Lamp> =
                host.store.begin().await.unwrap().load_sagas(&[instance(1)]).await.unwrap();
            if kettles.iter().any(|it| it.boils) && lamps.iter().any(|it| it.has_burnt_out) {
                return (kettles[0].generation, lamps[0].generation);
            }
        }
    };
    assert_eq!(tokio::time::timeout(SOON, both).await.expect("both timers fire"), (1, 1));
    supervisor.stop().stop();
    supervisor.drained(SOON).await;
}

async fn kettle<U: Unit + SagaRepository<Kettle>>(
    unit: &mut U,
    work: &mut Work<KettleNews>,
) -> Result<(), Fault> {
    if let KettleNews::Up(up) = &work.message {
        assert_eq!(unit.retire_timers(vec![up.retired()]).await?, [up.retired()]);
    }
    let fresh = Kettle::new(work.envelope().correlation_id);
    advance_one(unit, fresh, work.message.clone(), work).await.map(drop)
}

async fn lamp<U: Unit + SagaRepository<Lamp>>(unit: &mut U, work: &mut Work<LampNews>) -> Result<(), Fault> {
    if let LampNews::Up(up) = &work.message {
        assert_eq!(unit.retire_timers(vec![up.retired()]).await?, [up.retired()]);
    }
    let fresh = Lamp::new(work.envelope().correlation_id);
    advance_one(unit, fresh, work.message.clone(), work).await.map(drop)
}
