//! When a server starts with another carrier than its predecessor: messages that were left for the one are made ready for
//! the other, so that changing from embedded to broker, or back, loses nothing. Some may then arrive twice, as ever.

use std::collections::HashSet;
use std::sync::Arc;

use bus::Topology;
use rusqlite::{Connection, Result};

use super::Routing;
use super::message_rows::{MESSAGE, Moved, insert_outgoing};
use super::outbox::NO_QUEUE;
use super::tally;
use super::writer::Writer;
use crate::tally::{Tallied, Tally};

/// Rows moved at once; a backlog is moved in as many steps as it takes.
const STEP_MAX: usize = 1_000;

/// Makes what is in the outbox fit for `routing`.
pub(super) fn adopt(connection: &Connection, topology: &Topology, routing: Routing) -> Result<()> {
    let left_behind = match routing {
        Routing::Store => "queue = ''",
        Routing::Outbox => "queue <> ''",
    };
    let select = format!(
        "select position, {MESSAGE} from outbox where {left_behind} order by position limit {STEP_MAX}"
    );
    loop {
        connection.execute_batch("begin immediate")?;
        let moved = step(connection, &select, topology, routing);
        connection.execute_batch(if moved.is_ok() { "commit" } else { "rollback" })?;
        if moved? < STEP_MAX {
            return Ok(());
        }
    }
}

fn step(connection: &Connection, select: &str, topology: &Topology, routing: Routing) -> Result<usize> {
    let rows = connection.prepare(select)?.query_map([], Moved::read)?.collect::<Result<Vec<_>>>()?;
    let count = rows.len();
    let mut counts = Tally::default();
    let mut routed = Vec::new();
    let mut sent = HashSet::new();
    for row in rows {
        connection.prepare_cached("delete from outbox where position = ?")?.execute([row.position])?;
        counts.add(Tallied::Queued(Arc::clone(&row.queue)), -1);
        let envelope = Arc::new(row.envelope);
        match routing {
            Routing::Store => {
                let queues = topology.queues(&envelope.kind);
                routed.extend(queues.map(|queue| (Arc::clone(queue), Arc::clone(&envelope))));
            }
            // One message that several queues wanted is one message to a broker.
            Routing::Outbox if !sent.insert(envelope.id) => {}
            Routing::Outbox => routed.push((Arc::from(NO_QUEUE), envelope)),
        }
    }
    routed.iter().for_each(|(queue, _)| counts.add(Tallied::Queued(Arc::clone(queue)), 1));
    let last = Writer::stored_position(connection)?;
    insert_outgoing(connection, last + 1, &routed)?;
    let given = i64::try_from(routed.len()).expect("a step is bounded");
    connection.execute("update positions set last_position = ?", [last + given])?;
    tally::store(connection, &counts)?;
    Ok(count)
}
