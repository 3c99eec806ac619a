//! The messages that a unit publishes: stored with its commit, claimed for this process as far as its queues are read here,
//! and handed over in memory once they are durable.

use std::collections::BTreeMap;
use std::sync::Arc;

use bus::DEAD_LETTER_NOTICE;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::array::Array;
use crate::bundle::{Letter, bundle};
use crate::message_rows::{MessageColumns, NO_QUEUE, message};
use crate::pipeline::Act;
use crate::queue::{self, Reservation};
use crate::shared::Shared;

/// What a unit publishes, by queue.
#[derive(Default)]
pub(crate) struct Outgoing(pub(crate) Vec<(Arc<str>, Letter)>);

/// Room for what a unit publishes, by queue.
pub(crate) type Claims = BTreeMap<Arc<str>, Reservation>;

impl Outgoing {
    /// Puts together what goes to a broker and no queue of ours waits for, behind the rest.
    pub(crate) fn bundle_news(&mut self, shared: &Shared) {
        let is_news = |(queue, letter): &mut (Arc<str>, Letter)| {
            let kind = &letter.envelope.kind;
            **queue == *NO_QUEUE
                && **kind != *DEAD_LETTER_NOTICE
                && shared.topology.queues(kind).next().is_none()
        };
        let news = self.0.extract_if(.., is_news).map(|(_, letter)| letter.envelope).collect();
        self.0.extend(bundle(news).into_iter().map(|letter| (Arc::from(NO_QUEUE), letter)));
    }

    /// Makes room in memory for as many rows as there may be, beside those for which there is room already.
    pub(crate) fn claim(&self, claims: &mut Claims, shared: &Shared) {
        let mut wanted: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for (queue, _) in self.0.iter().filter(|(queue, _)| !claims.contains_key(queue)) {
            *wanted.entry(queue).or_default() += 1;
        }
        for (name, count) in wanted {
            if let Some(queue) = shared.queues.get(name) {
                claims.insert(Arc::clone(name), queue.reserve(count));
            }
        }
    }

    /// The statement that writes the rows and returns their positions; none if there are none.
    pub(crate) fn store(&self, claims: &Claims, instance: Uuid) -> Option<Act> {
        if self.0.is_empty() {
            return None;
        }
        let mut columns = MessageColumns::new();
        let (mut messages, mut claimed_by) = (Array::of_numbers(), Array::of_uuids());
        for ((queue, letter), claimed) in self.0.iter().zip(self.claimed(claims)) {
            columns.push(queue, &letter.envelope, letter.envelope.attempt);
            messages.push_number(letter.messages.try_into().expect("a bundle is bounded"));
            claimed_by.push_uuid_or_null(claimed.then_some(instance));
        }
        let sql = concat!(
            "insert into outbox (",
            message!(),
            ", messages, claimed_by) select ",
            message!(),
            ", messages, claimed_by
             from unnest($1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[],
                 $8::bigint[], $9::bigint[], $10::bytea[], $11::bigint[], $12::uuid[]) with ordinality as rows (",
            message!(),
            ", messages, claimed_by, ordinal)
             order by ordinal returning position"
        );
        Some(Act::new("outbox.publish", sql, columns.params(vec![Box::new(messages), Box::new(claimed_by)])))
    }

    /// Passes the claimed rows to their queues, now that they are durable, and tells of the others. Positions were given in
    /// order, so the least is the first message's.
    pub(crate) fn hand_over(&mut self, shared: &Shared, claims: &Claims, positions: &[Row]) {
        let mut positions: Vec<i64> = positions.iter().filter_map(|row| row.try_get(0).ok()).collect();
        positions.sort_unstable();
        let claimed: Vec<bool> = self.claimed(claims).collect();
        let mut rows: BTreeMap<Arc<str>, Vec<queue::Row>> = BTreeMap::new();
        for (((name, letter), claimed), position) in self.0.drain(..).zip(claimed).zip(positions) {
            let rows = rows.entry(name).or_default();
            if claimed {
                rows.push(queue::Row { position, letter });
            }
        }
        for (name, rows) in rows {
            let Some(claim) = claims.get(&name) else { continue };
            let left_over = claim.wanted > rows.len();
            shared.errands.give_up(claim.queue.push(rows));
            if left_over {
                claim.queue.spill();
                shared.errands.announce(&name);
            }
        }
    }

    /// For each message whether it is claimed: in each queue the first, as far as there is room.
    fn claimed(&self, claims: &Claims) -> impl Iterator<Item = bool> {
        let mut granted: BTreeMap<Arc<str>, usize> =
            claims.iter().map(|(name, claim)| (Arc::clone(name), claim.granted)).collect();
        self.0.iter().map(move |(name, _)| match granted.get_mut(name) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            Some(_) | None => false,
        })
    }
}
