//! What one unit of work did, as numbers. Told to the registry in one go when the unit is committed, forgotten otherwise.

use std::sync::Arc;
use std::time::Duration;

use application::ports::{HistoryEntry, StatusMove};
use application::saga::OrderProcessingSaga;
use bus::{Disposition, Envelope, Settlement, Timer};
use domain::{CancelReason, MovementKind, OrderId, OrderStatus};
use jiff::Timestamp;

use super::events::OrderNote;
use crate::metrics::{Metric, Registry};

/// The fates of messages, by the index at which they are counted.
const DISPOSITIONS: [&str; 5] = ["done", "redelivered", "parked", "dead_lettered", "postponed"];

/// Notes of one unit of work.
#[derive(Debug, Default)]
pub(super) struct Notes {
    accepted: u64,
    reserved: u64,
    short: u64,
    finished: Vec<Finished>,
    /// When the orders that are final now were accepted.
    accepted_at: Vec<(OrderId, Timestamp)>,
    movements: [(u64, u64); MovementKind::ALL.len()],
    published: Vec<(Arc<str>, u64)>,
    queues: Vec<Queue>,
    lateness: Vec<Duration>,
    events: Vec<OrderNote>,
}

#[derive(Debug)]
struct Finished {
    outcome: &'static str,
    reason: Option<CancelReason>,
    took: Option<Duration>,
}

#[derive(Debug)]
struct Queue {
    name: Arc<str>,
    fates: [u64; DISPOSITIONS.len()],
    ages: Vec<Duration>,
}

impl Notes {
    pub(super) const fn accepted(&mut self, orders: usize) {
        self.accepted += orders as u64;
    }

    pub(super) const fn reserved(&mut self) {
        self.reserved += 1;
    }

    pub(super) const fn fell_short(&mut self) {
        self.short += 1;
    }

    pub(super) const fn stock(&mut self, kind: MovementKind, units: i64) {
        let (movements, moved) = &mut self.movements[kind as usize];
        *movements += 1;
        *moved += units.unsigned_abs();
    }

    pub(super) fn changed(&mut self, sagas: &[OrderProcessingSaga]) {
        let ended = sagas.iter().filter(|saga| saga.order.is_terminal());
        self.accepted_at.extend(ended.map(|saga| (saga.order_id, saga.created_at)));
    }

    /// Orders that got another status. Their sagas were stored before.
    pub(super) fn moved(&mut self, moves: &[StatusMove]) {
        self.accepted_at.sort_unstable();
        for step in moves.iter().filter(|step| step.to.is_terminal()) {
            let accepted_at = self.accepted_at.binary_search_by_key(&step.change.order_id, |(id, _)| *id);
            let accepted_at = accepted_at.ok().map(|place| self.accepted_at[place].1);
            self.finished.push(Finished {
                outcome: step.to.as_str(),
                reason: step.change.cancellation.as_ref().map(|cancellation| cancellation.reason),
                took: accepted_at.map(|accepted_at| between(accepted_at, step.change.at)),
            });
        }
    }

    pub(super) fn published(&mut self, envelopes: &[Envelope]) {
        for envelope in envelopes {
            match self.published.iter_mut().find(|(kind, _)| *kind == envelope.kind) {
                Some((_, count)) => *count += 1,
                None => self.published.push((Arc::clone(&envelope.kind), 1)),
            }
        }
    }

    pub(super) fn settled(&mut self, settlements: &[Settlement]) {
        for settlement in settlements {
            let queue = &settlement.delivery.receipt.queue;
            let place = match self.queues.iter().position(|known| known.name == *queue) {
                Some(place) => place,
                None => self.add_queue(Arc::clone(queue), settlements.len()),
            };
            let queue = &mut self.queues[place];
            queue.fates[fate(&settlement.disposition)] += 1;
            queue.ages.push(between(settlement.delivery.envelope.sent_at, settlement.at));
        }
    }

    fn add_queue(&mut self, name: Arc<str>, messages: usize) -> usize {
        self.queues.push(Queue { name, fates: [0; DISPOSITIONS.len()], ages: Vec::with_capacity(messages) });
        self.queues.len() - 1
    }

    pub(super) fn fired(&mut self, timers: &[Timer], now: Timestamp) {
        self.lateness.extend(timers.iter().map(|timer| between(timer.due_at, now)));
    }

    pub(super) fn happened(&mut self, entries: &[HistoryEntry]) {
        self.events.extend(entries.iter().filter_map(OrderNote::of));
    }

    /// The queue whose messages it handled, if any.
    pub(super) fn queue(&self) -> &str {
        self.queues.first().map_or("", |queue| &queue.name)
    }

    /// The unit is committed, `took` after it was begun.
    pub(super) fn tell(self, registry: &Registry, took: Duration) {
        self.tell_business(registry);
        self.events.iter().for_each(OrderNote::tell);
        for (kind, count) in &self.published {
            registry.add(Metric::MessagesSent, &[kind], *count);
        }
        for queue in &self.queues {
            queue.tell(registry, took);
        }
        for lateness in self.lateness {
            registry.observe(Metric::TimerLateness, &[], lateness);
        }
    }

    fn tell_business(&self, registry: &Registry) {
        let add = |metric, labels: &[&str], count: u64| {
            if count > 0 {
                registry.add(metric, labels, count);
            }
        };
        add(Metric::OrdersAccepted, &[], self.accepted);
        add(Metric::Reservations, &["reserved"], self.reserved);
        add(Metric::Reservations, &["short"], self.short);
        for (kind, (movements, units)) in MovementKind::ALL.iter().zip(self.movements) {
            add(Metric::StockMovements, &[kind.as_str()], movements);
            add(Metric::StockUnits, &[kind.as_str()], units);
        }
        for order in &self.finished {
            let reason = order.reason.map_or("", CancelReason::as_str);
            registry.add(Metric::OrdersFinished, &[order.outcome, reason], 1);
            if let Some(took) = order.took {
                registry.observe(Metric::OrderDuration, &[order.outcome], took);
            }
        }
    }
}

impl Queue {
    fn tell(&self, registry: &Registry, took: Duration) {
        let name: &str = &self.name;
        for (disposition, count) in DISPOSITIONS.iter().zip(self.fates) {
            if count > 0 {
                registry.add(Metric::MessagesConsumed, &[name, disposition], count);
            }
        }
        registry.observe(Metric::ProcessDuration, &[name], took);
        registry.observe_count(Metric::BatchMessages, &[name], self.fates.iter().sum());
        let ages = registry.series(Metric::MessageAge, &[name]);
        self.ages.iter().for_each(|age| ages.observe(age.as_secs_f64()));
    }
}

const fn fate(disposition: &Disposition) -> usize {
    match disposition {
        Disposition::Done => 0,
        Disposition::Redeliver { .. } => 1,
        Disposition::Park { .. } => 2,
        Disposition::DeadLetter { .. } => 3,
        Disposition::Postpone { .. } => 4,
    }
}

/// The time between; none if a clock went backwards.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// Every label that a freshly started service shows with a zero, so that rates and alerts see the first event.
pub(super) fn prepare(registry: &Registry, queues: &[&str]) {
    registry.add(Metric::OrdersAccepted, &[], 0);
    registry.add(Metric::OrdersFinished, &[OrderStatus::Delivered.as_str(), ""], 0);
    for reason in CancelReason::ALL {
        registry.add(Metric::OrdersFinished, &[OrderStatus::Cancelled.as_str(), reason.as_str()], 0);
    }
    for kind in MovementKind::ALL {
        registry.add(Metric::StockMovements, &[kind.as_str()], 0);
        registry.add(Metric::StockUnits, &[kind.as_str()], 0);
    }
    for outcome in ["reserved", "short"] {
        registry.add(Metric::Reservations, &[outcome], 0);
    }
    for queue in queues {
        for disposition in DISPOSITIONS {
            registry.add(Metric::MessagesConsumed, &[queue, disposition], 0);
        }
    }
}
