//! Laws of the turnstile: first come, first served; no budget is exceeded, and nobody is hammered. All on paused time.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, timeout};

use super::pace::{Next, Pace};
use super::*;

const WAIT_MAX: Duration = Duration::from_secs(60);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn budgeted(per_second: u32, in_flight_max: u32, slots: &Arc<LocalSlots>) -> Arc<Turnstile> {
    let budget = CallBudget { per_second, in_flight_max };
    Arc::new(Turnstile::new("party", WAIT_MAX, Stop::new()).within(budget, Arc::clone(slots) as _))
}

/// Calls that come one after the other, each of which takes so long; when each was let through, one after the other.
async fn calls(turnstiles: &[Arc<Turnstile>], count: usize, takes: Duration) -> Vec<(usize, Duration)> {
    let (started, passed) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
    let mut calls = JoinSet::new();
    for number in 0..count {
        let (turnstile, passed) = (Arc::clone(&turnstiles[number % turnstiles.len()]), Arc::clone(&passed));
        calls.spawn(async move {
            let turn = turnstile.pass().await.expect("there is time enough");
            passed.lock().unwrap().push((number, started.elapsed()));
            let _ = timeout(takes, std::future::pending::<()>()).await;
            turn.ended(Passage::LetThrough);
        });
    }
    while calls.join_next().await.is_some() {}
    std::mem::take(&mut *passed.lock().unwrap())
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_where_there_is_neither_budget_nor_trouble() {
    let turnstile = Arc::new(Turnstile::new("party", WAIT_MAX, Stop::new()));
    let passed = calls(&[turnstile], 1_000, Duration::ZERO).await;
    assert!(passed.iter().all(|(_, at)| at.is_zero()));
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_kept_and_who_came_first_goes_first() {
    let turnstile = budgeted(25, 0, &Arc::default());
    let passed = calls(&[Arc::clone(&turnstile)], 500, ms(300)).await;
    for (place, (number, at)) in passed.into_iter().enumerate() {
        assert_eq!(number, place, "first come, first served");
        assert_eq!(at.as_millis() as usize, place * 40);
    }
    assert_eq!(turnstile.state(), TurnstileState::default());
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_kept_by_all_that_share_it_together() {
    let slots = Arc::default();
    let workers: Vec<_> = (0..3).map(|_| budgeted(10, 0, &slots)).collect();
    let mut passed: Vec<_> = calls(&workers, 300, ms(50)).await.into_iter().map(|(_, at)| at).collect();
    passed.sort_unstable();
    assert_eq!(passed.len(), 300);
    for second in passed.windows(11) {
        assert!(second[10] - second[0] >= ms(999), "eleven within a second: {second:?}");
    }
    assert!(*passed.last().unwrap() < Duration::from_secs(33), "nearly no slot is lost");
}

#[tokio::test(start_paused = true)]
async fn slots_that_nobody_used_are_not_made_up_for() {
    let turnstile = budgeted(10, 0, &Arc::default());
    calls(&[Arc::clone(&turnstile)], 5, Duration::ZERO).await;
    advance(Duration::from_secs(60)).await;
    let passed = calls(&[turnstile], 3, Duration::ZERO).await;
    assert_eq!(passed.iter().map(|(_, at)| at.as_millis()).collect::<Vec<_>>(), [0, 100, 200]);
}

#[tokio::test(start_paused = true)]
async fn no_more_are_under_way_than_a_workers_share() {
    let turnstile = budgeted(0, 4, &Arc::default());
    let first = calls(&[Arc::clone(&turnstile)], 12, ms(100)).await;
    assert_eq!(
        first.iter().map(|(_, at)| at.as_millis() / 100).collect::<Vec<_>>(),
        [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    );
    turnstile.share_among(2);
    let shared = calls(&[Arc::clone(&turnstile)], 4, ms(100)).await;
    assert_eq!(shared.iter().map(|(_, at)| at.as_millis() / 100).collect::<Vec<_>>(), [0, 0, 1, 1]);
    turnstile.share_among(100);
    let least = calls(&[turnstile], 2, ms(100)).await;
    assert_eq!(
        least.iter().map(|(_, at)| at.as_millis() / 100).collect::<Vec<_>>(),
        [0, 1],
        "each may have one"
    );
}

#[tokio::test(start_paused = true)]
async fn who_asks_to_be_left_alone_is_and_then_one_goes_to_see() {
    let turnstile = Arc::new(Turnstile::new("party", WAIT_MAX, Stop::new()));
    turnstile.pass().await.unwrap().ended(Passage::TurnedAway(Some(Duration::from_secs(7))));
    assert_eq!(turnstile.state().closed_for, Some(Duration::from_secs(7)));
    let passed = calls(&[Arc::clone(&turnstile)], 400, ms(30)).await;
    let at: Vec<u128> = passed.iter().map(|(_, at)| at.as_millis()).collect();
    assert_eq!(at[..2], [7_000, 7_030], "the second waits for what the first has to tell");
    assert!(passed.iter().map(|(number, _)| *number).is_sorted());
    let gaps: Vec<u128> = at[1..].windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[0] >= 9 && gaps[380] == 0, "a few at first, then all: {gaps:?}");
    assert_eq!(turnstile.state(), TurnstileState::default());
}

#[tokio::test(start_paused = true)]
async fn who_is_away_is_asked_by_one_at_a_time_with_growing_pauses() {
    let turnstile = Arc::new(Turnstile::new("party", WAIT_MAX, Stop::new()));
    let started = Instant::now();
    let mut tries = Vec::new();
    for _ in 0..10 {
        let turn = turnstile.pass().await.unwrap();
        tries.push(started.elapsed().as_millis());
        turn.ended(Passage::TurnedAway(None));
    }
    assert_eq!(tries, [0, 100, 300, 700, 1_500, 3_100, 6_300, 11_300, 16_300, 21_300]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_allowed_nor_once_the_service_stops() {
    let stop = Stop::new();
    let turnstile = Turnstile::new("party", Duration::from_secs(3), stop.clone());
    turnstile.pass().await.unwrap().ended(Passage::TurnedAway(Some(Duration::from_secs(60))));
    let started = Instant::now();
    let refused = turnstile.pass().await.err().unwrap();
    assert_eq!((refused.after, started.elapsed().as_secs()), (Some(Duration::from_secs(57)), 3));
    stop.stop();
    let started = Instant::now();
    assert!(turnstile.pass().await.is_err());
    assert!(started.elapsed().is_zero());
}

proptest! {
    #[test]
    fn whatever_came_before_it_is_open_again_once_calls_are_let_through(
        told in prop::collection::vec((any::<bool>(), 0_u64..5_000, prop::option::of(0_u64..20_000)), 0..60),
    ) {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        for (let_through, pause, asked) in told {
            now += ms(pause);
            let began_at = now - ms(pause / 2);
            if let_through { pace.let_through(began_at) } else { pace.turned_away(began_at, now, asked.map(ms)) }
        }
        for _ in 0..2_000 {
            match pace.next(now) {
                Next::Now => pace.let_through(now),
                Next::At(at) | Next::AfterProbe(at) => {
                    prop_assert!(at > now);
                    now = at;
                }
            }
        }
        prop_assert!(pace.is_free());
    }
}
