//! Laws of what persons do with consumers, and of the register of processes.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{
    Consumer, EndpointPolicy, Fault, Host, Message, MessageId, PauseBoard, Paused, Registry, Routing, Signed,
    Stop, Store, Supervisor, Unit, Work, WorkerQueue, WorkerReport, system,
};
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use uuid::Uuid;

use crate::stage::*;
use crate::{Bus, BusHome, NEVER, SOON, Units};

fn signed<'a>(actor: &'a str, note: &'a str, seconds: i64) -> Signed<'a> {
    Signed { actor, note, at: later(seconds) }
}

fn paused(queue: &str, by: &str, note: &str, seconds: i64) -> Paused {
    Paused { queue: Arc::from(queue), at: later(seconds), by: by.to_owned(), note: note.to_owned() }
}

/// It is told who paused it, when and why; who comes second changes nothing.
pub async fn a_queue_is_paused_once_and_stays_so_for_the_next_process_until_it_is_resumed(
    home: &mut impl BusHome,
) {
    let bus = home.bus(Routing::Store).await;
    assert_eq!(bus.pauses.paused_queues().await.unwrap(), []);
    assert!(!bus.pauses.resume_queue("q", &signed("ann", "", 0)).await.unwrap());
    assert!(bus.pauses.pause_queue("q", &signed("eve", "it's \"odd\"", 1)).await.unwrap());
    assert!(bus.pauses.pause_queue("other", &signed("ann", "", 2)).await.unwrap());
    assert!(!bus.pauses.pause_queue("q", &signed("ann", "again", 3)).await.unwrap());
    drop(bus);
    let bus = home.bus(Routing::Store).await;
    let both = [paused("other", "ann", "", 2), paused("q", "eve", "it's \"odd\"", 1)];
    assert_eq!(bus.pauses.paused_queues().await.unwrap(), both);
    assert!(bus.pauses.resume_queue("q", &signed("ann", "done", 4)).await.unwrap());
    assert!(!bus.pauses.resume_queue("q", &signed("ann", "done", 5)).await.unwrap());
    assert_eq!(bus.pauses.paused_queues().await.unwrap(), both[..1]);
}

/// A message of the queue `q`, whatever it says.
struct Noted;

impl Message for Noted {
    const KINDS: &'static [&'static str] = &["K"];

    fn kind(&self) -> &'static str {
        "K"
    }

    fn encode(&self) -> Bytes {
        Bytes::new()
    }

    fn decode(_kind: &str, _body: &[u8]) -> Result<Self, Fault> {
        Ok(Self)
    }
}

/// The store as endpoints see it.
struct Own(Arc<dyn Units>);

#[async_trait]
impl Store<dyn Unit> for Own {
    async fn begin(&self) -> Result<Box<dyn Unit>, Fault> {
        self.0.begin().await
    }
}

/// What a consumer says, and what it waits for.
#[derive(Clone)]
struct Desk {
    begun: mpsc::UnboundedSender<MessageId>,
    permits: Arc<Semaphore>,
}

#[async_trait]
impl Consumer<dyn Unit> for Desk {
    const QUEUE: &'static str = "q";
    type Message = Noted;

    async fn handle(&self, _unit: &mut (dyn Unit + 'static), batch: &mut [Work<Noted>]) -> Result<(), Fault> {
        for work in batch {
            // The test may be over.
            let _ = self.begun.send(work.envelope().id);
            self.permits.acquire().await.map_err(|closed| Fault::retry("desk.wait", closed))?.forget();
        }
        Ok(())
    }
}

fn consumer(bus: &Bus, desk: &Desk, pauses: &PauseBoard) -> Supervisor {
    let (clock, ids) = system();
    let host: Host<dyn Unit> = Host {
        store: Arc::new(Own(Arc::clone(&bus.units))),
        transport: Arc::clone(&bus.transport),
        clock,
        ids,
        policy: EndpointPolicy { batch_max: 1, ..EndpointPolicy::default() },
        pauses: pauses.clone(),
    };
    let mut supervisor = Supervisor::new(Stop::new());
    Registry::new().consumer(Desk::clone).start_endpoints(desk, &host, &mut supervisor);
    supervisor
}

/// A consumer that starts while its queue is paused touches nothing; one that is paused finishes what it has in hand. All is
/// handled once.
pub async fn a_paused_consumer_finishes_what_it_has_and_leaves_the_rest_until_it_is_resumed(
    home: &mut impl BusHome,
) {
    const COUNT: u128 = 12;
    let bus = home.bus(Routing::Store).await;
    publish(&bus, (1..=COUNT).map(message).collect()).await.unwrap();
    bus.pauses.pause_queue("q", &signed("eve", "looking", 1)).await.unwrap();
    let (pauses, permits) = (PauseBoard::unread(), Arc::new(Semaphore::new(0)));
    let (begun, mut seen) = mpsc::unbounded_channel();
    let supervisor = consumer(&bus, &Desk { begun, permits: Arc::clone(&permits) }, &pauses);
    assert!(timeout(NEVER, seen.recv()).await.is_err(), "it does not know yet what is paused");
    pauses.read(bus.pauses.as_ref()).await.unwrap();
    assert!(timeout(NEVER, seen.recv()).await.is_err(), "it is paused");
    bus.pauses.resume_queue("q", &signed("eve", "seen", 2)).await.unwrap();
    pauses.read(bus.pauses.as_ref()).await.unwrap();
    let mut handled = vec![timeout(SOON, seen.recv()).await.expect("it goes on").expect("a message")];
    // The store may be busy with the first message, so this is told and not stored.
    pauses.put(vec![paused("q", "eve", "again", 3)]);
    // The endpoint hears of it beside its work, so it is given the time.
    while let Ok(id) = timeout(NEVER, seen.recv()).await {
        handled.push(id.expect("the consumer lives"));
    }
    permits.add_permits(usize::try_from(COUNT).expect("a few"));
    while let Ok(id) = timeout(NEVER, seen.recv()).await {
        handled.push(id.expect("the consumer lives"));
    }
    assert!(handled.len() < 6, "what was in hand and no more: {handled:?}");
    pauses.read(bus.pauses.as_ref()).await.unwrap();
    while handled.len() < usize::try_from(COUNT).expect("a few") {
        handled.push(timeout(SOON, seen.recv()).await.expect("it goes on").expect("a message"));
    }
    assert!(timeout(NEVER, seen.recv()).await.is_err(), "each once");
    handled.sort_unstable();
    assert_eq!(handled, (1..=COUNT).map(|number| message(number).id).collect::<Vec<_>>());
    supervisor.stop().stop();
    supervisor.drained(SOON).await;
}

/// What it said last is what is known; a process that says something after its leave is there again.
pub async fn a_process_is_listed_as_it_last_said_and_forgotten_after_its_time(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Store).await;
    let report = |number: u128, held| WorkerReport {
        id: Uuid::from_u128(number),
        version: format!("1.{number}"),
        host: "a host 'of ours'".to_owned(),
        process_id: u32::MAX,
        started_at: later(i64::try_from(number).expect("a few")),
        queues: vec![WorkerQueue { queue: "q".to_owned(), held }],
    };
    for (report, seconds) in [(report(2, 0), 2), (report(1, 7), 3), (report(2, 5), 10)] {
        bus.workers.report_worker(&report, later(seconds)).await.unwrap();
    }
    bus.workers.worker_leaves(Uuid::from_u128(1), later(11)).await.unwrap();
    bus.workers.worker_leaves(Uuid::from_u128(9), later(11)).await.unwrap();
    drop(bus);
    let bus = home.bus(Routing::Store).await;
    let listed = bus.workers.list_workers().await.unwrap();
    let told: Vec<_> = listed.iter().map(|it| (it.report.clone(), it.seen_at, it.left_at)).collect();
    assert_eq!(
        told,
        [(report(1, 7), later(3), Some(later(11))), (report(2, 5), later(10), None)],
        "oldest first"
    );
    assert_eq!(bus.workers.forget_workers(later(3)).await.unwrap(), 0);
    assert_eq!(bus.workers.forget_workers(later(4)).await.unwrap(), 1);
    bus.workers.report_worker(&report(1, 7), later(12)).await.unwrap();
    let listed = bus.workers.list_workers().await.unwrap();
    assert_eq!(listed.iter().map(|it| it.left_at).collect::<Vec<_>>(), [None, None]);
}
