//! Laws of effects: so many at once at most, each answer committed as it comes, and a stop that finishes what is in hand.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use orderwright_bus as bus;
use proptest::prelude::*;
use tokio::time::Instant;

use bus::harness::Act;
use bus::{Clock, EndpointPolicy, Verdict};

use crate::ledger::{
    Added, AskingBookkeeper, Conduct, asking, effects, harness, on_virtual_time, until, with_conduct,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_more_effects_than_allowed_are_under_way_and_all_are_done(
        times_ms in prop::collection::vec(0_u64..500, 1..60), at_once_max in 0_usize..10, batch_max in 1_usize..20,
    ) {
        on_virtual_time(async {
            let mut harness = harness();
            let consumer = AskingBookkeeper::default();
            let gauge = Arc::clone(&consumer.gauge);
            for time_ms in &times_ms {
                harness.send(with_conduct(1, Conduct::TakesMs(*time_ms))).await;
            }
            harness.consume_effects(consumer, EndpointPolicy { batch_max, ..effects(at_once_max) });
            harness.run_until_idle().await;
            prop_assert!(gauge.under_way_max.load(Ordering::SeqCst) <= at_once_max.max(1));
            prop_assert_eq!(gauge.performed.load(Ordering::SeqCst), times_ms.len());
            prop_assert_eq!(harness.data().applied.len(), times_ms.len());
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_effect_holds_nobody_up() {
    let mut harness = harness();
    asking(&mut harness, 8);
    harness.send(with_conduct(1_000, Conduct::TakesMs(60_000))).await;
    for _ in 0..40 {
        harness.send(with_conduct(1, Conduct::TakesMs(10))).await;
    }
    until(Instant::now() + Duration::from_secs(1)).await;
    assert_eq!(harness.data().totals["rain"], 40, "the others are committed while it runs");
    assert_eq!(harness.store().in_hand(), 1);
    harness.run_until_idle().await;
    assert_eq!(harness.data().totals["rain"], 1_040);
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_the_effects_in_hand_and_takes_nothing_new() {
    let mut harness = harness();
    asking(&mut harness, 2);
    for _ in 0..5 {
        harness.send(with_conduct(1, Conduct::TakesMs(3_000))).await;
    }
    until(Instant::now() + Duration::from_secs(1)).await;
    let stopped_at = harness.clock().now();
    harness.stop().await;
    let took = harness.clock().now().duration_since(stopped_at);
    assert_eq!(took.as_secs(), 2, "no longer than what was under way");
    assert_eq!(harness.data().totals["rain"], 2);
    assert_eq!(harness.store().queued("bookkeeper").len(), 3, "the rest waits for the next start");
    assert_eq!(harness.store().in_hand(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_after_the_stop_waits_for_the_next_start() {
    let mut harness = harness();
    asking(&mut harness, 8);
    harness.send(with_conduct(1, Conduct::TakesMs(3_000))).await;
    until(Instant::now() + Duration::from_secs(1)).await;
    harness.signal_stop();
    harness.send(with_conduct(1, Conduct::Good)).await;
    harness.stop().await;
    assert_eq!(harness.data().totals["rain"], 1);
    assert_eq!(harness.store().queued("bookkeeper").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_committed_even_while_the_transport_is_away() {
    let mut harness = harness();
    asking(&mut harness, 8);
    harness.send(with_conduct(1, Conduct::TakesMs(300))).await;
    until(Instant::now() + Duration::from_millis(200)).await;
    harness.store().fail(Act::Receive, Verdict::Retry, u32::MAX);
    harness.send(with_conduct(1, Conduct::Good)).await;
    until(Instant::now() + Duration::from_millis(110)).await;
    assert_eq!(
        harness.published::<Added>().len(),
        1,
        "the pause of the transport is not the pause of the answers"
    );
    until(Instant::now() + Duration::from_secs(60)).await;
    harness.store().heal();
    harness.run_until_idle().await;
    assert_eq!(harness.published::<Added>().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_effect_that_fails_is_tried_again_later_and_its_neighbours_are_not() {
    let mut harness = harness();
    let gauge = asking(&mut harness, 8);
    for conduct in [Conduct::Good, Conduct::FailsInPerform, Conduct::Good] {
        harness.send(with_conduct(1, conduct)).await;
    }
    harness.advance(Duration::from_secs(600)).await;
    assert_eq!(
        gauge.performed.load(Ordering::SeqCst),
        2 + 6,
        "one attempt and five more of the one that fails"
    );
    assert_eq!(harness.dead_letters()[0].reason, "counter.ask failed: no answer");
}
