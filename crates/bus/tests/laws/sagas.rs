//! Laws of the saga engine, on a kettle: it is filled, heated until it boils or its time is up, and poured.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use orderwright_bus as bus;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use bus::harness::{Act, Harness, MemoryUnit, Sagas};
use bus::{
    Consumer, CorrelationId, Envelope, Fault, Incoming, Message, MessageId, Outcome, Reaction, Saga,
    SagaRepository, Step, TimerChange, TimerFired, Topology, Unit, Verdict, Work, advance, from_json,
    to_json,
};

use crate::ledger::on_virtual_time;

const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Filled,
    Heating,
    Boiled,
    Cold,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Kettle {
    id: CorrelationId,
    stage: Stage,
    poured: u32,
    generation: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Event {
    Filled,
    SwitchedOn,
    Boiled,
    Poured,
    TimeIsUp { generation: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Heater {
    On,
    Off,
    Whistle,
}

impl Kettle {
    fn filled(id: CorrelationId) -> Self {
        Self { id, stage: Stage::Filled, poured: 0, generation: 0 }
    }

    fn stays(&self, outcome: Outcome) -> Reaction<Self> {
        Reaction { next: self.clone(), commands: Vec::new(), timers: Vec::new(), outcome }
    }

    fn moves(&self, stage: Stage, commands: Vec<Heater>, timer: TimerChange) -> Reaction<Self> {
        let next = Self { stage, ..self.clone() };
        Reaction { next, commands, timers: vec![timer], outcome: Outcome::Moved }
    }
}

impl Saga for Kettle {
    type Event = Event;
    type Command = Heater;

    const TIMER_KIND: &'static str = "kettle.time-is-up";

    fn correlation_id(&self) -> CorrelationId {
        self.id
    }

    fn react(&self, event: &Event, _now: Timestamp) -> Reaction<Self> {
        let set = TimerChange::Set { name: "patience", after: PATIENCE };
        let cancel = TimerChange::Cancel { name: "patience" };
        match (self.stage, event) {
            (Stage::Filled, Event::SwitchedOn) => self.moves(Stage::Heating, vec![Heater::On], set),
            (Stage::Heating, Event::SwitchedOn) => self.moves(Stage::Heating, Vec::new(), set),
            (Stage::Heating, Event::Boiled) => {
                self.moves(Stage::Boiled, vec![Heater::Off, Heater::Whistle], cancel)
            }
            (Stage::Heating, Event::TimeIsUp { generation }) if *generation == self.generation => {
                self.moves(Stage::Cold, vec![Heater::Off], cancel)
            }
            (Stage::Filled | Stage::Heating, Event::Poured) | (Stage::Filled, Event::Boiled) => {
                self.stays(Outcome::Early)
            }
            (Stage::Boiled, Event::Poured) => {
                let next = Self { poured: self.poured + 1, ..self.clone() };
                Reaction { next, commands: Vec::new(), timers: Vec::new(), outcome: Outcome::Moved }
            }
            (Stage::Cold, Event::Poured) => self.stays(Outcome::Refused("the water is cold")),
            (_, Event::Filled | Event::SwitchedOn | Event::Boiled | Event::TimeIsUp { .. }) => {
                self.stays(Outcome::Ignored("nothing to do"))
            }
        }
    }

    fn next_generation(&mut self) -> u32 {
        self.generation += 1;
        self.generation
    }
}

impl Message for Event {
    const KINDS: &'static [&'static str] = &["kettle.event", Kettle::TIMER_KIND];

    fn kind(&self) -> &'static str {
        "kettle.event"
    }

    fn encode(&self) -> Bytes {
        to_json(self)
    }

    fn decode(kind: &str, body: &[u8]) -> Result<Self, Fault> {
        if kind == Kettle::TIMER_KIND {
            return from_json::<TimerFired>(body)
                .map(|fired| Self::TimeIsUp { generation: fired.generation });
        }
        from_json(body)
    }
}

impl Message for Heater {
    const KINDS: &'static [&'static str] = &["heater"];

    fn kind(&self) -> &'static str {
        "heater"
    }

    fn encode(&self) -> Bytes {
        to_json(self)
    }

    fn decode(_kind: &str, body: &[u8]) -> Result<Self, Fault> {
        from_json(body)
    }
}

type Kettles = Sagas<Kettle>;

struct Kitchen;

#[async_trait]
impl Consumer<MemoryUnit<Kettles>> for Kitchen {
    const QUEUE: &'static str = "kitchen";
    type Message = Event;

    async fn handle(&self, unit: &mut MemoryUnit<Kettles>, batch: &mut [Work<Event>]) -> Result<(), Fault> {
        let now = batch.iter().map(|work| work.envelope().sent_at).max().unwrap_or_default();
        fill(unit, batch, now).await?;
        let envelopes: Vec<Envelope> = batch.iter().map(|work| work.envelope().clone()).collect();
        let incoming: Vec<_> =
            batch.iter().zip(&envelopes).map(|(work, cause)| incoming(&work.message, cause)).collect();
        let steps: Vec<Step<Kettle>> = advance(unit, &incoming, now).await?;
        carry_out(unit, batch, &steps, now).await
    }
}

fn incoming<'a>(event: &Event, cause: &'a Envelope) -> Incoming<'a, Event> {
    Incoming { saga: cause.correlation_id, event: event.clone(), cause }
}

async fn fill(unit: &mut MemoryUnit<Kettles>, batch: &[Work<Event>], now: Timestamp) -> Result<(), Fault> {
    for work in batch.iter().filter(|work| work.message == Event::Filled) {
        let id = work.envelope().correlation_id;
        if unit.data.0.contains_key(&id) {
            continue;
        }
        unit.insert_sagas(&[Kettle::filled(id)], now).await?;
        unit.unpark(&[id], now).await?;
    }
    Ok(())
}

async fn carry_out(
    unit: &mut MemoryUnit<Kettles>,
    batch: &mut [Work<Event>],
    steps: &[Step<Kettle>],
    now: Timestamp,
) -> Result<(), Fault> {
    for (work, step) in batch.iter_mut().zip(steps) {
        let cause = work.envelope().clone();
        let commands = step.commands.iter().zip(0..).map(|(command, at)| command.caused_by(&cause, at, now));
        unit.publish(commands.collect()).await?;
        match step.outcome {
            Outcome::Moved => drop(unit.unpark(&[cause.correlation_id], now).await?),
            Outcome::Early => work.park(cause.sent_at + PATIENCE * 10),
            Outcome::Refused(why) => work.dead_letter(why),
            Outcome::Ignored(_) => {}
        }
    }
    Ok(())
}

fn kettle(number: u128) -> CorrelationId {
    CorrelationId(Uuid::from_u128(number))
}

fn kitchen() -> Harness<Kettles> {
    let mut harness = Harness::new(Topology::default());
    harness.consume(Kitchen);
    harness
}

async fn tell(harness: &Harness<Kettles>, number: u128, events: &[Event]) {
    for event in events {
        harness.send_about(kettle(number), event.clone()).await;
    }
}

fn happenings() -> impl Strategy<Value = Vec<(u128, Event)>> {
    let event = prop_oneof![
        Just(Event::Filled),
        Just(Event::SwitchedOn),
        Just(Event::Boiled),
        Just(Event::Poured),
        (0_u32..4).prop_map(|generation| Event::TimeIsUp { generation }),
    ];
    prop::collection::vec((0_u128..3, event), 0..40)
}

/// What the engine leaves behind when it is given events in parts of this size.
async fn engine_in_parts(happenings: &[(u128, Event)], part: usize) -> impl PartialEq + std::fmt::Debug {
    use bus::Store;
    let harness: Harness<Kettles> = Harness::new(Topology::default());
    let now = Timestamp::UNIX_EPOCH;
    let ids = (0_u32..).map(|number| MessageId(kettle(9).0).child("happening", number));
    let causes: Vec<_> = happenings
        .iter()
        .zip(ids)
        .map(|((number, event), id)| event.first(id, kettle(*number), now))
        .collect();
    let mut unit = harness.store().begin().await.expect("no mishap is planned");
    unit.insert_sagas(&[Kettle::filled(kettle(0)), Kettle::filled(kettle(1))], now)
        .await
        .expect("they are new");
    let mut told = Vec::new();
    for (happenings, causes) in happenings.chunks(part).zip(causes.chunks(part)) {
        let incoming: Vec<_> =
            happenings.iter().zip(causes).map(|((_, event), cause)| incoming(event, cause)).collect();
        let steps: Vec<Step<Kettle>> =
            advance(unit.as_mut(), &incoming, now).await.expect("no mishap is planned");
        told.extend(steps.into_iter().map(|step| (step.before, step.after, step.commands, step.outcome)));
    }
    unit.commit().await.expect("no mishap is planned");
    (told, harness.data(), harness.store().timers())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn events_in_one_batch_lead_where_the_same_events_lead_one_by_one(happenings in happenings(), part in 1_usize..40) {
        on_virtual_time(async {
            let one_by_one = engine_in_parts(&happenings, 1).await;
            prop_assert_eq!(one_by_one, engine_in_parts(&happenings, part).await);
            Ok(())
        })?;
    }

    #[test]
    fn the_sequence_of_messages_does_not_matter_where_early_ones_are_parked(
        sequence in Just(vec![Event::Filled, Event::SwitchedOn, Event::Boiled, Event::Poured]).prop_shuffle(),
    ) {
        on_virtual_time(async {
            let mut kitchen = kitchen();
            for event in sequence {
                tell(&kitchen, 1, &[event]).await;
                kitchen.run_until_idle().await;
            }
            // A switch-on of a kettle that is not there yet is early, so everything comes to the same end.
            let kettle = kitchen.data().0[&kettle(1)].clone();
            prop_assert_eq!((kettle.stage, kettle.poured), (Stage::Boiled, 1));
            prop_assert_eq!(kitchen.published::<Heater>(), [Heater::On, Heater::Off, Heater::Whistle]);
            prop_assert!(kitchen.store().waiting().is_empty() && kitchen.store().timers().is_empty());
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_kettle_that_does_not_boil_in_time_is_switched_off() {
    let mut kitchen = kitchen();
    tell(&kitchen, 1, &[Event::Filled, Event::SwitchedOn]).await;
    kitchen.advance(PATIENCE - Duration::from_secs(1)).await;
    assert_eq!(kitchen.data().0[&kettle(1)].stage, Stage::Heating);
    kitchen.advance(Duration::from_secs(1)).await;
    assert_eq!(kitchen.data().0[&kettle(1)].stage, Stage::Cold);
    assert_eq!(kitchen.published::<Heater>(), [Heater::On, Heater::Off]);
    tell(&kitchen, 1, &[Event::Poured]).await;
    kitchen.run_until_idle().await;
    assert_eq!(kitchen.dead_letters()[0].reason, "the water is cold");
}

#[tokio::test(start_paused = true)]
async fn a_timer_set_again_counts_from_then_and_its_older_firing_is_ignored() {
    let mut kitchen = kitchen();
    tell(&kitchen, 1, &[Event::Filled, Event::SwitchedOn]).await;
    kitchen.advance(PATIENCE / 2).await;
    tell(&kitchen, 1, &[Event::SwitchedOn]).await;
    kitchen.advance(PATIENCE / 2).await;
    tell(&kitchen, 1, &[Event::TimeIsUp { generation: 1 }]).await;
    kitchen.run_until_idle().await;
    assert_eq!(kitchen.data().0[&kettle(1)].stage, Stage::Heating);
    kitchen.advance(PATIENCE / 2).await;
    assert_eq!(kitchen.data().0[&kettle(1)].stage, Stage::Cold);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_undone_leaves_neither_state_nor_timers_nor_commands() {
    let mut kitchen = kitchen();
    tell(&kitchen, 1, &[Event::Filled]).await;
    kitchen.run_until_idle().await;
    kitchen.store().fail(Act::Commit, Verdict::Conflict, 2);
    tell(&kitchen, 1, &[Event::SwitchedOn]).await;
    kitchen.run_until_idle().await;
    assert_eq!(kitchen.data().0[&kettle(1)].generation, 1, "it reacted once as far as anybody can tell");
    assert_eq!(kitchen.published::<Heater>(), [Heater::On]);
    assert_eq!(kitchen.store().timers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_inserted_once_and_updated_only_if_it_is_there() {
    use bus::Store;
    let harness: Harness<Kettles> = Harness::new(Topology::default());
    let now = Timestamp::UNIX_EPOCH;
    let mut unit = harness.store().begin().await.expect("no mishap is planned");
    let sagas = [Kettle::filled(kettle(1))];
    assert_eq!(unit.update_sagas(&sagas, now).await.expect_err("it is not there").verdict, Verdict::Conflict);
    drop(unit);
    let mut unit = harness.store().begin().await.expect("no mishap is planned");
    unit.insert_sagas(&sagas, now).await.expect("it is new");
    assert_eq!(unit.insert_sagas(&sagas, now).await.expect_err("it is there").verdict, Verdict::Conflict);
    drop(unit);
    assert_eq!(harness.data().0, BTreeMap::new(), "a dropped unit leaves no trace");
}
