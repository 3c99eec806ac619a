//! The law of crashes: whatever step the process dies at, after the next start every message has been handled exactly once
//! as far as the store can tell. An endpoint is polled by hand, so that it can die at each point at which it waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use orderwright_bus as bus;
use proptest::prelude::*;

use bus::harness::{End, MemoryStore, MemoryUnit, Mortal};
use bus::{
    Clock, Endpoint, EndpointPolicy, RandomIds, RetryPolicy, Stop, TimerService, Transport, VirtualClock,
};

use crate::ledger::{
    Added, AskingBookkeeper, Conduct, Ledger, asking, harness, numbered, on_virtual_time, topology,
    with_conduct,
};

struct World {
    store: MemoryStore<Ledger>,
    clock: Arc<VirtualClock>,
    consumer: Arc<AskingBookkeeper>,
}

impl World {
    async fn with(messages: &[Conduct]) -> Self {
        let store = MemoryStore::new(topology());
        let add = |(number, conduct): (usize, &Conduct)| numbered(number as u128, &with_conduct(1, *conduct));
        let envelopes: Vec<_> = messages.iter().enumerate().map(add).collect();
        store.send(&envelopes).await.expect("no mishap is planned");
        let clock = Arc::new(VirtualClock::starting_at(jiff::Timestamp::UNIX_EPOCH));
        Self { store, clock, consumer: Arc::default() }
    }

    /// One life of the process: the endpoint and the timers, until everything is done or it dies.
    async fn live(&self, waits: u32) -> End {
        let clock = || Arc::clone(&self.clock) as Arc<dyn Clock>;
        let redelivery = RetryPolicy::exponential(2, Duration::from_millis(20), Duration::from_millis(40));
        let endpoint = Endpoint::<MemoryUnit<Ledger>>::with_effects(
            Arc::clone(&self.consumer),
            Arc::new(self.store.clone()),
            clock(),
            Arc::new(RandomIds::seeded(waits.into())),
            EndpointPolicy { batch_max: 4, effects_max: 3, redelivery },
        );
        let timers = TimerService::new(Arc::new(self.store.clone()) as _, clock());
        let feed = self.store.subscribe("bookkeeper").await.expect("memory knows every queue");
        let stop = Stop::new();
        let life = async {
            let work = endpoint.run(feed, stop.clone());
            tokio::join!(work, timers.run(stop.clone()), self.until_done(&stop));
        };
        Mortal::new(life, waits).await
    }

    async fn until_done(&self, stop: &Stop) {
        let mut changes = self.store.changes();
        while !(self.store.queued("bookkeeper").is_empty() && self.store.waiting().is_empty()) {
            changes.changed().await.expect("the store is here");
        }
        stop.stop();
    }
}

fn conducts() -> impl Strategy<Value = Vec<Conduct>> {
    let conduct = prop_oneof![
        4 => Just(Conduct::Good),
        1 => (1_u32..3).prop_map(Conduct::FailsFirst),
        1 => Just(Conduct::FailsAlways),
        1 => Just(Conduct::PanicsInPerform),
        2 => (0_u64..30).prop_map(Conduct::TakesMs),
    ];
    prop::collection::vec(conduct, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_step_it_dies_at_every_message_is_handled_exactly_once(
        messages in conducts(), lives in prop::collection::vec(0_u32..120, 0..12),
    ) {
        on_virtual_time(async {
            let world = World::with(&messages).await;
            for waits in lives {
                world.live(waits).await;
                prop_assert_eq!(world.store.in_hand(), 0, "a dead process has nothing in hand");
            }
            prop_assert_eq!(world.live(u32::MAX).await, End::Finished);
            let good = messages.iter().filter(|conduct| !conduct.is_poison()).count();
            let ledger = world.store.data();
            prop_assert!(ledger.applied.values().all(|times| *times == 1));
            prop_assert_eq!(ledger.applied.len(), good);
            prop_assert_eq!(world.store.published().len(), good, "what it published is neither lost nor doubled");
            prop_assert_eq!(world.store.dead_letters(&Default::default()).len(), messages.len() - good);
            Ok(())
        })?;
    }
}

#[test]
fn each_single_step_of_a_batch_survives_a_death() {
    let messages = [Conduct::Good, Conduct::TakesMs(5), Conduct::FailsFirst(1), Conduct::Good];
    let mut waits = 0;
    loop {
        let end = on_virtual_time(async {
            let world = World::with(&messages).await;
            let end = world.live(waits).await;
            world.live(u32::MAX).await;
            assert_eq!(world.store.data().applied.len(), messages.len(), "died after {waits} waits");
            assert_eq!(world.store.published().len(), messages.len(), "died after {waits} waits");
            let performed = world.consumer.gauge.performed.load(Ordering::SeqCst);
            assert!(performed >= messages.len(), "an effect is done at least once");
            end
        });
        if end == End::Finished {
            break;
        }
        waits += 1;
    }
    assert!(waits > 20, "there were {waits} steps to die at");
}

#[tokio::test(start_paused = true)]
async fn a_harness_that_crashes_again_and_again_gets_everything_done_once() {
    let mut harness = harness();
    asking(&mut harness, 2);
    for number in 0..20 {
        harness.send(with_conduct(1, Conduct::TakesMs(number))).await;
        harness.crash().await;
    }
    harness.run_until_idle().await;
    assert!(harness.data().applied.values().all(|times| *times == 1));
    assert_eq!(harness.published::<Added>().len(), 20);
}
