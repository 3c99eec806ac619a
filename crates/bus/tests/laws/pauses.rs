//! Laws of pausing: a paused consumer takes nothing, wherever its messages come from, and nothing is lost by it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use orderwright_bus as bus;

use bus::harness::Harness;
use bus::{
    Chain, Clock, EndpointPolicy, Fault, PauseBoard, PauseService, Paused, Pauses, Signed, Stop, Supervisor,
};
use jiff::Timestamp;

use crate::chain::{Clerk, Sheet};
use crate::ledger::{Bookkeeper, Ledger, add, harness, on_virtual_time};

const BY: Signed<'_> = Signed { actor: "eve", note: "looking", at: Timestamp::UNIX_EPOCH };

/// What a chain hands on within a unit, and the pauses that it heeds.
fn clerk(harness: &mut Harness<Ledger>) {
    let chain = Chain::new(harness.clock() as Arc<dyn Clock>).heeding(harness.pauses().clone());
    let chain = Arc::new(chain.with(Arc::new(Bookkeeper)));
    harness.consume_following(Clerk, EndpointPolicy::default(), chain);
}

fn total(harness: &Harness<Ledger>) -> i64 {
    harness.data().totals.get("rain").copied().unwrap_or_default()
}

#[test]
fn a_paused_queue_is_not_handled_and_loses_nothing_through_crashes_until_it_is_resumed() {
    on_virtual_time(async {
        let mut harness = harness();
        harness.consume(Bookkeeper);
        harness.send(add(2)).await;
        harness.run_until_idle().await;
        let store = harness.store().clone();
        assert!(store.pause_queue("bookkeeper", &BY).await.unwrap());
        harness.pauses().read(&store).await.unwrap();
        harness.send(add(3)).await;
        harness.send(add(4)).await;
        harness.advance(Duration::from_secs(3_600)).await;
        harness.crash().await;
        harness.advance(Duration::from_secs(3_600)).await;
        assert_eq!((total(&harness), store.queued("bookkeeper").len(), store.in_hand()), (2, 2, 0));
        assert!(store.resume_queue("bookkeeper", &BY).await.unwrap());
        harness.pauses().read(&store).await.unwrap();
        harness.run_until_idle().await;
        assert_eq!((total(&harness), store.queued("bookkeeper").len()), (9, 0));
        let acts: Vec<_> = store.operator_records().iter().map(|it| (it.act, it.queue.clone())).collect();
        let queue = || "bookkeeper".to_owned();
        assert_eq!(acts, [(bus::PauseAct::Pause, queue()), (bus::PauseAct::Resume, queue())]);
    });
}

#[test]
fn what_a_unit_publishes_for_a_paused_queue_goes_there_and_waits() {
    on_virtual_time(async {
        let mut harness = harness();
        clerk(&mut harness);
        harness.consume(Bookkeeper);
        let store = harness.store().clone();
        store.pause_queue("bookkeeper", &BY).await.unwrap();
        harness.pauses().read(&store).await.unwrap();
        harness.send(Sheet { adds: vec![add(2), add(3)] }).await;
        harness.run_until_idle().await;
        let ledger = harness.data();
        assert_eq!((ledger.totals, ledger.applied.len()), (BTreeMap::new(), 1), "the clerk is not paused");
        assert_eq!(store.queued("bookkeeper").len(), 2);
        harness.pauses().put(Vec::new());
        harness.run_until_idle().await;
        assert_eq!(total(&harness), 5);
    });
}

/// A store that is away.
struct Away;

#[async_trait::async_trait]
impl Pauses for Away {
    async fn paused_queues(&self) -> Result<Vec<Paused>, Fault> {
        Err(Fault::retry("pauses.list", "away"))
    }

    async fn pause_queue(&self, _: &str, _: &Signed<'_>) -> Result<bool, Fault> {
        panic!("it only reads")
    }

    async fn resume_queue(&self, _: &str, _: &Signed<'_>) -> Result<bool, Fault> {
        panic!("it only reads")
    }
}

#[test]
fn while_the_store_is_away_what_was_known_holds_and_before_it_was_read_all_is_paused() {
    on_virtual_time(async {
        let board = PauseBoard::unread();
        assert!(PauseService::new(Arc::new(Away), board.clone()).step().await.is_err());
        assert!(board.is_paused("any") && board.paused().is_empty());
        let store = harness().store().clone();
        store.pause_queue("q", &BY).await.unwrap();
        board.read(&store).await.unwrap();
        assert!(PauseService::new(Arc::new(Away), board.clone()).step().await.is_err());
        assert!(board.is_paused("q") && !board.is_paused("any"));
    });
}

/// Waits until this process knows it.
async fn seen(board: &PauseBoard, queue: &str, is_paused: bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(1));
    let waiting = async {
        while board.is_paused(queue) != is_paused {
            looks.tick().await;
        }
    };
    tokio::time::timeout(2 * PauseService::every(), waiting).await.expect("it is read in time");
}

#[test]
fn the_service_sees_what_another_process_has_paused() {
    on_virtual_time(async {
        let (store, board) = (harness().store().clone(), PauseBoard::unread());
        let mut supervisor = Supervisor::new(Stop::new());
        PauseService::new(Arc::new(store.clone()), board.clone()).start("pauses", &mut supervisor);
        seen(&board, "q", false).await;
        store.pause_queue("q", &BY).await.unwrap();
        seen(&board, "q", true).await;
        supervisor.stop().stop();
        supervisor.drained(Duration::from_secs(1)).await;
    });
}
