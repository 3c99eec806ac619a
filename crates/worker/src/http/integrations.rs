//! What programs of others follow orders by, and those that wait for the next event. One loop asks the store how far the log goes, for all of them at once, and only while
//! one waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use application::ports::{OrderEventLog, WebhookEndpoints};
use bus::Stop;
use tokio::sync::{Notify, watch};

use super::limits::{EVENTS_LOOK, FOLLOWERS_MAX};
use crate::webhook_endpoints::Plain;

/// What programs of others follow orders by. Clones share everything.
#[derive(Clone)]
pub struct Integrations {
    /// The events of all orders.
    pub log: Arc<dyn OrderEventLog>,
    /// Programs that are sent them.
    pub endpoints: Arc<dyn WebhookEndpoints>,
    /// Whether their addresses may be plain HTTP.
    pub plain: Plain,
    tail: Tail,
}

/// How far the log goes, as long as a program wants to know.
#[derive(Clone)]
struct Tail {
    newest: watch::Sender<Reach>,
    begun: Arc<Notify>,
    places: usize,
    taken: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reach {
    newest: i64,
    has_ended: bool,
}

/// A program that waits for events.
pub(super) struct Follower {
    reach: watch::Receiver<Reach>,
    taken: Arc<AtomicUsize>,
}

/// What waiting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// There may be more events.
    Woken,
    /// There are none yet.
    TooLong,
    /// The service stops.
    Stopping,
}

impl Integrations {
    /// No program waits yet. Each keeps a connection, so of this many connections at most a quarter may wait. The loop that comes
    /// with it must be run, once.
    pub fn new(
        log: Arc<dyn OrderEventLog>,
        endpoints: Arc<dyn WebhookEndpoints>,
        plain: Plain,
        connections_max: usize,
        stop: Stop,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let newest = watch::Sender::new(Reach::default());
        let begun = Arc::new(Notify::new());
        let looking = look_on(Arc::clone(&log), newest.clone(), Arc::clone(&begun), stop);
        let places = FOLLOWERS_MAX.min(connections_max / 4);
        let tail = Tail { newest, begun, places, taken: Arc::default() };
        (Self { log, endpoints, plain, tail }, looking)
    }

    /// A place for one more program, unless there are too many.
    pub(super) fn follow(&self) -> Option<Follower> {
        let Tail { newest, begun, places, taken } = &self.tail;
        let take = |taken: usize| (taken < *places).then_some(taken + 1);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        let follower = Follower { reach: newest.subscribe(), taken: Arc::clone(taken) };
        begun.notify_one();
        Some(follower)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Follower {
    /// Waits until the log goes beyond this position, but not longer than `at_most`.
    pub(super) async fn beyond(&mut self, position: i64, at_most: Duration) -> Waited {
        let reached = self.reach.wait_for(|reach| reach.has_ended || reach.newest > position);
        match tokio::time::timeout(at_most, reached).await {
            Ok(Ok(reach)) if !reach.has_ended => Waited::Woken,
            Ok(_) => Waited::Stopping,
            Err(_) => Waited::TooLong,
        }
    }
}

async fn look_on(log: Arc<dyn OrderEventLog>, newest: watch::Sender<Reach>, begun: Arc<Notify>, stop: Stop) {
    while !stop.is_stopped() {
        if newest.receiver_count() == 0 {
            tokio::select! {
                () = stop.stopped() => {}
                () = begun.notified() => {}
            }
            continue;
        }
        match log.newest_event().await {
            Ok(position) => {
                newest.send_if_modified(|reach| {
                    let is_new = reach.newest != position;
                    reach.newest = position;
                    is_new
                });
            }
            // The store may be back before the programs have waited for too long.
            Err(fault) => tracing::debug!(%fault, "cannot look for events that programs wait for"),
        }
        stop.sleep(EVENTS_LOOK).await;
    }
    newest.send_modify(|reach| reach.has_ended = true);
}
