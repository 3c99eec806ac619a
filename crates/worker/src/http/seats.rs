//! Connection slots, and which connection is closed when there are too many: those that wait for their clients,
//! longest first, and before all others those of an address that holds more than half of the slots.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::conduct::{Conduct, Waiting, Why};
use super::limits::{ROOM_PARTS, ROOM_PAUSE};

/// The connections of one listener.
pub(super) struct Seats {
    total_max: usize,
    free: Arc<Semaphore>,
    taken: Mutex<HashMap<u64, Taken>>,
    given: AtomicU64,
}

struct Taken {
    conduct: Arc<Conduct>,
    network: Option<IpAddr>,
}

/// A place for one connection, as long as it is held.
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    _permit: OwnedSemaphorePermit,
}

impl Seats {
    pub(super) fn new(total_max: usize) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(total_max));
        Arc::new(Self { total_max, free, taken: Mutex::default(), given: AtomicU64::new(0) })
    }

    /// A slot for this connection. While there is none, idle connections are asked to close.
    pub(super) async fn take(self: &Arc<Self>, conduct: &Arc<Conduct>, peer: Option<IpAddr>) -> Seat {
        loop {
            if let Some(seat) = self.try_take(conduct, peer) {
                return seat;
            }
            self.make_room();
            // Whether it ends in time makes no difference: the next look tells.
            let _ = timeout(ROOM_PAUSE, Arc::clone(&self.free).acquire_owned()).await;
        }
    }

    /// A seat for this connection, if there is one.
    pub(super) fn try_take(self: &Arc<Self>, conduct: &Arc<Conduct>, peer: Option<IpAddr>) -> Option<Seat> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(number, Taken { conduct: Arc::clone(conduct), network: peer.map(network) });
        Some(Seat { seats: Arc::clone(self), number, _permit: permit })
    }

    /// Asks some idle connections to close. Returns how many.
    pub(super) fn make_room(&self) -> usize {
        let taken = self.lock();
        let crowd = self.crowd(&taken);
        let mut waiting: Vec<(Order, &Arc<Conduct>)> = taken
            .values()
            .filter_map(|seat| {
                let (waiting, since) = seat.conduct.waiting()?;
                let others = seat.network.is_none() || seat.network != crowd;
                Some((Order { others, waiting, since }, &seat.conduct))
            })
            .collect();
        let count = (self.total_max / ROOM_PARTS).max(1);
        waiting.sort_unstable_by_key(|(order, _)| *order);
        waiting.iter().take(count).for_each(|(_, conduct)| conduct.leave(Why::GaveWay));
        waiting.len().min(count)
    }

    /// The network that holds more than half of the seats, if one does.
    fn crowd(&self, taken: &HashMap<u64, Taken>) -> Option<IpAddr> {
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for network in taken.values().filter_map(|seat| seat.network) {
            *counts.entry(network).or_default() += 1;
        }
        let (network, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        (count > self.total_max / 2).then_some(network)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().remove(&self.number);
    }
}

/// The closing order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Order {
    others: bool,
    waiting: Waiting,
    since: Instant,
}

/// An address as it is counted: of IPv6, where a caller has many, its network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => std::net::Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::conduct::Underway;
    use super::*;

    fn at(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    fn leaves(conduct: &Conduct) -> bool {
        conduct.waiting().is_none()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_that_waits_gives_way_and_none_that_works() {
        let seats = Seats::new(3);
        let begin = Instant::now();
        let conducts: Vec<_> =
            (0..3).map(|age| Conduct::begins(begin + Duration::from_secs(10 - age))).collect();
        let held: Vec<_> = conducts.iter().zip(1..).map(|(one, n)| seats.try_take(one, at(n))).collect();
        let newcomer = Conduct::begins(begin);
        assert!(held.iter().all(Option::is_some) && seats.try_take(&newcomer, at(9)).is_none());
        let work = Underway::begins(&conducts[2]);
        assert_eq!(seats.make_room(), 1);
        assert!(!leaves(&conducts[0]) && leaves(&conducts[1]));
        assert_eq!((seats.make_room(), seats.make_room()), (1, 0), "who works stays");
        drop(held);
        assert!(seats.try_take(&newcomer, at(9)).is_some());
        drop(work);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_with_more_than_half_of_the_seats_gives_way_before_all_others() {
        let seats = Seats::new(4);
        let begin = Instant::now();
        let conducts: Vec<_> = (0..4).map(|age| Conduct::begins(begin + Duration::from_secs(age))).collect();
        let addresses = [at(1), at(2), at(2), at(2)];
        let _held: Vec<_> =
            conducts.iter().zip(addresses).map(|(one, address)| seats.try_take(one, address)).collect();
        assert_eq!(seats.make_room(), 1);
        assert_eq!(conducts.iter().map(|one| leaves(one)).collect::<Vec<_>>(), [false, true, false, false]);
        assert_eq!(
            network("2001:db8::1".parse().expect("one")),
            network("2001:db8::2".parse().expect("one"))
        );
    }
}
