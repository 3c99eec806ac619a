//! Laws of the batch: how messages are grouped is nobody's business, and one that cannot be handled stands alone.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use orderwright_bus as bus;
use proptest::prelude::*;

use bus::harness::{Act, Harness, MemoryStore, MemoryUnit};
use bus::{
    Consumer, Delivery, Endpoint, EndpointPolicy, Fault, Feed, RandomIds, Receipt, RetryPolicy, Stop,
    SystemClock, Transport, Verdict, Work,
};

use crate::ledger::{
    Add, Added, AskingBookkeeper, Bookkeeper, Conduct, Ledger, add, asking, effects, harness, numbered,
    on_virtual_time, topology, with_conduct,
};

/// Long enough for every redelivery of the default policy.
const EVERYTHING: Duration = Duration::from_secs(600);

fn conducts() -> impl Strategy<Value = Conduct> {
    prop_oneof![
        8 => Just(Conduct::Good),
        1 => (1_u32..4).prop_map(Conduct::FailsFirst),
        1 => Just(Conduct::FailsAlways),
        1 => Just(Conduct::PanicsInHandle),
        1 => Just(Conduct::FailsInPerform),
        1 => Just(Conduct::PanicsInPerform),
        1 => Just(Conduct::PanicsInDecode),
        1 => (0_u64..50).prop_map(Conduct::TakesMs),
    ]
}

fn messages() -> impl Strategy<Value = Vec<Add>> {
    let message =
        ("[a-c]", -5_i64..5, conducts()).prop_map(|(counter, by, conduct)| Add { counter, by, conduct });
    prop::collection::vec(message, 1..40)
}

/// Everything that a run leaves behind, the sequence of messages apart.
#[derive(Debug, PartialEq, Eq)]
struct Remains {
    ledger: Ledger,
    published: Vec<Added>,
    dead: BTreeSet<(uuid::Uuid, String, u32)>,
}

/// A harness with these messages in the queue, and nobody who reads it yet.
async fn holding(messages: &[Add]) -> Harness<Ledger> {
    let harness = harness();
    for (number, message) in messages.iter().enumerate() {
        harness.send_envelope(numbered(number as u128, message)).await;
    }
    harness
}

async fn remains(messages: &[Add], effects_max: usize, batch_max: usize) -> Remains {
    let mut harness = holding(messages).await;
    harness
        .consume_effects(AskingBookkeeper::default(), EndpointPolicy { batch_max, ..effects(effects_max) });
    harness.advance(EVERYTHING).await;
    let mut published = harness.published::<Added>();
    published.sort();
    let dead = harness.dead_letters().into_iter();
    let dead = dead.map(|letter| (letter.envelope.id.0, letter.reason, letter.envelope.attempt)).collect();
    Remains { ledger: harness.data(), published, dead }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_batch_of_n_leaves_what_n_batches_of_one_leave(messages in messages(), batch_max in 2_usize..40) {
        on_virtual_time(async {
            let one_by_one = remains(&messages, 7, 1).await;
            prop_assert_eq!(&one_by_one, &remains(&messages, 7, batch_max).await);
            prop_assert_eq!(one_by_one.published.len(), one_by_one.ledger.applied.len());
            Ok(())
        })?;
    }

    #[test]
    fn every_message_is_applied_once_or_is_a_dead_letter(messages in messages(), batch_max in 1_usize..40) {
        on_virtual_time(async {
            let left = remains(&messages, 5, batch_max).await;
            let dead: BTreeSet<_> = left.dead.iter().map(|(id, _, _)| *id).collect();
            for (number, message) in messages.iter().enumerate() {
                let id = numbered(number as u128, message).id;
                let applied = left.ledger.applied.get(&id).copied().unwrap_or(0);
                let poison = message.conduct.is_poison();
                prop_assert_eq!((applied, dead.contains(&id.0)), if poison { (0, true) } else { (1, false) });
            }
            Ok(())
        })?;
    }

    #[test]
    fn what_the_store_cannot_do_at_once_it_does_in_parts(size in 1_usize..40, at_once_max in 1_usize..8) {
        on_virtual_time(async {
            let mut harness = holding(&vec![add(1); size]).await;
            harness.consume(Overtaxing::beyond(at_once_max));
            harness.advance(EVERYTHING).await;
            let applied = harness.data().applied;
            prop_assert!(applied.len() == size && applied.values().all(|times| *times == 1));
            prop_assert!(harness.dead_letters().is_empty() && harness.store().waiting().is_empty());
            Ok(())
        })?;
    }

    #[test]
    fn a_store_that_is_away_for_long_gets_the_batch_as_it_was(size in 2_usize..40, failures in 1_u32..60) {
        on_virtual_time(async {
            let mut harness = holding(&vec![add(1); size]).await;
            harness.store().fail(Act::Begin, Verdict::Retry, failures);
            let consumer = Overtaxing::beyond(size);
            let sizes = Arc::clone(&consumer.sizes);
            harness.consume(consumer);
            harness.advance(EVERYTHING).await;
            prop_assert_eq!(sizes.lock().expect("nobody panics here").clone(), vec![size]);
            Ok(())
        })?;
    }

    #[test]
    fn a_poison_message_is_found_wherever_it_stands(size in 1_usize..60, place in any::<prop::sample::Index>()) {
        on_virtual_time(async {
            let place = place.index(size);
            let conduct = |at| if at == place { Conduct::FailsAlways } else { Conduct::Good };
            let messages: Vec<Add> = (0..size).map(|at| with_conduct(1, conduct(at))).collect();
            let mut harness = holding(&messages).await;
            harness.consume(Bookkeeper);
            harness.run_until_idle().await;
            let waiting = harness.store().waiting();
            prop_assert_eq!(waiting.len(), 1, "only the poison one waits");
            prop_assert_eq!(waiting[0].envelope.id, numbered(place as u128, &messages[place]).id);
            prop_assert_eq!(harness.data().applied.len(), size - 1, "all others are committed, at once");
            Ok(())
        })?;
    }
}

/// Keeps books on a store that takes longer than it may over more messages than so many.
struct Overtaxing {
    keeper: Bookkeeper,
    at_once_max: usize,
    /// Messages in each batch that it was given.
    sizes: Arc<Mutex<Vec<usize>>>,
}

impl Overtaxing {
    fn beyond(at_once_max: usize) -> Self {
        Self { keeper: Bookkeeper, at_once_max, sizes: Arc::default() }
    }
}

#[async_trait]
impl Consumer<MemoryUnit<Ledger>> for Overtaxing {
    const QUEUE: &'static str = "bookkeeper";
    type Message = Add;

    async fn handle(&self, unit: &mut MemoryUnit<Ledger>, batch: &mut [Work<Add>]) -> Result<(), Fault> {
        self.sizes.lock().expect("nobody panics here").push(batch.len());
        if batch.len() > self.at_once_max {
            return Err(Fault::retry("ledger.add", "canceling statement due to statement timeout"));
        }
        self.keeper.handle(unit, batch).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_decoding_performing_or_handling_concerns_its_own_message_only() {
    let mut harness = harness();
    asking(&mut harness, 4);
    for conduct in [Conduct::PanicsInDecode, Conduct::PanicsInPerform, Conduct::PanicsInHandle, Conduct::Good]
    {
        harness.send(with_conduct(1, conduct)).await;
    }
    harness.advance(EVERYTHING).await;
    let mut reasons: Vec<_> = harness.dead_letters().into_iter().map(|letter| letter.reason).collect();
    reasons.sort();
    assert_eq!(
        reasons,
        [
            "consumer.handle failed: panicked: handle fell",
            "consumer.perform failed: panicked: perform fell",
            "message.decode failed: panicked: decode fell",
        ]
    );
    assert_eq!(harness.data().totals["rain"], 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_text_is_kept_short_and_printable() {
    struct Rambling;
    #[async_trait]
    impl Consumer<MemoryUnit<Ledger>> for Rambling {
        const QUEUE: &'static str = "rambling";
        type Message = Add;
        async fn handle(&self, _: &mut MemoryUnit<Ledger>, _: &mut [Work<Add>]) -> Result<(), Fault> {
            Err(Fault::give_up("ledger.ramble", format!("\0\n{}", "words ".repeat(10_000))))
        }
    }
    let mut harness = harness();
    harness.consume(Rambling);
    harness.send(add(1)).await;
    harness.advance(EVERYTHING).await;
    let reason = &harness.dead_letters()[0].reason;
    assert!(reason.chars().count() <= bus::limits::REASON_CHARS_MAX && !reason.contains(char::is_control));
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_tried_again_at_once_and_applied_once() {
    let mut harness = harness();
    harness.store().fail(Act::Commit, Verdict::Conflict, 3);
    harness.consume(Bookkeeper);
    let id = harness.send(add(1)).await;
    harness.run_until_idle().await;
    assert_eq!(harness.data().applied[&id], 1);
    assert!(harness.store().waiting().is_empty(), "a conflict is no failure of the message");
}

#[tokio::test(start_paused = true)]
async fn a_conflict_that_never_ends_is_treated_as_a_failure_of_the_message() {
    let mut harness = harness();
    harness.store().fail(Act::Settle, Verdict::Conflict, bus::limits::CONFLICT_ATTEMPTS_MAX + 1);
    harness.consume(Bookkeeper);
    let id = harness.send(add(1)).await;
    harness.run_until_idle().await;
    assert_eq!(harness.store().waiting()[0].envelope.attempt, 1);
    harness.advance(EVERYTHING).await;
    assert_eq!(harness.data().applied[&id], 1);
}

/// Hands out everything twice, as a broker may.
struct Stuttering(Box<dyn Feed>);

#[async_trait]
impl Feed for Stuttering {
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Fault> {
        let once = self.0.receive(max.div_ceil(2)).await?;
        Ok(once.iter().chain(&once).cloned().collect())
    }

    async fn acknowledge(&mut self, receipts: &[Receipt]) -> Result<(), Fault> {
        self.0.acknowledge(receipts).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_is_no_longer_ours_is_dropped_without_effect() {
    let store = MemoryStore::<Ledger>::new(topology());
    let envelopes: Vec<_> = (0..10).map(|number| numbered(number, &add(1))).collect();
    store.send(&envelopes).await.expect("no mishap is planned");
    let endpoint = Endpoint::<MemoryUnit<Ledger>>::new(
        Arc::new(Bookkeeper),
        Arc::new(store.clone()),
        Arc::new(SystemClock),
        Arc::new(RandomIds::seeded(1)),
        EndpointPolicy::default(),
    );
    let feed = Stuttering(store.subscribe("bookkeeper").await.expect("memory knows every queue"));
    let stop = Stop::new();
    let mut changes = store.changes();
    let settled = async {
        while !(store.queued("bookkeeper").is_empty() && store.in_hand() == 0) {
            changes.changed().await.expect("the store is here");
        }
        stop.stop();
    };
    tokio::join!(endpoint.run(Box::new(feed), stop.clone()), settled);
    assert!(store.data().applied.values().all(|times| *times == 1));
    assert_eq!(store.data().applied.len(), 10);
    assert!(store.waiting().is_empty() && store.dead_letters(&Default::default()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_store_calls_stale_is_dropped_without_effect_or_failure() {
    let mut harness = harness();
    harness.store().fail(Act::Settle, Verdict::Stale, 1);
    harness.consume(Bookkeeper);
    harness.send(add(1)).await;
    harness.run_until_idle().await;
    assert_eq!(harness.data(), Ledger::default());
    assert!(harness.store().waiting().is_empty() && harness.dead_letters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_was_lost_is_not_done_twice() {
    let mut harness = harness();
    harness.store().fail(Act::CommitAnswer, Verdict::Retry, 1);
    harness.consume(Bookkeeper);
    let id = harness.send(add(1)).await;
    harness.run_until_idle().await;
    assert_eq!(harness.data().applied[&id], 1);
    assert_eq!(harness.published::<Added>().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn retries_of_a_message_do_not_depend_on_its_neighbours() {
    let mut harness: Harness<Ledger> = harness();
    let redelivery = RetryPolicy::immediate(3);
    harness
        .consume_with(Bookkeeper, EndpointPolicy { redelivery, batch_max: 16, ..EndpointPolicy::default() });
    for times in 0..6 {
        harness.send(with_conduct(1 << times, Conduct::FailsFirst(times))).await;
    }
    harness.advance(EVERYTHING).await;
    assert_eq!(harness.data().totals["rain"], 0b00_1111, "up to three retries are allowed");
    assert_eq!(harness.dead_letters().len(), 2);
}
