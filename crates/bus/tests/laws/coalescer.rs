//! Laws of the coalescer: every caller gets its own reply, one flush at a time, and a flush's misfortune is its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::join_all;
use orderwright_bus as bus;
use proptest::prelude::*;
use tokio::sync::Semaphore;

use bus::limits::COALESCE_WAITING_MAX;
use bus::{Coalesce, Coalescer, Fault, Overloaded, Stop};

use crate::ledger::on_virtual_time;

const FAILS: u64 = 666;
const PANICS: u64 = 667;

/// Doubles numbers, a flush whenever the gate lets one through.
struct Doubler {
    batch_max: usize,
    gate: Semaphore,
    under_way: AtomicUsize,
    flushes: Mutex<Vec<Vec<u64>>>,
}

impl Doubler {
    fn new(batch_max: usize) -> Arc<Self> {
        let gate = Semaphore::new(0);
        Arc::new(Self { batch_max, gate, under_way: AtomicUsize::new(0), flushes: Mutex::default() })
    }

    fn open(batch_max: usize) -> Arc<Self> {
        let doubler = Self::new(batch_max);
        doubler.let_through(Semaphore::MAX_PERMITS);
        doubler
    }

    fn let_through(&self, flushes: usize) {
        self.gate.add_permits(flushes);
    }

    fn flushes(&self) -> Vec<Vec<u64>> {
        self.flushes.lock().expect("nobody panics with it").clone()
    }
}

#[async_trait]
impl Coalesce for Doubler {
    type Request = u64;
    type Reply = u64;
    type Unit = ();

    fn batch_max(&self) -> usize {
        self.batch_max
    }

    async fn begin(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn flush(&self, (): (), requests: &[u64]) -> Result<Vec<u64>, Fault> {
        assert_eq!(self.under_way.fetch_add(1, Ordering::SeqCst), 0, "one flush at a time");
        self.flushes.lock().expect("nobody panics with it").push(requests.to_vec());
        self.gate.acquire().await.expect("the gate is never closed").forget();
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        assert!(!requests.contains(&PANICS), "flush fell");
        if requests.contains(&FAILS) {
            return Err(Fault::retry("doubler.flush", "away"));
        }
        Ok(requests.iter().map(|number| number * 2).collect())
    }
}

/// Lets every task run until all wait for something.
async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_caller_gets_its_own_reply(numbers in prop::collection::vec(0_u64..600, 0..200), batch_max in 0_usize..40) {
        on_virtual_time(async {
            let doubler = Doubler::open(batch_max);
            let (coalescer, serving) = Coalescer::new(Arc::clone(&doubler));
            tokio::spawn(serving);
            let replies = join_all(numbers.iter().map(|number| coalescer.submit(*number))).await;
            for (number, reply) in numbers.iter().zip(replies) {
                prop_assert_eq!(reply.expect("nothing fails"), number * 2);
            }
            prop_assert!(doubler.flushes().iter().all(|flush| flush.len() <= batch_max.max(1)));
            prop_assert_eq!(doubler.flushes().concat(), numbers, "in the sequence in which they came");
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_arrives_during_a_flush_joins_the_next_one() {
    let doubler = Doubler::new(100);
    let (coalescer, serving) = Coalescer::new(Arc::clone(&doubler));
    tokio::spawn(serving);
    let callers: Vec<_> = (0..10)
        .map(|number| {
            let coalescer = coalescer.clone();
            async move { coalescer.submit(number).await }
        })
        .collect();
    let mut callers = callers.into_iter();
    let first = tokio::spawn(callers.next().expect("there are ten"));
    settle().await;
    let others: Vec<_> = callers.map(tokio::spawn).collect();
    settle().await;
    doubler.let_through(2);
    assert_eq!(first.await.expect("it lives").expect("nothing fails"), 0);
    for other in others {
        other.await.expect("it lives").expect("nothing fails");
    }
    assert_eq!(doubler.flushes(), [vec![0], (1..10).collect()]);
}

#[tokio::test(start_paused = true)]
async fn a_fault_or_a_panic_reaches_every_caller_of_its_flush_and_no_other() {
    for (bad, words) in [(FAILS, "away"), (PANICS, "flush fell")] {
        let doubler = Doubler::open(2);
        let (coalescer, serving) = Coalescer::new(Arc::clone(&doubler));
        let numbers = [1, 2, bad, 4, 5, 6];
        let calls = join_all(numbers.iter().map(|number| coalescer.submit(*number)));
        tokio::spawn(serving);
        for (number, reply) in numbers.iter().zip(calls.await) {
            match reply {
                Ok(double) => assert!(double == number * 2 && *number != bad && *number != 4),
                Err(Overloaded::Failed(fault)) => {
                    assert!(fault.to_string().contains(words) && (*number == bad || *number == 4));
                }
                Err(refused @ (Overloaded::Full | Overloaded::Stopping)) => panic!("{refused}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_caller_too_many_is_told_at_once_and_nothing_is_done_for_it() {
    let doubler = Doubler::open(1_000);
    let (coalescer, serving) = Coalescer::new(Arc::clone(&doubler));
    let mut calls: Vec<_> = (0..COALESCE_WAITING_MAX).map(|_| Box::pin(coalescer.submit(1))).collect();
    for call in &mut calls {
        assert!(call.now_or_never().is_none(), "it waits");
    }
    assert!(matches!(coalescer.submit(2).now_or_never(), Some(Err(Overloaded::Full))));
    tokio::spawn(serving);
    assert!(join_all(calls).await.into_iter().all(|reply| reply.is_ok()));
    assert!(!doubler.flushes().concat().contains(&2));
}

#[tokio::test(start_paused = true)]
async fn a_stop_answers_everybody_who_waits_and_refuses_whoever_comes_later() {
    let (doubler, stop) = (Doubler::new(3), Stop::new());
    let (coalescer, serving) = Coalescer::stopping_with(Arc::clone(&doubler), stop.clone());
    let serving = tokio::spawn(serving);
    let calls = tokio::spawn(join_all((0..10).map(|number| {
        let coalescer = coalescer.clone();
        async move { coalescer.submit(number).await }
    })));
    settle().await;
    stop.stop();
    doubler.let_through(100);
    let replies: Vec<u64> =
        calls.await.expect("it lives").into_iter().map(|reply| reply.expect("drained")).collect();
    assert_eq!(replies, (0..10).map(|number| number * 2).collect::<Vec<_>>());
    serving.await.expect("the loop has ended by itself");
    assert!(matches!(coalescer.submit(1).await, Err(Overloaded::Stopping)));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_went_away_disturbs_nobody() {
    let doubler = Doubler::open(10);
    let (coalescer, serving) = Coalescer::new(Arc::clone(&doubler));
    let mut gone = Box::pin(coalescer.submit(1));
    assert!((&mut gone).now_or_never().is_none());
    drop(gone);
    tokio::spawn(serving);
    assert_eq!(coalescer.submit(2).await.expect("nothing fails"), 4);
}
