//! The sweep of crashes and repeats: a process dies without a word at each point at which it waits, every message comes twice,
//! and in the end everything has been done exactly once. Two consumers, one after the other, note in their inbox what they
//! handle, count it in a saga, and publish; they wait between any two writes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bus::harness::{End, Mortal};
use bus::{
    Admission, Consumer, CorrelationId, EndpointPolicy, Envelope, Fault, Host, Message, MessageId, Registry,
    SagaRepository, Stop, Store, Unit, Work,
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::{JoinHandle, yield_now};

use crate::apart;
use crate::sagas::{Kettle, Lamp, SagaHome};
use crate::stage::{NOW, instance, nothing_comes};
use crate::{NEVER, SOON};

/// Instances in each round.
const INSTANCES: u128 = 3;

/// More points to die at than any engine has, and fewer.
const POINTS_MAX: u32 = 10_000;
const POINTS_MIN: u32 = 20;

/// So many lives in a row that end in good order are the end of the sweep: where a server is asked, not every life waits as often.
const FINISHED: u32 = 3;

/// Between two looks whether all is done.
const LOOK: Duration = Duration::from_millis(3);

/// The first step of an instance.
#[derive(Clone, Debug, Serialize, Deserialize, Message)]
#[message(kind = "K")]
struct First {}

/// The second.
#[derive(Clone, Debug, Serialize, Deserialize, Message)]
#[message(kind = "L")]
struct Second {}

/// Begins a kettle, and publishes the second step.
struct Beginning(Handled);

/// Begins a lamp.
struct Ending(Handled);

/// Counts what was handled, so that the sweep sees whether anything still comes.
type Handled = Arc<watch::Sender<u64>>;

/// A round for every point there is to die at.
pub async fn a_process_that_dies_at_any_step_and_any_message_that_comes_twice_change_nothing<H: SagaHome>(
    home: &mut H,
) {
    let (mut rounds, mut finished) = (0, 0);
    while finished < FINISHED && rounds < POINTS_MAX {
        match round(home, rounds).await {
            End::Died => finished = 0,
            End::Finished => finished += 1,
        }
        rounds += 1;
    }
    assert!(rounds > POINTS_MIN, "there were {rounds} points to die at");
    let host = host(home).await;
    live(&host, None, u32::MAX).await;
    let ids: Vec<CorrelationId> = (0..u128::from(rounds) * INSTANCES).map(instance).collect();
    done_once(&host, &ids, "in the end").await;
    for queue in ["q", "other"] {
        nothing_comes(host.transport.subscribe(queue).await.unwrap().as_mut()).await;
    }
}

/// One process dies over a few instances, after it has waited as often as there were rounds before; the next does the rest.
async fn round<H: SagaHome>(home: &mut H, round: u32) -> End {
    let first = u128::from(round) * INSTANCES;
    let ids: Vec<CorrelationId> = (first..first + INSTANCES).map(instance).collect();
    let end = apart(first_life(home, &ids, round));
    let host = host(home).await;
    let next = tokio::time::timeout(SOON, live(&host, Some(&ids), u32::MAX)).await;
    let when = format!("{end:?} after {round} waits");
    assert_eq!(next.unwrap_or_else(|_| panic!("nothing hangs: {when}")), End::Finished);
    done_once(&host, &ids, &when).await;
    end
}

/// Each message is published twice, and then the work begins.
async fn first_life<H: SagaHome>(home: &mut H, ids: &[CorrelationId], waits: u32) -> End {
    let host = host(home).await;
    let first = |id: &CorrelationId| First {}.first(MessageId(id.0), *id, NOW);
    let mut unit = host.store.begin().await.unwrap();
    unit.publish(ids.iter().chain(ids).map(first).collect::<Vec<Envelope>>()).await.unwrap();
    unit.commit().await.unwrap();
    tokio::time::timeout(SOON, live(&host, Some(ids), waits)).await.expect("it dies or is done")
}

async fn host<H: SagaHome>(home: &mut H) -> Host<H::Unit> {
    let policy = EndpointPolicy { batch_max: 2, ..EndpointPolicy::default() };
    Host { policy, ..home.host().await }
}

/// Works until these instances are done, or until nothing comes any more, or until it has waited so many times.
async fn live<U>(host: &Host<U>, ids: Option<&[CorrelationId]>, waits: u32) -> End
where
    U: Unit + SagaRepository<Kettle> + SagaRepository<Lamp> + 'static,
{
    let (stop, handled) = (Stop::new(), Handled::default());
    let consumers = Registry::new().consumer(Beginning::of).consumer(Ending::of);
    let mut work = Vec::new();
    for endpoint in consumers.endpoints(&handled, host) {
        let feed = host.transport.subscribe(endpoint.queue()).await.expect("it is known");
        let stop = stop.clone();
        work.push(async move { endpoint.run(feed, stop).await });
    }
    let [one, other] = work.try_into().unwrap_or_else(|_| panic!("there are two queues"));
    let both = async {
        tokio::join!(one, other);
    };
    let watching = match ids {
        Some(ids) => watch_over(Arc::clone(&host.store), ids.to_vec()),
        None => tokio::spawn(nothing_follows(handled.subscribe())),
    };
    Mortal::new(both, waits).until(watching, &stop).await
}

/// Looks from a task of its own, so that looking is no step of the work.
fn watch_over<U>(store: Arc<dyn Store<U>>, ids: Vec<CorrelationId>) -> JoinHandle<()>
where
    U: Unit + SagaRepository<Lamp> + 'static,
{
    tokio::spawn(async move {
        while lamps(store.as_ref(), &ids).await.len() < ids.len() {
            tokio::time::sleep(LOOK).await;
        }
    })
}

async fn nothing_follows(mut handled: watch::Receiver<u64>) {
    while tokio::time::timeout(NEVER, handled.changed()).await.is_ok() {}
}

async fn lamps<U>(store: &dyn Store<U>, ids: &[CorrelationId]) -> Vec<Lamp>
where
    U: Unit + SagaRepository<Lamp> + 'static,
{
    store.begin().await.expect("the store is there").load_sagas(ids).await.expect("the store is there")
}

/// Both steps were done with each, and neither twice.
async fn done_once<U>(host: &Host<U>, ids: &[CorrelationId], when: &str)
where
    U: Unit + SagaRepository<Kettle> + SagaRepository<Lamp> + 'static,
{
    let mut unit = host.store.begin().await.expect("the store is there");
    let kettles: Vec<Kettle> = unit.load_sagas(ids).await.expect("the store is there");
    drop(unit);
    let lamps = lamps(host.store.as_ref(), ids).await;
    assert_eq!((kettles.len(), lamps.len()), (ids.len(), ids.len()), "{when}");
    assert!(kettles.iter().all(|kettle| kettle.times == 1), "{kettles:?} {when}");
    assert!(lamps.iter().all(|lamp| lamp.times == 1), "{lamps:?} {when}");
}

/// Whether this consumer sees the message for the first time.
async fn is_new<U: Unit>(unit: &mut U, queue: &str, envelope: &Envelope) -> Result<bool, Fault> {
    let admitted = unit.admit(queue, &[envelope.id.to_string()], NOW).await?;
    yield_now().await;
    Ok(admitted == [Admission::New])
}

impl Beginning {
    fn of(handled: &Handled) -> Self {
        Self(Arc::clone(handled))
    }
}

impl Ending {
    fn of(handled: &Handled) -> Self {
        Self(Arc::clone(handled))
    }
}

#[async_trait]
impl<U: Unit + SagaRepository<Kettle>> Consumer<U> for Beginning {
    const QUEUE: &'static str = "q";
    type Message = First;

    async fn handle(&self, unit: &mut U, batch: &mut [Work<First>]) -> Result<(), Fault> {
        for work in batch.iter() {
            self.0.send_modify(|count| *count += 1);
            if !is_new(unit, "q", work.envelope()).await? {
                continue;
            }
            let id = work.envelope().correlation_id;
            let known = unit.load_sagas(&[id]).await?.pop();
            match known {
                None => unit.insert_sagas(&[Kettle::new(id).handled()], NOW).await?,
                Some(kettle) => unit.update_sagas(&[kettle.handled()], NOW).await?,
            }
            yield_now().await;
            unit.publish(vec![Second {}.caused_by(work.envelope(), 0, NOW)]).await?;
            yield_now().await;
        }
        Ok(())
    }
}

#[async_trait]
impl<U: Unit + SagaRepository<Lamp>> Consumer<U> for Ending {
    const QUEUE: &'static str = "other";
    type Message = Second;

    async fn handle(&self, unit: &mut U, batch: &mut [Work<Second>]) -> Result<(), Fault> {
        for work in batch.iter() {
            self.0.send_modify(|count| *count += 1);
            if !is_new(unit, "other", work.envelope()).await? {
                continue;
            }
            let id = work.envelope().correlation_id;
            let known = unit.load_sagas(&[id]).await?.pop();
            match known {
                None => unit.insert_sagas(&[Lamp::new(id).handled()], NOW).await?,
                Some(lamp) => unit.update_sagas(&[lamp.handled()], NOW).await?,
            }
            yield_now().await;
        }
        Ok(())
    }
}
