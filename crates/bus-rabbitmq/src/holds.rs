//! Exchanges to which nothing can be sent at the moment. Each waits for a time of its own that grows, and the rest goes on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::limits::{AMISS_PAUSE_MAX, AMISS_PAUSE_MIN, AMISS_REMEMBERED};
use super::post::{Demand, Post};

/// What is held back, and why.
#[derive(Default)]
pub(super) struct Holds(Mutex<BTreeMap<Key, Hold>>);

/// An exchange, and whether what goes there must come to a queue of ours: what no queue gets is no reason to hold back news.
type Key = (String, bool);

struct Hold {
    why: String,
    pause: Duration,
    until: Instant,
    /// How often what was amiss with the queues had been mended by then.
    mendings: u64,
}

/// How a message can leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// With all the others.
    Free,
    /// Its exchange failed the last time, so it goes on a channel of its own.
    OnProbation,
    /// Not now.
    Held,
}

impl Holds {
    /// How what goes to an exchange can leave now. Once the queues were mended, nothing waits for its time.
    pub(super) fn standing(&self, post: &Post, mendings: u64) -> Standing {
        match self.lock().get(&key(post)) {
            None => Standing::Free,
            Some(hold) if Instant::now() < hold.until && hold.mendings == mendings => Standing::Held,
            Some(_) => Standing::OnProbation,
        }
    }

    /// Why it is held back.
    pub(super) fn why(&self, post: &Post) -> String {
        self.lock().get(&key(post)).map_or_else(String::new, |hold| hold.why.clone())
    }

    /// Nothing can be sent there now. Says so once for each reason.
    pub(super) fn hold(&self, post: &Post, why: &str, mendings: u64) {
        let now = Instant::now();
        let mut holds = self.lock();
        let known = holds.get(&key(post));
        if known.is_none_or(|hold| hold.why != why) {
            tracing::error!(exchange = post.exchange, why, "messages for an exchange wait; the others go on");
        }
        let pause = match known {
            None => AMISS_PAUSE_MIN,
            // Several sendings may find out the same at once.
            Some(hold) if now < hold.until => hold.pause,
            Some(hold) => (hold.pause * 2).min(AMISS_PAUSE_MAX),
        };
        holds.insert(key(post), Hold { why: why.to_owned(), pause, until: now + pause, mendings });
    }

    /// Something went there.
    pub(super) fn release(&self, post: &Post) {
        if self.lock().remove(&key(post)).is_some() {
            tracing::info!(exchange = post.exchange, "messages for an exchange leave again");
        }
    }

    /// What waits and why. An exchange to which nothing is sent any more is forgotten after a while.
    pub(super) fn told(&self) -> Vec<String> {
        let now = Instant::now();
        let mut holds = self.lock();
        holds.retain(|_, hold| now < hold.until + AMISS_REMEMBERED);
        holds.values().map(|hold| hold.why.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Hold>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(post: &Post) -> Key {
    (post.exchange.clone(), post.demand == Demand::Wanted)
}
