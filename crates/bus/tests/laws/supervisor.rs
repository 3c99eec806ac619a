//! Laws of the supervisor: what falls is started again, what is told to stop stops, and nobody is waited for beyond a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use orderwright_bus as bus;
use tokio::sync::watch;
use tokio::time::Instant;

use bus::limits::{BACKOFF_MAX, BACKOFF_MIN};
use bus::{Drained, Running, Stop, Supervisor};

use crate::ledger::until;

/// Counts starts; a service does with its number of starts what the test says.
#[derive(Clone)]
struct Starts(Arc<watch::Sender<u32>>);

impl Starts {
    fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    fn next(&self) -> u32 {
        self.0.send_modify(|count| *count += 1);
        *self.0.borrow()
    }

    async fn reach(&self, count: u32) {
        let reached = self.0.subscribe().wait_for(|so_far| *so_far >= count).await.map(|_| ());
        reached.expect("the sender is here");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_panics_or_ends_is_started_again_and_everybody_can_see_it() {
    let (stop, starts) = (Stop::new(), Starts::new());
    let mut supervisor = Supervisor::new(stop.clone());
    let statuses = supervisor.statuses();
    let counting = starts.clone();
    supervisor.run("clumsy", move |stop| {
        let start = counting.next();
        assert!(start != 1, "falls before it even runs");
        async move {
            assert!(start != 2, "falls while it runs");
            if start > 3 {
                stop.stopped().await;
            }
        }
    });
    starts.reach(4).await;
    tokio::task::yield_now().await;
    assert_eq!((statuses()[0].restarts, statuses()[0].running), (3, Running::Yes));
    stop.stop();
    assert_eq!(supervisor.drained(Duration::from_secs(1)).await, Drained::Cleanly);
    assert_eq!((statuses()[0].name, statuses()[0].running), ("clumsy", Running::Stopped));
}

#[tokio::test(start_paused = true)]
async fn one_that_falls_disturbs_no_other() {
    let (stop, clumsy) = (Stop::new(), Starts::new());
    let mut supervisor = Supervisor::new(stop.clone());
    let statuses = supervisor.statuses();
    let counting = clumsy.clone();
    supervisor.run("clumsy", move |_| {
        counting.next();
        async { panic!("again") }
    });
    supervisor.run("steady", |stop| async move { stop.stopped().await });
    clumsy.reach(5).await;
    assert_eq!((statuses()[1].restarts, statuses()[1].running), (0, Running::Yes));
    stop.stop();
    assert_eq!(supervisor.drained(Duration::from_secs(1)).await, Drained::Cleanly);
}

#[tokio::test(start_paused = true)]
async fn falls_in_a_row_make_the_pause_grow_to_its_bound_and_a_good_run_makes_it_short_again() {
    let (stop, starts) = (Stop::new(), Starts::new());
    let mut supervisor = Supervisor::new(stop.clone());
    let counting = starts.clone();
    supervisor.run("clumsy", move |_| {
        let start = counting.next();
        async move {
            if start == 12 {
                until(Instant::now() + Duration::from_secs(3_600)).await;
            }
        }
    });
    starts.reach(11).await;
    let before = Instant::now();
    starts.reach(12).await;
    assert!(before.elapsed().abs_diff(BACKOFF_MAX) < Duration::from_millis(5));
    until(Instant::now() + Duration::from_secs(3_600)).await;
    let before = Instant::now();
    starts.reach(13).await;
    assert!(before.elapsed().abs_diff(BACKOFF_MIN) < Duration::from_millis(5));
    stop.stop();
}

#[tokio::test(start_paused = true)]
async fn a_stop_during_the_pause_starts_nothing_again() {
    let (stop, starts) = (Stop::new(), Starts::new());
    let mut supervisor = Supervisor::new(stop.clone());
    let counting = starts.clone();
    supervisor.run("short", move |_| {
        counting.next();
        async {}
    });
    starts.reach(3).await;
    stop.stop();
    let drained = supervisor.drained(Duration::from_secs(1)).await;
    assert_eq!((drained, *starts.0.borrow()), (Drained::Cleanly, 3));
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_what_is_in_hand_but_not_beyond_its_limit() {
    for (takes_s, expected) in [(2, Drained::Cleanly), (60, Drained::ByForce)] {
        let (stop, finished) = (Stop::new(), Arc::new(AtomicU32::new(0)));
        let mut supervisor = Supervisor::new(stop.clone());
        let finishing = Arc::clone(&finished);
        supervisor.run("slow", move |stop| {
            let finishing = Arc::clone(&finishing);
            async move {
                stop.stopped().await;
                until(Instant::now() + Duration::from_secs(takes_s)).await;
                finishing.fetch_add(1, Ordering::SeqCst);
            }
        });
        tokio::task::yield_now().await;
        stop.stop();
        let before = Instant::now();
        assert_eq!(supervisor.drained(Duration::from_secs(10)).await, expected);
        assert_eq!(before.elapsed().as_secs(), takes_s.min(10));
        until(Instant::now() + Duration::from_secs(600)).await;
        assert_eq!(
            finished.load(Ordering::SeqCst),
            u32::from(expected == Drained::Cleanly),
            "what was cut off is gone"
        );
    }
}
