//! Laws of outages: while the store or the transport is away nothing is acknowledged and nothing is lost, and work goes on
//! when they are back, without anybody asking.

use std::time::Duration;

use orderwright_bus as bus;
use proptest::prelude::*;
use tokio::time::Instant;

use bus::harness::Act;
use bus::{Clock, Verdict};

use crate::ledger::{Added, Bookkeeper, Conduct, add, asking, harness, on_virtual_time, until, with_conduct};

const FOR_EVER: u32 = u32::MAX;

fn acts() -> impl Strategy<Value = Vec<(Act, Verdict)>> {
    let act = prop_oneof![
        Just((Act::Begin, Verdict::Retry)),
        Just((Act::Publish, Verdict::Retry)),
        Just((Act::Publish, Verdict::Conflict)),
        Just((Act::Settle, Verdict::Retry)),
        Just((Act::Commit, Verdict::Retry)),
        Just((Act::Commit, Verdict::Conflict)),
        Just((Act::CommitAnswer, Verdict::Retry)),
        Just((Act::Receive, Verdict::Retry)),
        Just((Act::Acknowledge, Verdict::Retry)),
    ];
    prop::collection::vec(act, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_fails_for_a_while_every_message_is_applied_exactly_once(acts in acts(), count in 1_usize..30, slow in 0_usize..10) {
        on_virtual_time(async {
            let mut harness = harness();
            asking(&mut harness, 4);
            acts.into_iter().for_each(|(act, verdict)| harness.store().fail(act, verdict, 1));
            for number in 0..count {
                let conduct = if number < slow { Conduct::TakesMs(100) } else { Conduct::Good };
                harness.send(with_conduct(1, conduct)).await;
            }
            harness.advance(Duration::from_secs(600)).await;
            let applied = harness.data().applied;
            prop_assert_eq!(applied.len(), count);
            prop_assert!(applied.values().all(|times| *times == 1));
            prop_assert_eq!(harness.published::<Added>().len(), count);
            prop_assert!(harness.dead_letters().is_empty() && harness.store().waiting().is_empty());
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_nothing_is_acknowledged_and_no_attempt_is_counted() {
    for act in [Act::Begin, Act::Settle, Act::Commit] {
        let mut harness = harness();
        harness.consume(Bookkeeper);
        harness.store().fail(act, Verdict::Retry, FOR_EVER);
        harness.send(add(1)).await;
        until(Instant::now() + Duration::from_secs(3_600)).await;
        assert_eq!(harness.store().in_hand(), 1, "{act:?}: taken, not acknowledged");
        assert_eq!(
            harness.store().queued("bookkeeper")[0].attempt,
            0,
            "{act:?}: an outage is no failure of the message"
        );
        harness.store().heal();
        let back_at = harness.clock().now();
        harness.run_until_idle().await;
        let took = harness.clock().now().duration_since(back_at);
        assert!(
            took <= jiff::SignedDuration::try_from(bus::limits::BACKOFF_MAX).expect("short"),
            "{act:?}: {took:?}"
        );
        assert_eq!(harness.data().totals["rain"], 1);
        assert!(harness.dead_letters().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_the_store_is_away_ends_soon_and_leaves_the_messages_where_they_were() {
    for conduct in [Conduct::Good, Conduct::FailsInPerform, Conduct::FailsAlways] {
        let mut harness = harness();
        asking(&mut harness, 8);
        let act = if conduct == Conduct::FailsAlways { Act::Settle } else { Act::Begin };
        harness.store().fail(act, Verdict::Retry, FOR_EVER);
        for _ in 0..4 {
            harness.send(with_conduct(1, conduct)).await;
        }
        until(Instant::now() + Duration::from_secs(60)).await;
        let stopped_at = harness.clock().now();
        harness.stop().await;
        assert_eq!(harness.clock().now(), stopped_at, "{conduct:?}");
        assert_eq!(harness.store().queued("bookkeeper").len(), 4, "{conduct:?}");
        assert_eq!(harness.store().in_hand(), 0, "{conduct:?}: given back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_cannot_even_be_recorded_blocks_nobody_and_loses_nothing() {
    let mut harness = harness();
    asking(&mut harness, 8);
    harness.store().fail(Act::Settle, Verdict::GiveUp, 1);
    let id = harness.send(with_conduct(1, Conduct::FailsInPerform)).await;
    until(Instant::now() + Duration::from_secs(1)).await;
    harness.send(add(2)).await;
    until(Instant::now() + Duration::from_secs(1)).await;
    assert_eq!(harness.data().totals["rain"], 2);
    assert_eq!(harness.store().queued("bookkeeper")[0].id, id, "still there, unacknowledged");
    harness.crash().await;
    harness.advance(Duration::from_secs(600)).await;
    assert_eq!(harness.dead_letters()[0].envelope.id, id, "it came again with the next start");
}

#[tokio::test(start_paused = true)]
async fn a_lost_acknowledgement_repeats_nothing_visibly() {
    let mut harness = harness();
    harness.consume(Bookkeeper);
    harness.store().fail(Act::Acknowledge, Verdict::Retry, 1);
    let id = harness.send(add(1)).await;
    harness.run_until_idle().await;
    harness.crash().await;
    harness.run_until_idle().await;
    assert_eq!(harness.data().applied[&id], 1);
}
