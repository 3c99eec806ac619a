//! Messages that were left for another carrier, by workers that were set up otherwise or by a command, are made ready for
//! our own, so that changing from embedded to broker, or back, loses nothing. Some may then arrive twice, as ever. What
//! another process has claimed is left to it.

use bus::{Fault, Routing, addressed, marked};

use crate::array::Array;
use crate::fault::{Taken, fault};
use crate::message_rows::message;
use crate::pipeline::{Act, Param};
use crate::store::PostgresBus;
use crate::unit::Rows;

/// Rows moved at once; a backlog is moved in as many steps as it takes.
const STEP_MAX: i64 = 1_000;

impl<R: Rows> PostgresBus<R> {
    /// Looks for messages that were left for another carrier and makes them ready for our own; returns how many there were.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn adopt_strays(&self) -> Result<usize, Fault> {
        let mut adopted = 0;
        loop {
            let moved = self.adopt_step().await?;
            adopted += moved;
            if moved > 0 {
                self.shared.queues.values().for_each(|queue| queue.spill());
            }
            if i64::try_from(moved).is_ok_and(|moved| moved < STEP_MAX) {
                return Ok(adopted);
            }
        }
    }

    async fn adopt_step(&self) -> Result<usize, Fault> {
        let act = match self.shared.routing {
            Routing::Outbox => Act::new("outbox.adopt", TO_THE_BROKER, vec![Box::new(STEP_MAX)]),
            Routing::Store => Act::new("outbox.adopt", TO_THE_QUEUES, self.routes()),
        };
        let rows = self.shared.run_alone("outbox.adopt", act).await?;
        let moved = rows.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0));
        let moved = moved.map_err(fault("outbox.adopt", Taken::GiveUp))?;
        Ok(usize::try_from(moved).unwrap_or(0))
    }

    /// The bound of a step; what may be written as a kind, the kind that this is, and a queue that wants it.
    fn routes(&self) -> Vec<Param> {
        let topology = &self.shared.topology;
        let all = topology.all_queues();
        let (mut wanted, mut kinds, mut queues) = (Array::of_texts(), Array::of_texts(), Array::of_texts());
        for queue in &all {
            for kind in topology.kinds(queue) {
                // Of what another queue has handled already, the news counts; and what comes again is for its queue alone.
                let marked = all.iter().flat_map(|named| [marked(named, kind), addressed(named, kind)]);
                for written in std::iter::once(kind.to_owned()).chain(marked) {
                    if topology.queues(&written).any(|wanting| wanting == queue) {
                        wanted.push_text(&written);
                        kinds.push_text(kind);
                        queues.push_text(queue);
                    }
                }
            }
        }
        vec![Box::new(STEP_MAX), Box::new(wanted), Box::new(kinds), Box::new(queues)]
    }
}

/// Takes the rows of `free` out of the outbox, puts what `messages` makes of them back into it, and keeps the tally.
macro_rules! moving {
    (free: $free:literal, messages: $messages:literal) => {
        concat!(
            "with free as (
         select position as place from outbox where ",
            $free,
            " limit $1 for update skip locked
     ), gone as (
         delete from outbox using free where position = free.place returning position, messages, ",
            message!(),
            "), messages as (",
            $messages,
            "), fresh as (
         insert into outbox (",
            message!(),
            ") select ",
            message!(),
            " from messages order by position returning queue
     ), tallied as (
         insert into tally_changes (subject, name, amount)
         select 'queued', queue, -sum(messages) from gone group by queue
         union all select 'queued', queue, count(*) from fresh group by queue
     )
     select count(*) from gone"
        )
    };
}

/// One message that several queues wanted is one message to a broker.
const TO_THE_BROKER: &str = moving!(
    free: "queue > '' and claimed_by is null order by queue, position",
    messages: "select distinct on (message_id) position, '' as queue, message_id, kind, correlation_id, causation_id,
             conversation_id, traceparent, sent_at, attempt, body
         from gone order by message_id, position"
);

/// What no queue wants was news for others, and there are none without a broker.
const TO_THE_QUEUES: &str = moving!(
    free: "queue = '' and claimed_by is null order by position",
    messages: "select position, routes.queue, message_id, routes.kind, correlation_id, causation_id, conversation_id, traceparent,
             sent_at, attempt, body
         from gone join unnest($2::text[], $3::text[], $4::text[]) as routes (wanted, kind, queue)
             on routes.wanted = gone.kind"
);
