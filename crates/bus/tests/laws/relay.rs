//! Laws of the relay: whatever the transport does and however many relays run, each row arrives at least once and none is
//! lost; and a row leaves the outbox only by the hand that holds it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use orderwright_bus as bus;
use proptest::prelude::*;
use uuid::Uuid;

use bus::harness::{Act, MemoryStore};
use bus::limits::{RELAY_AGAIN, RELAY_BATCH_MAX, RELAY_CONFIRM_MAX, RELAY_LEASE, RELAY_POLL};
use bus::{
    Clock, Envelope, Fault, Feed, Leased, MessageId, OutboxStore, RandomIds, Relay, Routing, Stop, Store,
    Topology, Transport, Unit, Unsent, Verdict, VirtualClock,
};

use crate::ledger::{add, numbered, on_virtual_time, until};

/// How a transport treats one call.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Good,
    Away,
    Hanging,
    /// Sends the first half and then breaks.
    Half,
    /// Sends everything, but the confirm is lost.
    Mute,
    /// Sends and confirms the first half, and then breaks.
    HalfConfirmed,
    /// Sends everything and complains all the same: confirms it twice, and what nobody sent.
    Stammering,
}

/// A transport with moods, with messages that it can never send, and with some that it refuses by themselves.
#[derive(Default)]
struct Moody {
    moods: Mutex<VecDeque<Mood>>,
    unsendable: Vec<MessageId>,
    /// It lacks something for now.
    unready: Mutex<Vec<MessageId>>,
    refused: Vec<MessageId>,
    /// How long it takes to confirm each message.
    slowness: Duration,
    arrived: Mutex<BTreeMap<MessageId, u32>>,
}

impl Moody {
    fn with(moods: impl IntoIterator<Item = Mood>) -> Self {
        Self { moods: Mutex::new(moods.into_iter().collect()), ..Self::default() }
    }

    fn take(&self, envelopes: &[Envelope]) {
        let mut arrived = self.arrived.lock().expect("nobody panics here");
        envelopes.iter().for_each(|envelope| *arrived.entry(envelope.id).or_default() += 1);
    }

    async fn take_what_is_wanted(&self, envelopes: &[Envelope]) -> Result<(), Unsent> {
        let slowness = self.slowness * u32::try_from(envelopes.len()).expect("a slice is small");
        until(tokio::time::Instant::now() + slowness).await;
        let (refused, confirmed): (Vec<_>, Vec<_>) =
            (0..envelopes.len()).partition(|place| self.refused.contains(&envelopes[*place].id));
        confirmed.iter().for_each(|place| self.take(&envelopes[*place..=*place]));
        if refused.is_empty() {
            return Ok(());
        }
        Err(Unsent { fault: Fault::retry("transport.send", "a queue is full"), confirmed, refused })
    }

    fn arrived(&self) -> BTreeMap<MessageId, u32> {
        self.arrived.lock().expect("nobody panics here").clone()
    }
}

#[async_trait]
impl Transport for Moody {
    async fn subscribe(&self, _queue: &str) -> Result<Box<dyn Feed>, Fault> {
        Err(Fault::give_up("transport.subscribe", "it only sends"))
    }

    async fn send(&self, envelopes: &[Envelope]) -> Result<(), Unsent> {
        tokio::task::yield_now().await;
        let is_unready = |id: &MessageId| self.unready.lock().expect("nobody panics here").contains(id);
        if envelopes.iter().any(|envelope| self.unsendable.contains(&envelope.id) || is_unready(&envelope.id))
        {
            return Err(Fault::give_up("transport.send", "too large").into());
        }
        let mood = self.moods.lock().expect("nobody panics here").pop_front().unwrap_or(Mood::Good);
        let half = envelopes.len() / 2;
        let lost = || Unsent::from(Fault::retry("transport.send", "connection lost"));
        match mood {
            Mood::Good => return self.take_what_is_wanted(envelopes).await,
            Mood::Away => {}
            Mood::Hanging => std::future::pending().await,
            Mood::Half => self.take(&envelopes[..half]),
            Mood::Mute => self.take(envelopes),
            Mood::HalfConfirmed => {
                self.take(&envelopes[..half]);
                return Err(Unsent { confirmed: (0..half).collect(), ..lost() });
            }
            Mood::Stammering => {
                self.take(envelopes);
                let places = 0..envelopes.len() + 3;
                return Err(Unsent { confirmed: places.clone().chain(places).collect(), ..lost() });
            }
        }
        Err(lost())
    }
}

struct Outbox {
    store: MemoryStore<()>,
    clock: Arc<VirtualClock>,
    ids: Arc<RandomIds>,
}

impl Outbox {
    async fn with_rows(count: usize) -> Self {
        let store = MemoryStore::with_routing(Topology::default(), Routing::Outbox);
        let mut unit = store.begin().await.expect("no mishap is planned");
        let rows = (0..count).map(|number| numbered(number as u128, &add(1))).collect();
        unit.publish(rows).await.expect("no mishap is planned");
        unit.commit().await.expect("no mishap is planned");
        let clock = Arc::new(VirtualClock::starting_at(Timestamp::UNIX_EPOCH));
        Self { store, clock, ids: Arc::new(RandomIds::seeded(1)) }
    }

    fn relay(&self, transport: &Arc<Moody>) -> Relay {
        let store = Arc::new(self.store.clone());
        Relay::new(
            store,
            Arc::clone(transport) as _,
            Arc::clone(&self.clock) as _,
            Arc::clone(&self.ids) as _,
        )
    }

    async fn emptied(&self) {
        let mut changes = self.store.changes();
        while self.store.outgoing() > 0 {
            changes.changed().await.expect("the store is here");
        }
    }

    async fn lease(&self, holder: Uuid, lease_s: u64, max: usize) -> Vec<i64> {
        let now = self.clock.now();
        let leased = self.store.lease(holder, now, now + Duration::from_secs(lease_s), max).await;
        leased.expect("no mishap is planned").into_iter().map(|row| row.position).collect()
    }
}

fn moods() -> impl Strategy<Value = Vec<Mood>> {
    let mood = prop_oneof![
        Just(Mood::Good),
        Just(Mood::Away),
        Just(Mood::Hanging),
        Just(Mood::Half),
        Just(Mood::HalfConfirmed),
        Just(Mood::Stammering),
        Just(Mood::Mute)
    ];
    prop::collection::vec(mood, 0..8)
}

fn mishaps() -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(prop_oneof![Just(Act::Lease), Just(Act::Remove)], 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_row_arrives_whatever_the_transport_and_the_store_do(
        rows in 0_usize..700, moods in moods(), mishaps in mishaps(), relays in 1_usize..4,
    ) {
        on_virtual_time(async {
            let outbox = Outbox::with_rows(rows).await;
            let transport = Arc::new(Moody::with(moods));
            mishaps.into_iter().for_each(|act| outbox.store.fail(act, Verdict::Retry, 1));
            let stop = Stop::new();
            let relays: Vec<_> = (0..relays).map(|_| outbox.relay(&transport)).collect();
            let running = futures_util::future::join_all(relays.iter().map(|relay| relay.run(stop.clone())));
            let watching = async {
                outbox.emptied().await;
                stop.stop();
            };
            tokio::join!(running, watching);
            prop_assert_eq!(transport.arrived().len(), rows);
            Ok(())
        })?;
    }

    #[test]
    fn where_nothing_fails_each_row_arrives_once_however_many_relays_run(rows in 0_usize..1_500, relays in 1_usize..4) {
        on_virtual_time(async {
            let outbox = Outbox::with_rows(rows).await;
            let transport = Arc::new(Moody::default());
            let relays: Vec<_> = (0..relays).map(|_| outbox.relay(&transport)).collect();
            while outbox.store.outgoing() > 0 {
                futures_util::future::try_join_all(relays.iter().map(Relay::step)).await.expect("nothing fails");
            }
            prop_assert_eq!(transport.arrived().len(), rows);
            prop_assert!(transport.arrived().values().all(|times| *times == 1));
            Ok(())
        })?;
    }

    #[test]
    fn rows_that_can_never_be_sent_hold_up_no_other(rows in 1_usize..100, bad in prop::collection::btree_set(0_usize..100, 1..4)) {
        on_virtual_time(async {
            let outbox = Outbox::with_rows(rows).await;
            let unsendable: Vec<_> =
                bad.iter().filter(|place| **place < rows).map(|place| numbered(*place as u128, &add(1)).id).collect();
            let left = unsendable.len();
            let transport = Arc::new(Moody { unsendable, ..Moody::default() });
            let relay = outbox.relay(&transport);
            prop_assert_eq!(relay.step().await.expect("nothing is away"), rows - left);
            prop_assert_eq!(outbox.store.outgoing(), left, "they stay, they are not lost");
            prop_assert_eq!(relay.step().await.expect("nothing is away"), 0, "and are left alone while their lease lasts");
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_refused_by_themselves_hold_up_no_other_and_are_tried_again_when_their_lease_ends()
{
    let outbox = Outbox::with_rows(20).await;
    let refused: Vec<_> = [0, 7, 19].map(|place| numbered(place, &add(1)).id).to_vec();
    let transport = Arc::new(Moody { refused, ..Moody::default() });
    let relay = outbox.relay(&transport);
    assert_eq!(relay.step().await.expect("the others get through"), 17);
    assert_eq!(
        relay.step().await.expect("nothing is away"),
        0,
        "they are left alone while their lease lasts"
    );
    tokio::time::advance(RELAY_LEASE).await;
    let transport = Arc::new(Moody::default());
    assert_eq!(outbox.relay(&transport).step().await.expect("nothing is away"), 3, "none of them was lost");
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_sent_is_tried_again_long_before_its_lease_ends() {
    let outbox = Outbox::with_rows(3).await;
    let lacking = numbered(1, &add(1)).id;
    let transport = Arc::new(Moody { unready: Mutex::new(vec![lacking]), ..Moody::default() });
    let relay = outbox.relay(&transport);
    assert_eq!(relay.step().await.expect("nothing is away"), 2);
    transport.unready.lock().expect("nobody panics here").clear();
    assert_eq!(relay.step().await.expect("nothing is away"), 0, "not at once");
    tokio::time::advance(RELAY_AGAIN).await;
    assert_eq!(relay.step().await.expect("nothing is away"), 1);
    assert_eq!(transport.arrived().get(&lacking), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn what_was_confirmed_is_not_sent_again_because_of_what_was_not() {
    let outbox = Outbox::with_rows(10).await;
    let transport = Arc::new(Moody::with([Mood::HalfConfirmed, Mood::HalfConfirmed, Mood::HalfConfirmed]));
    let relay = outbox.relay(&transport);
    for removed in [5, 2, 1] {
        assert_eq!(relay.step().await.expect("something got through"), removed);
    }
    assert_eq!(relay.step().await.expect("all is well again"), 2);
    assert!(transport.arrived().values().all(|times| *times == 1));
}

/// An outbox whose rows hold many messages each, as rows of news do.
struct Bundles {
    inner: MemoryStore<()>,
    size: usize,
    confirmed: Mutex<BTreeMap<i64, usize>>,
}

#[async_trait]
impl OutboxStore for Bundles {
    async fn lease(
        &self,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
        max: usize,
    ) -> Result<Vec<Leased>, Fault> {
        self.confirmed.lock().expect("nobody panics here").clear();
        let rows = self.inner.lease(holder, now, until, max).await?;
        Ok(rows.into_iter().flat_map(|row| std::iter::repeat_n(row, self.size)).collect())
    }

    async fn remove(&self, holder: Uuid, positions: &[i64]) -> Result<usize, Fault> {
        let whole: Vec<i64> = {
            let mut confirmed = self.confirmed.lock().expect("nobody panics here");
            positions.iter().for_each(|position| *confirmed.entry(*position).or_default() += 1);
            confirmed.extract_if(.., |_, count| *count >= self.size).map(|(position, _)| position).collect()
        };
        self.inner.remove(holder, &whole).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_broker_works_off_a_backlog_of_which_one_lease_is_more_than_it_confirms_in_time() {
    let outbox = Outbox::with_rows(RELAY_BATCH_MAX).await;
    let size = 20;
    // A slice is confirmed in half the time that there is for it, and all that is leased at once in ten times that.
    let slowness = RELAY_CONFIRM_MAX / 2 / u32::try_from(RELAY_BATCH_MAX).expect("a small number");
    let transport = Arc::new(Moody { slowness, ..Moody::default() });
    let bundles = Bundles { inner: outbox.store.clone(), size, confirmed: Mutex::default() };
    let relay = Relay::new(
        Arc::new(bundles),
        Arc::clone(&transport) as _,
        Arc::clone(&outbox.clock) as _,
        Arc::clone(&outbox.ids) as _,
    );
    let stop = Stop::new();
    let watching = async {
        tokio::time::timeout(RELAY_CONFIRM_MAX * 40, outbox.emptied())
            .await
            .expect("the backlog is worked off");
        stop.stop();
    };
    tokio::join!(relay.run(stop.clone()), watching);
}

#[tokio::test(start_paused = true)]
async fn a_relay_whose_transport_was_away_for_a_moment_does_not_wait_for_its_own_lease_to_end() {
    let outbox = Outbox::with_rows(10).await;
    let transport = Arc::new(Moody::with([Mood::Away, Mood::Half, Mood::Away]));
    let (stop, relay) = (Stop::new(), outbox.relay(&transport));
    let watching = async {
        outbox.emptied().await;
        stop.stop();
    };
    tokio::join!(relay.run(stop.clone()), watching);
    let took = outbox.clock.now().duration_since(Timestamp::UNIX_EPOCH);
    assert!(took < jiff::SignedDuration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_relay_holds_no_more_than_one_slice_while_its_transport_is_away() {
    let outbox = Outbox::with_rows(RELAY_BATCH_MAX * 2).await;
    let relay = outbox.relay(&Arc::new(Moody::with([Mood::Away; 5])));
    for _ in 0..5 {
        assert!(relay.step().await.is_err());
    }
    let other = Uuid::from_u128(2);
    assert_eq!(
        outbox.lease(other, 30, usize::MAX).await.len(),
        RELAY_BATCH_MAX,
        "the rest is free for others"
    );
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_relay_that_died_are_free_when_its_lease_ends_and_not_before() {
    let outbox = Outbox::with_rows(5).await;
    let (dead, heir) = (Uuid::from_u128(1), Uuid::from_u128(2));
    assert_eq!(outbox.lease(dead, 30, 3).await.len(), 3);
    assert_eq!(outbox.lease(heir, 60, 9).await.len(), 2, "only what is free");
    tokio::time::advance(Duration::from_millis(29_999)).await;
    assert!(outbox.lease(heir, 60, 9).await.is_empty());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(outbox.lease(heir, 60, 9).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn removing_under_a_lost_lease_does_nothing() {
    let outbox = Outbox::with_rows(3).await;
    let (slow, heir) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let rows = outbox.lease(slow, 30, 9).await;
    tokio::time::advance(RELAY_LEASE).await;
    assert_eq!(outbox.lease(heir, 30, 9).await, rows);
    assert_eq!(outbox.store.remove(slow, &rows).await.expect("no mishap is planned"), 0);
    assert_eq!(outbox.store.outgoing(), 3);
    assert_eq!(outbox.store.remove(heir, &rows).await.expect("no mishap is planned"), 3);
}

#[tokio::test(start_paused = true)]
async fn rows_that_were_sent_but_not_removed_are_removed_later_and_not_sent_again() {
    let outbox = Outbox::with_rows(4).await;
    outbox.store.fail(Act::Remove, Verdict::Retry, 2);
    let transport = Arc::new(Moody::default());
    let relay = outbox.relay(&transport);
    assert!(relay.step().await.is_err());
    assert!(relay.step().await.is_err());
    assert_eq!(relay.step().await.expect("the store is back"), 4);
    outbox.store.fail(Act::Remove, Verdict::Retry, 1);
    assert_eq!(relay.step().await.expect("what is removed is not removed again"), 0);
    assert!(transport.arrived().values().all(|times| *times == 1));
}

#[tokio::test(start_paused = true)]
async fn a_relay_looks_at_once_when_it_is_woken() {
    let outbox = Outbox::with_rows(0).await;
    let (transport, wake) = (Arc::new(Moody::default()), Arc::new(tokio::sync::Notify::new()));
    let (stop, relay) = (Stop::new(), outbox.relay(&transport).woken_by(Arc::clone(&wake)));
    let started = outbox.clock.now();
    let publishing = async {
        until(tokio::time::Instant::now() + RELAY_POLL / 5).await;
        let mut unit = outbox.store.begin().await.expect("no mishap is planned");
        unit.publish(vec![numbered(1, &add(1))]).await.expect("no mishap is planned");
        unit.commit().await.expect("no mishap is planned");
        wake.notify_one();
        outbox.emptied().await;
        stop.stop();
        outbox.clock.now().duration_since(started)
    };
    let ((), took) = tokio::join!(relay.run(stop.clone()), publishing);
    assert!(took < jiff::SignedDuration::try_from(RELAY_POLL / 2).expect("a short time"), "{took:?}");
}
