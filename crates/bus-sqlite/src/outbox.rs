//! Outgoing messages, settled deliveries, and messages that wait: what the bus writes in a unit of work.
//! Hands nothing over itself; what a unit published is handed over once the unit is durable.

use std::sync::Arc;

use bus::{
    CorrelationId, Count, Delivery, Disposition, Envelope, Fault, GroupKey, Origin, Receipt, Routing,
    Settlement, TakenBack, cleared,
};
use jiff::Timestamp;
use rusqlite::{Connection, Result, params};

use crate::column::{Micros, rows_max};
use crate::fault::fault;
use crate::message_rows::{MESSAGE, Moved, NO_QUEUE, insert_kept, insert_outgoing};
use crate::unit::{Rows, SqliteUnit};
use crate::writer::Placed;

impl<R: Rows> SqliteUnit<R> {
    pub(crate) fn publish_all(&mut self, envelopes: Vec<Envelope>) {
        for envelope in envelopes {
            let envelope = Arc::new(envelope);
            match self.shared.view.routing {
                Routing::Outbox => self.outgoing.push((Arc::from(NO_QUEUE), envelope)),
                Routing::Store => {
                    let queues = self.shared.view.topology.queues(&envelope.kind);
                    self.outgoing.extend(queues.map(|queue| (Arc::clone(queue), Arc::clone(&envelope))));
                }
            }
        }
    }

    pub(crate) fn reclaim_all(&mut self, queues: &[Arc<str>]) -> Vec<Delivery> {
        let mut reclaimed = Vec::new();
        for (queue, envelope) in std::mem::take(&mut self.outgoing) {
            match self.shared.view.routing {
                Routing::Store if queues.contains(&queue) => {
                    reclaimed.push(Delivery { envelope, receipt: Receipt { queue, origin: Origin::Unit } });
                }
                Routing::Store => self.outgoing.push((queue, envelope)),
                Routing::Outbox => match self.shared.view.topology.take_back(&envelope, queues) {
                    None => self.outgoing.push((queue, envelope)),
                    Some(TakenBack { queue: wanting, news }) => {
                        reclaimed.push(Delivery {
                            envelope: cleared(envelope),
                            receipt: Receipt { queue: wanting, origin: Origin::Unit },
                        });
                        self.outgoing.extend(news.map(|news| (queue, Arc::new(news))));
                    }
                },
            }
        }
        reclaimed
    }

    /// Writes what leaves with this unit; comes back with what is to be handed over once that is durable.
    pub(crate) fn send_out(&mut self) -> Result<Vec<Placed>> {
        let routed = std::mem::take(&mut self.outgoing);
        let first = self.take_positions(routed.len());
        insert_outgoing(self.connection(), first, &routed)?;
        for (queue, _) in &routed {
            self.counts.add(Count::queued(Arc::clone(queue)), 1);
        }
        let placed = (first..).zip(routed).map(|(position, (queue, envelope))| (queue, position, envelope));
        Ok(placed.collect())
    }

    pub(crate) fn settle_all(&mut self, settlements: &[Settlement]) -> std::result::Result<(), Fault> {
        remove_delivered(self.connection(), settlements)?;
        for (_, queue) in stored(settlements) {
            self.counts.add(Count::queued(Arc::clone(queue)), -1);
        }
        for settlement in settlements {
            self.keep(settlement).map_err(fault("outbox.settle"))?;
        }
        if self.shared.view.routing == Routing::Outbox {
            let notices = settlements.iter().filter_map(Settlement::notice).collect();
            self.publish_all(notices);
        }
        Ok(())
    }

    /// Writes the row of what is not done.
    fn keep(&mut self, settlement: &Settlement) -> Result<()> {
        match &settlement.disposition {
            Disposition::Done => Ok(()),
            Disposition::Redeliver { due_at, reason } => {
                let attempt = settlement.delivery.envelope.attempt.saturating_add(1);
                self.delay(settlement, attempt, "delayed", *due_at, Some(reason.as_str()))
            }
            Disposition::Postpone { due_at, reason } => {
                let attempt = settlement.delivery.envelope.attempt;
                self.delay(settlement, attempt, "delayed", *due_at, Some(reason.as_str()))
            }
            Disposition::Park { until } => {
                let attempt = settlement.delivery.envelope.attempt;
                self.delay(settlement, attempt, "parked", *until, None)
            }
            Disposition::DeadLetter { reason } => self.bury(settlement, reason),
        }
    }

    fn delay(
        &mut self,
        settlement: &Settlement,
        attempt: u32,
        waiting: &str,
        due_at: Timestamp,
        reason: Option<&str>,
    ) -> Result<()> {
        let position = self.take_positions(1);
        let envelope = &settlement.delivery.envelope;
        insert_kept(
            self.connection(),
            "insert into delayed_messages values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            &[&position, &waiting, &Micros(due_at), &reason],
            &settlement.delivery.receipt.queue,
            envelope,
            attempt,
        )
    }

    fn bury(&mut self, settlement: &Settlement, reason: &str) -> Result<()> {
        let position = self.take_positions(1);
        let envelope = &settlement.delivery.envelope;
        let queue = &settlement.delivery.receipt.queue;
        let group = GroupKey::of(queue, &envelope.kind, reason);
        insert_kept(
            self.connection(),
            "insert into dead_letters values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            &[&position, &reason, &Micros(settlement.at), &group.to_stored()],
            queue,
            envelope,
            envelope.attempt + 1,
        )
    }

    pub(crate) fn unpark_all(&mut self, correlations: &[CorrelationId]) -> Result<usize> {
        if correlations.is_empty() || !is_anything_parked(self.connection())? {
            return Ok(0);
        }
        let parked = parked_of(self.connection(), correlations)?;
        self.send_again(parked)
    }

    pub(crate) fn requeue_all_due(&mut self, now: Timestamp, max: usize) -> Result<usize> {
        let sql = format!(
            "select position, {MESSAGE} from delayed_messages where due_at <= ? order by due_at, position limit ?"
        );
        let due = self
            .connection()
            .prepare_cached(&sql)?
            .query_map(params![Micros(now), rows_max(max)], Moved::read)?
            .collect::<Result<Vec<_>>>()?;
        self.send_again(due)
    }

    fn send_again(&mut self, waiting: Vec<Moved>) -> Result<usize> {
        let count = waiting.len();
        for moved in &waiting {
            self.connection()
                .prepare_cached("delete from delayed_messages where position = ?")?
                .execute([moved.position])?;
        }
        let back = waiting.into_iter().map(|moved| (moved.queue, moved.envelope));
        self.return_to_queues(back);
        Ok(count)
    }

    /// Puts messages back: into their queues, or on their way to the broker, which hands each to its queue alone.
    pub(crate) fn return_to_queues(&mut self, messages: impl Iterator<Item = (Arc<str>, Envelope)>) {
        let view = &self.shared.view;
        let route = |(queue, envelope): (Arc<str>, Envelope)| match view.routing {
            Routing::Store => (queue, Arc::new(envelope)),
            Routing::Outbox => (Arc::from(NO_QUEUE), Arc::new(view.topology.again(&queue, envelope))),
        };
        self.outgoing.extend(messages.map(route));
    }
}

/// The rows of what lay in a queue of the store, and the queue of each.
fn stored(settlements: &[Settlement]) -> impl Iterator<Item = (i64, &Arc<str>)> {
    let receipts = settlements.iter().map(|settlement| &settlement.delivery.receipt);
    receipts.filter_map(|receipt| Some((receipt.row()?, &receipt.queue)))
}

fn remove_delivered(connection: &Connection, settlements: &[Settlement]) -> std::result::Result<(), Fault> {
    let mut delete =
        connection.prepare_cached("delete from outbox where position = ?").map_err(fault("outbox.settle"))?;
    for (position, _) in stored(settlements) {
        if delete.execute([position]).map_err(fault("outbox.settle"))? != 1 {
            return Err(Fault::stale("outbox.settle", format!("delivery {position} was settled before")));
        }
    }
    Ok(())
}

fn is_anything_parked(connection: &Connection) -> Result<bool> {
    let sql = "select exists (select 1 from delayed_messages where waiting = 'parked')";
    connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
}

/// One question about all of them: SQLite plans this one anew whenever it is asked, which is dearer than what it finds.
fn parked_of(connection: &Connection, correlations: &[CorrelationId]) -> Result<Vec<Moved>> {
    let mut ids: Vec<String> = correlations.iter().map(|id| format!("\"{}\"", id.0.simple())).collect();
    ids.sort_unstable();
    ids.dedup();
    let sql = format!(
        "select position, {MESSAGE} from json_each(?) cross join delayed_messages
         on correlation_id = unhex(value) and waiting = 'parked' order by position"
    );
    connection.prepare_cached(&sql)?.query_map([format!("[{}]", ids.join(","))], Moved::read)?.collect()
}
