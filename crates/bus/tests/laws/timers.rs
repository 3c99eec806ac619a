//! Laws of the timers: each generation fires when it is due, unless it was cancelled or replaced before, and again after pauses
//! that grow until its firing is retired.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use orderwright_bus as bus;
use proptest::prelude::*;
use uuid::Uuid;

use bus::harness::{Act, MemoryStore};
use bus::{
    Clock, CorrelationId, Envelope, Retired, Stop, Store, Timer, TimerFired, TimerKey, TimerService,
    Topology, Unit, Verdict, VirtualClock, from_json,
};

use crate::ledger::on_virtual_time;

#[derive(Clone, Copy, Debug)]
enum Doing {
    Set { saga: u8, name: u8, after_s: u16 },
    Cancel { saga: u8, name: u8 },
    Retire { saga: u8, name: u8, back: u32 },
    Pass { time_s: u16 },
}

fn doings() -> impl Strategy<Value = Vec<Doing>> {
    let doing = prop_oneof![
        3 => (0_u8..3, 0_u8..2, 0_u16..100).prop_map(|(saga, name, after_s)| Doing::Set { saga, name, after_s }),
        1 => (0_u8..3, 0_u8..2).prop_map(|(saga, name)| Doing::Cancel { saga, name }),
        1 => (0_u8..3, 0_u8..2, 0_u32..3).prop_map(|(saga, name, back)| Doing::Retire { saga, name, back }),
        2 => (0_u16..60).prop_map(|time_s| Doing::Pass { time_s }),
    ];
    prop::collection::vec(doing, 0..60)
}

fn key(saga: u8, name: u8) -> TimerKey {
    TimerKey {
        saga: CorrelationId(Uuid::from_u128(u128::from(saga))),
        name: Arc::from(format!("bell-{name}")),
    }
}

fn timer(key: TimerKey, generation: u32, due_at: Timestamp) -> Timer {
    Timer { key, generation, due_at, kind: Arc::from("rang"), traceparent: None, fired: 0 }
}

fn store() -> MemoryStore<()> {
    MemoryStore::new(Topology::default())
}

fn clock() -> Arc<VirtualClock> {
    Arc::new(VirtualClock::starting_at(Timestamp::UNIX_EPOCH))
}

fn service(store: &MemoryStore<()>, clock: &Arc<VirtualClock>) -> TimerService<bus::harness::MemoryUnit<()>> {
    TimerService::new(Arc::new(store.clone()), Arc::clone(clock) as Arc<dyn Clock>)
}

async fn set(store: &MemoryStore<()>, timers: Vec<Timer>) {
    let mut unit = store.begin().await.expect("no mishap is planned");
    unit.set_timers(timers).await.expect("no mishap is planned");
    unit.commit().await.expect("no mishap is planned");
}

async fn cancel(store: &MemoryStore<()>, key: TimerKey) {
    let mut unit = store.begin().await.expect("no mishap is planned");
    unit.cancel_timers(vec![key]).await.expect("no mishap is planned");
    unit.commit().await.expect("no mishap is planned");
}

async fn retire(store: &MemoryStore<()>, key: TimerKey, generation: u32) {
    let mut unit = store.begin().await.expect("no mishap is planned");
    unit.retire_timers(vec![Retired { key, generation }]).await.expect("no mishap is planned");
    unit.commit().await.expect("no mishap is planned");
}

fn firings(store: &MemoryStore<()>) -> Vec<TimerFired> {
    let read = |envelope: &Envelope| from_json(&envelope.body).expect("a timer's body is ours");
    store.published().iter().map(read).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn only_the_latest_generation_fires_when_due_and_again_until_it_is_retired(doings in doings()) {
        on_virtual_time(async {
            let (store, clock) = (store(), clock());
            let service = service(&store, &clock);
            let mut set_now: BTreeMap<TimerKey, Timer> = BTreeMap::new();
            let (mut generation, mut expected) = (0, Vec::new());
            for doing in doings {
                match doing {
                    Doing::Set { saga, name, after_s } => {
                        generation += 1;
                        let due_at = clock.now() + Duration::from_secs(after_s.into());
                        let timer = timer(key(saga, name), generation, due_at);
                        set_now.insert(timer.key.clone(), timer.clone());
                        set(&store, vec![timer]).await;
                    }
                    Doing::Cancel { saga, name } => {
                        set_now.remove(&key(saga, name));
                        cancel(&store, key(saga, name)).await;
                    }
                    Doing::Retire { saga, name, back } => {
                        let key = key(saga, name);
                        let latest = set_now.get(&key).map_or(generation, |timer| timer.generation);
                        if back == 0 {
                            set_now.remove(&key);
                        }
                        retire(&store, key, latest.saturating_sub(back)).await;
                    }
                    Doing::Pass { time_s } => {
                        tokio::time::advance(Duration::from_secs(time_s.into())).await;
                        let mut due: Vec<_> = set_now.values().filter(|timer| timer.due_at <= clock.now()).cloned().collect();
                        due.sort_by_key(|timer| (timer.due_at, timer.key.clone()));
                        set_now.extend(due.iter().map(|timer| (timer.key.clone(), timer.once_more(clock.now()))));
                        expected.extend(due.into_iter().map(|timer| timer.generation));
                        service.step().await.expect("no mishap is planned");
                        let nothing = service.step().await.expect("no mishap is planned");
                        prop_assert_eq!(nothing.fired, 0);
                    }
                }
            }
            let fired: Vec<u32> = firings(&store).iter().map(|fired| fired.generation).collect();
            prop_assert_eq!(fired, expected);
            prop_assert_eq!(store.timers().len(), set_now.len());
            Ok(())
        })?;
    }

    #[test]
    fn two_services_at_once_fire_each_timer_once(count in 0_u32..200) {
        on_virtual_time(async {
            let (store, clock) = (store(), clock());
            let due = |number: u32| {
                let saga = CorrelationId(Uuid::from_u128(number.into()));
                timer(TimerKey { saga, name: Arc::from("bell") }, 1, clock.now())
            };
            set(&store, (0..count).map(due).collect()).await;
            let (one, other) = (service(&store, &clock), service(&store, &clock));
            let (one, other) = tokio::join!(one.step(), other.step());
            let fired = one.expect("no mishap is planned").fired + other.expect("no mishap is planned").fired;
            prop_assert_eq!(fired, count as usize);
            prop_assert_eq!(store.published().len(), count as usize);
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_timer_whose_message_is_lost_fires_again_after_pauses_that_double_up_to_a_bound() {
    let (store, clock) = (store(), clock());
    set(&store, vec![timer(key(1, 1), 3, clock.now())]).await;
    let (mut again, mut pauses) = (0, Vec::new());
    for _ in 0..8 {
        let step = service(&store, &clock).step().await.expect("no mishap is planned");
        assert_eq!(step.fired, 1);
        again += step.again;
        let due_at = store.timers().first().expect("it stays").due_at;
        pauses.push(due_at.duration_since(clock.now()).as_secs());
        tokio::time::advance(Duration::try_from(due_at.duration_since(clock.now())).expect("it is later"))
            .await;
    }
    assert_eq!((again, pauses), (7, vec![30, 60, 120, 240, 480, 600, 600, 600]));
    let ids: std::collections::BTreeSet<_> = store.published().iter().map(|envelope| envelope.id).collect();
    assert_eq!(ids.len(), 1, "each firing is a repeat of the first");
    retire(&store, key(1, 1), 2).await;
    assert_eq!(store.timers().len(), 1, "of an older generation");
    retire(&store, key(1, 1), 3).await;
    assert_eq!(store.timers().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_timer_says_how_late_it_was_and_firing_it_again_gives_the_same_id() {
    let (store, clock) = (store(), clock());
    let rings = timer(key(1, 1), 3, clock.now() + Duration::from_secs(10));
    set(&store, vec![rings.clone()]).await;
    tokio::time::advance(Duration::from_secs(14)).await;
    let step = service(&store, &clock).step().await.expect("no mishap is planned");
    assert_eq!((step.fired, step.lateness_max), (1, Duration::from_secs(4)));
    assert_eq!(store.published()[0].id, rings.fire(clock.now()).id);
    assert_ne!(store.published()[0].id, Timer { generation: 4, ..rings }.fire(clock.now()).id);
}

#[tokio::test(start_paused = true)]
async fn more_timers_than_fit_in_one_step_all_fire_without_waiting_for_the_next_look() {
    let (store, clock) = (store(), clock());
    let count = bus::limits::TIMER_BATCH_MAX as u32 * 2 + 1;
    let due = |number: u32| {
        let saga = CorrelationId(Uuid::from_u128(number.into()));
        timer(TimerKey { saga, name: Arc::from("bell") }, 1, clock.now())
    };
    set(&store, (0..count).map(due).collect()).await;
    let (stop, started) = (Stop::new(), clock.now());
    let mut changes = store.changes();
    let all_fired = async {
        while store.published().len() < count as usize {
            changes.changed().await.expect("the store is here");
        }
        stop.stop();
    };
    let service = service(&store, &clock);
    tokio::join!(service.run(stop.clone()), all_fired);
    assert!(clock.now().duration_since(started) < jiff::SignedDuration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_running_service_fires_within_its_polling_interval_even_if_the_store_was_away() {
    let (store, clock) = (store(), clock());
    set(&store, vec![timer(key(0, 0), 1, clock.now() + Duration::from_secs(5))]).await;
    store.fail(Act::Begin, Verdict::Retry, 10);
    let (stop, service) = (Stop::new(), service(&store, &clock));
    let mut changes = store.changes();
    let fired = async {
        while store.published().is_empty() {
            changes.changed().await.expect("the store is here");
        }
        stop.stop();
        clock.now()
    };
    let ((), at) = tokio::join!(service.run(stop.clone()), fired);
    let late = at.duration_since(Timestamp::UNIX_EPOCH + Duration::from_secs(5));
    assert!((0..=251).contains(&late.as_millis()), "{late:?}");
}
