//! Settled deliveries, and messages that wait: what the bus writes in a unit of work, beside what the unit publishes.

use std::sync::Arc;

use bus::{
    CorrelationId, Count, Delivery, Disposition, Envelope, Fault, GroupKey, Origin, Receipt, Routing,
    Settlement, TakenBack, cleared,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::array::Array;
use crate::bundle::Letter;
use crate::column::rows_max;
use crate::fault::{STALE, broken};
use crate::message_rows::{MessageColumns, Moved, NO_QUEUE, message};
use crate::outgoing::Claims;
use crate::parked::Parked;
use crate::pipeline::{Act, Param};
use crate::unit::{PostgresUnit, Rows};

impl<R: Rows> PostgresUnit<R> {
    pub(crate) fn publish_all(&mut self, envelopes: Vec<Envelope>) {
        let shared = Arc::clone(&self.shared);
        for envelope in envelopes {
            let envelope = Arc::new(envelope);
            match shared.routing {
                Routing::Outbox => self.publish_to(&Arc::from(NO_QUEUE), envelope),
                Routing::Store => {
                    for queue in shared.topology.queues(&envelope.kind) {
                        self.publish_to(queue, Arc::clone(&envelope));
                    }
                }
            }
        }
    }

    fn publish_to(&mut self, queue: &Arc<str>, envelope: Arc<Envelope>) {
        self.counts.add(Count::queued(Arc::clone(queue)), 1);
        self.outgoing.0.push((Arc::clone(queue), Letter::of(envelope)));
    }

    pub(crate) fn reclaim_all(&mut self, queues: &[Arc<str>]) -> Vec<Delivery> {
        let mut reclaimed = Vec::new();
        for (queue, letter) in std::mem::take(&mut self.outgoing.0) {
            match self.shared.routing {
                Routing::Store if queues.contains(&queue) => {
                    self.counts.add(Count::queued(Arc::clone(&queue)), -1);
                    let receipt = Receipt { queue, origin: Origin::Unit };
                    reclaimed.push(Delivery { envelope: letter.envelope, receipt });
                }
                Routing::Store => self.outgoing.0.push((queue, letter)),
                Routing::Outbox => match self.shared.topology.take_back(&letter.envelope, queues) {
                    None => self.outgoing.0.push((queue, letter)),
                    Some(TakenBack { queue: wanting, news }) => {
                        let receipt = Receipt { queue: wanting, origin: Origin::Unit };
                        reclaimed.push(Delivery { envelope: cleared(letter.envelope), receipt });
                        self.leave_news(queue, news);
                    }
                },
            }
        }
        reclaimed
    }

    /// Keeps what readers of this process have room for, instead of sending it to the broker and getting it back. Others
    /// hear of it as of what was handled already.
    pub(crate) fn keep_local(&mut self) -> Claims {
        let shared = Arc::clone(&self.shared);
        let mut claims = Claims::new();
        if shared.routing == Routing::Store {
            return claims;
        }
        let read = shared.queues.values().filter(|queue| queue.is_read());
        let read: Vec<Arc<str>> = read.map(|queue| Arc::clone(&queue.name)).collect();
        for (queue, letter) in std::mem::take(&mut self.outgoing.0) {
            let mut has_room = |queue: &Arc<str>| {
                let claim = || shared.queues[queue].reserve(0);
                claims.entry(Arc::clone(queue)).or_insert_with(claim).grow()
            };
            match shared.topology.take_back(&letter.envelope, &read) {
                Some(TakenBack { queue: reading, news }) if has_room(&reading) => {
                    self.counts.add(Count::queued(Arc::clone(&reading)), 1);
                    self.outgoing.0.push((reading, Letter::of(cleared(letter.envelope))));
                    self.leave_news(queue, news);
                }
                Some(_) | None => self.outgoing.0.push((queue, letter)),
            }
        }
        claims
    }

    /// What goes to the broker in the place of a message that was taken back.
    fn leave_news(&mut self, queue: Arc<str>, news: Option<Envelope>) {
        match news {
            Some(news) => self.outgoing.0.push((queue, Letter::of(Arc::new(news)))),
            None => self.counts.add(Count::queued(queue), -1),
        }
    }

    /// Puts a message back: into its queue, or on its way to the broker, which hands it to its queue alone.
    pub(crate) fn return_to_queue(&mut self, queue: &Arc<str>, envelope: Envelope) {
        match self.shared.routing {
            Routing::Store => self.publish_to(queue, Arc::new(envelope)),
            Routing::Outbox => {
                let again = self.shared.topology.again(queue, envelope);
                self.publish_to(&Arc::from(NO_QUEUE), Arc::new(again));
            }
        }
    }

    pub(crate) fn settle_all(&mut self, settlements: &[Settlement]) {
        if settlements.is_empty() {
            return;
        }
        let deliveries = settlements.iter().map(|settlement| &settlement.delivery);
        let stored = deliveries.filter_map(|delivery| Some((delivery.receipt.row()?, delivery)));
        let (positions, delivered): (Vec<i64>, Vec<&Delivery>) = stored.unzip();
        if !positions.is_empty() {
            let ids = delivered.iter().map(|delivery| delivery.envelope.id.0);
            self.later(remove_delivered(positions, ids, self.shared.instance));
        }
        for delivery in delivered {
            self.counts.add(Count::queued(Arc::clone(&delivery.receipt.queue)), -1);
        }
        self.delay(settlements);
        self.bury(settlements);
        if self.shared.routing == Routing::Outbox {
            self.publish_all(settlements.iter().filter_map(Settlement::notice).collect());
        }
    }

    /// Writes the rows of what comes again.
    fn delay(&mut self, settlements: &[Settlement]) {
        let mut columns = MessageColumns::new();
        let (mut waiting, mut due_at, mut why) = (Array::of_texts(), Array::of_numbers(), Array::of_texts());
        let mut count = 0;
        for settlement in settlements {
            let (kind, due, reason, failed) = match &settlement.disposition {
                Disposition::Redeliver { due_at, reason } => ("delayed", due_at, Some(reason.as_str()), 1),
                Disposition::Postpone { due_at, reason } => ("delayed", due_at, Some(reason.as_str()), 0),
                Disposition::Park { until } => ("parked", until, None, 0),
                Disposition::Done | Disposition::DeadLetter { .. } => continue,
            };
            let envelope = &settlement.delivery.envelope;
            if reason.is_none() {
                self.parked.insert(envelope.correlation_id, Parked::Something);
            }
            let attempt = envelope.attempt.saturating_add(failed);
            columns.push(&settlement.delivery.receipt.queue, envelope, attempt);
            waiting.push_text(kind);
            due_at.push_time(*due);
            why.push_text_or_null(reason);
            count += 1;
        }
        if count > 0 {
            let own: Vec<Param> = vec![Box::new(waiting), Box::new(due_at), Box::new(why)];
            self.later(Act::new("outbox.settle", DELAY, columns.params(own)));
        }
    }

    /// Writes the rows of what goes to the dead letters.
    fn bury(&mut self, settlements: &[Settlement]) {
        let mut columns = MessageColumns::new();
        let (mut reasons, mut died_at) = (Array::of_texts(), Array::of_numbers());
        let mut groups = Array::of_numbers();
        let mut count = 0;
        for settlement in settlements {
            let Disposition::DeadLetter { reason } = &settlement.disposition else { continue };
            let envelope = &settlement.delivery.envelope;
            let attempt = envelope.attempt.saturating_add(1);
            let queue = &settlement.delivery.receipt.queue;
            columns.push(queue, envelope, attempt);
            groups.push_number(GroupKey::of(queue, &envelope.kind, reason).to_stored());
            reasons.push_text(reason);
            died_at.push_time(settlement.at);
            count += 1;
        }
        if count > 0 {
            let own: Vec<Param> = vec![Box::new(reasons), Box::new(died_at), Box::new(groups)];
            self.later(Act::new("outbox.settle", BURY, columns.params(own)));
        }
    }

    pub(crate) async fn unpark_all(&mut self, correlations: &[CorrelationId]) -> Result<usize, Fault> {
        let unsure = |id: &&CorrelationId| self.parked.get(id) != Some(&Parked::Nothing);
        let correlations: Vec<CorrelationId> = correlations.iter().filter(unsure).copied().collect();
        if correlations.is_empty() {
            return Ok(0);
        }
        let sql = concat!(
            "delete from delayed_messages where waiting = 'parked' and correlation_id = any($1) returning position, ",
            message!()
        );
        let wanted = Array::uuids(correlations.iter().map(|correlation| correlation.0));
        let rows = self.ask_beside(Act::new("outbox.unpark", sql, vec![Box::new(wanted)])).await?;
        let parked = Moved::read_all(&rows).map_err(broken("outbox.unpark"))?;
        Ok(self.send_again(parked))
    }

    pub(crate) async fn requeue_all_due(&mut self, now: Timestamp, max: usize) -> Result<usize, Fault> {
        let sql = concat!(
            "with due as (
                 select position as place from delayed_messages where due_at <= $1
                 order by due_at, position limit $2 for update skip locked
             )
             delete from delayed_messages using due where position = due.place returning position, ",
            message!()
        );
        let params: Vec<Param> = vec![Box::new(now.as_microsecond()), Box::new(rows_max(max))];
        let rows = self.ask_beside(Act::new("outbox.requeue", sql, params)).await?;
        let due = Moved::read_all(&rows).map_err(broken("outbox.requeue"))?;
        Ok(self.send_again(due))
    }

    fn send_again(&mut self, waiting: Vec<Moved>) -> usize {
        let count = waiting.len();
        for moved in waiting {
            self.return_to_queue(&moved.queue, moved.envelope);
        }
        count
    }
}

const DELAY: &str = concat!(
    "insert into delayed_messages (",
    message!(),
    ", waiting, due_at, reason)
     select ",
    message!(),
    ", waiting, due_at, reason
     from unnest($1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::bigint[],
         $9::bigint[], $10::bytea[], $11::text[], $12::bigint[], $13::text[]) with ordinality as messages (",
    message!(),
    ", waiting, due_at, reason, ordinal)
     order by ordinal"
);

const BURY: &str = concat!(
    "insert into dead_letters (",
    message!(),
    ", reason, died_at, group_key)
     select ",
    message!(),
    ", reason, died_at, group_key
     from unnest($1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::bigint[],
         $9::bigint[], $10::bytea[], $11::text[], $12::bigint[], $13::bigint[]) with ordinality as messages (",
    message!(),
    ", reason, died_at, group_key, ordinal)
     order by ordinal"
);

/// Fails if a delivery is not there any more, or is another process's by now, or another message is where it was: a server
/// that took over from one that died without having heard its last commits gives their positions out again.
fn remove_delivered(positions: Vec<i64>, ids: impl Iterator<Item = Uuid>, instance: Uuid) -> Act {
    let sql = "with gone as (
             delete from outbox where position = any($1) and claimed_by = $2 returning position, message_id
         )
         select require_rows(
             (select count(*) from gone join unnest($1, $4::uuid[]) as delivered (place, id)
              on position = delivered.place and message_id = delivered.id),
             cardinality($1::bigint[]), $3, 'outbox.settle')";
    let params: Vec<Param> = vec![
        Box::new(Array::numbers(positions)),
        Box::new(instance),
        Box::new(STALE),
        Box::new(Array::uuids(ids)),
    ];
    Act::new("outbox.settle", sql, params)
}
