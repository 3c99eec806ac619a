//! What the broker has given us and waits for word about, by queue, for whoever looks after the service's health.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Deliveries in our hands.
#[derive(Default)]
pub(super) struct Held(Mutex<BTreeMap<Arc<str>, BTreeMap<u64, Load>>>);

/// Those of one channel.
#[derive(Clone, Copy)]
struct Load {
    count: usize,
    oldest: Instant,
}

impl Held {
    /// This channel holds so many of a queue's messages, the oldest since then.
    pub(super) fn note(&self, queue: &Arc<str>, channel: u64, count: usize, oldest: Option<Instant>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let channels = held.entry(Arc::clone(queue)).or_default();
        match oldest {
            Some(oldest) if count > 0 => drop(channels.insert(channel, Load { count, oldest })),
            Some(_) | None => drop(channels.remove(&channel)),
        }
    }

    /// How many of a queue's messages are held, and for how long the oldest.
    pub(super) fn of(&self, queue: &str) -> (usize, Duration) {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let loads = held.get(queue).into_iter().flat_map(BTreeMap::values);
        loads.fold((0, Duration::ZERO), |(count, longest), load| {
            (count + load.count, longest.max(load.oldest.elapsed()))
        })
    }
}
