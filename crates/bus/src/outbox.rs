//! The relay from the store to a broker: leases outgoing rows, sends them, and removes them once confirmed. No
//! transaction is open while it waits for the broker; rows of a dead relay are leased again after a while.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::{Mutex, Notify};
use uuid::Uuid;

use crate::limits::{
    RELAY_AGAIN, RELAY_AGAIN_MAX, RELAY_BATCH_MAX, RELAY_CONFIRM_MAX, RELAY_LEASE, RELAY_PAUSE, RELAY_POLL,
};
use crate::retry::Backoff;
use crate::{Clock, Envelope, Fault, IdSource, Stop, Supervisor, Transport, Unsent, Verdict};

/// An outgoing row held by one relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// Its place in the outbox.
    pub position: i64,
    /// What to send.
    pub envelope: Envelope,
}

/// The outbox as a relay sees it.
#[async_trait]
pub trait OutboxStore: Send + Sync + 'static {
    /// Leases up to `max` rows, oldest first, that are free or whose lease has ended.
    ///
    /// # Errors
    /// Those of the store.
    async fn lease(
        &self,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
        max: usize,
    ) -> Result<Vec<Leased>, Fault>;

    /// Removes rows that were sent, if `holder` still holds them.
    ///
    /// # Errors
    /// Those of the store.
    async fn remove(&self, holder: Uuid, positions: &[i64]) -> Result<usize, Fault>;
}

/// Moves rows from outbox to broker. Several may run at once.
pub struct Relay {
    outbox: Arc<dyn OutboxStore>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    holder: Uuid,
    wake: Arc<Notify>,
    in_hand: Mutex<InHand>,
}

/// Rows under our lease. They are kept after a failed step: a short outage of the broker then costs no wait for the
/// lease to end, and a long one does not make us lease the whole outbox.
#[derive(Default)]
struct InHand {
    unsent: VecDeque<Leased>,
    sent: Vec<i64>,
    until: Timestamp,
    /// What could not be sent, each with the end of its lease.
    aside: VecDeque<(Leased, Timestamp)>,
    /// When that is tried again.
    again_at: Timestamp,
}

impl Relay {
    /// A relay with an identity of its own.
    pub fn new(
        outbox: Arc<dyn OutboxStore>,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        let holder = ids.next(clock.now());
        let (wake, in_hand) = (Arc::default(), Mutex::default());
        Self { outbox, transport, clock, ids, holder, wake, in_hand }
    }

    /// The same relay, woken by `wake` and not only every [`RELAY_POLL`].
    #[must_use]
    pub fn woken_by(self, wake: Arc<Notify>) -> Self {
        Self { wake, ..self }
    }

    /// Runs under the supervisor, by this name, until that stops.
    pub fn start(self, name: &'static str, supervisor: &mut Supervisor) {
        let relay = Arc::new(self);
        supervisor.run(name, move |stop| {
            let relay = Arc::clone(&relay);
            async move { relay.run(stop).await }
        });
    }

    /// Runs until stopped.
    pub async fn run(&self, stop: Stop) {
        let mut backoff = Backoff::default();
        while !stop.is_stopped() {
            match self.step().await {
                Ok(0) => {
                    backoff = Backoff::default();
                    tokio::select! {
                        biased;
                        () = self.wake.notified() => {}
                        () = stop.sleep(RELAY_POLL) => {}
                    }
                }
                Ok(removed) => {
                    backoff = Backoff::default();
                    if removed < RELAY_BATCH_MAX {
                        stop.sleep(RELAY_PAUSE).await;
                    }
                }
                Err(fault) => {
                    tracing::warn!(%fault, "outgoing messages wait");
                    backoff.wait(self.ids.as_ref(), &stop).await;
                }
            }
        }
    }

    /// Sends the rows of one lease; returns how many left the outbox. A row that was refused, or can never be sent,
    /// stays there under its lease and holds up no other.
    ///
    /// # Errors
    /// The store's faults, and the transport's if nothing got through; rows that were sent but not removed are sent
    /// again.
    pub async fn step(&self) -> Result<usize, Fault> {
        let mut hand = self.in_hand.lock().await;
        let left_over = self.remove(&mut hand).await?;
        self.take_up(&mut hand).await?;
        self.send_aside(&mut hand).await;
        let sending = self.send(&mut hand).await;
        let removed = left_over + self.remove(&mut hand).await?;
        match sending {
            Err(fault) if removed > 0 => tracing::warn!(%fault, removed, "some outgoing messages wait"),
            Err(fault) => return Err(fault),
            Ok(()) => {}
        }
        Ok(removed)
    }

    /// Leases rows, unless some are in hand whose lease lasts until they are confirmed.
    async fn take_up(&self, hand: &mut InHand) -> Result<(), Fault> {
        let now = self.clock.now();
        if !hand.unsent.is_empty() && hand.lasts_from(now) {
            return Ok(());
        }
        hand.unsent.clear();
        hand.until = later(now, RELAY_LEASE);
        hand.unsent = self.outbox.lease(self.holder, now, hand.until, RELAY_BATCH_MAX).await?.into();
        Ok(())
    }

    /// Sends the rows in hand, a slice at a time; by halves if a message cannot be sent, until it stands alone.
    async fn send(&self, hand: &mut InHand) -> Result<(), Fault> {
        let mut slice = RELAY_BATCH_MAX;
        while !hand.unsent.is_empty() && hand.lasts_from(self.clock.now()) {
            slice = slice.clamp(1, hand.unsent.len().min(RELAY_BATCH_MAX));
            let envelopes: Vec<Envelope> =
                hand.unsent.iter().take(slice).map(|row| row.envelope.clone()).collect();
            let Err(unsent) = within(RELAY_CONFIRM_MAX, self.transport.send(&envelopes)).await else {
                hand.sent.extend(hand.unsent.drain(..slice).map(|row| row.position));
                slice = RELAY_BATCH_MAX;
                continue;
            };
            let rest = hand.sort_out(slice, &unsent);
            slice = match (rest, unsent.fault.verdict) {
                (0, _) => RELAY_BATCH_MAX,
                (_, Verdict::GiveUp) if rest < slice => rest,
                (1, Verdict::GiveUp) => {
                    let row = hand.unsent.pop_front();
                    let message_id = row.as_ref().map(|row| row.envelope.id);
                    tracing::error!(fault = %unsent.fault, ?message_id, "message cannot be sent");
                    hand.aside.extend(row.map(|row| (row, hand.until)));
                    hand.again_at = later(self.clock.now(), RELAY_AGAIN);
                    RELAY_BATCH_MAX
                }
                (_, Verdict::GiveUp) => rest / 2,
                (_, Verdict::Retry | Verdict::Conflict | Verdict::Stale | Verdict::LeaveToOthers) => {
                    return Err(unsent.fault);
                }
            };
        }
        Ok(())
    }

    /// Tries again what could not be sent, each alone, as long as its lease lasts. Whoever cannot be sent is at the end of the line
    /// then.
    async fn send_aside(&self, hand: &mut InHand) {
        let now = self.clock.now();
        hand.aside.retain(|(_, until)| later(now, RELAY_CONFIRM_MAX) < *until);
        if now < hand.again_at {
            return;
        }
        for _ in 0..hand.aside.len().min(RELAY_AGAIN_MAX) {
            let Some((row, until)) = hand.aside.pop_front() else { return };
            let envelopes = std::slice::from_ref(&row.envelope);
            match within(RELAY_CONFIRM_MAX, self.transport.send(envelopes)).await {
                Ok(()) => hand.sent.push(row.position),
                Err(_) => hand.aside.push_back((row, until)),
            }
            if later(self.clock.now(), RELAY_CONFIRM_MAX) >= until {
                break;
            }
        }
        hand.again_at = later(self.clock.now(), RELAY_AGAIN);
    }

    async fn remove(&self, hand: &mut InHand) -> Result<usize, Fault> {
        if hand.sent.is_empty() {
            return Ok(0);
        }
        let removed = self.outbox.remove(self.holder, &hand.sent).await?;
        hand.sent.clear();
        Ok(removed)
    }
}

impl InHand {
    /// Whether the lease lasts until a send that starts now is confirmed.
    fn lasts_from(&self, now: Timestamp) -> bool {
        later(now, RELAY_CONFIRM_MAX) < self.until
    }

    /// Removes safe and refused messages from the first `slice`; refused ones stay under their lease. Returns how
    /// many remain.
    fn sort_out(&mut self, slice: usize, unsent: &Unsent) -> usize {
        let Unsent { fault, confirmed, refused } = unsent;
        if !refused.is_empty() {
            tracing::warn!(%fault, count = refused.len(), "outgoing messages were refused and are tried again later");
        }
        let behind = self.unsent.split_off(slice);
        let mut left = 0;
        for (place, row) in std::mem::replace(&mut self.unsent, behind).into_iter().enumerate().rev() {
            if confirmed.contains(&place) {
                self.sent.push(row.position);
            } else if !refused.contains(&place) {
                self.unsent.push_front(row);
                left += 1;
            }
        }
        left
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.saturating_add(by).unwrap_or(Timestamp::MAX)
}

async fn within(limit: Duration, sending: impl Future<Output = Result<(), Unsent>>) -> Result<(), Unsent> {
    tokio::time::timeout(limit, sending).await.unwrap_or_else(|_| {
        Err(Fault::retry("transport.send", format!("no confirm within {limit:?}")).into())
    })
}
