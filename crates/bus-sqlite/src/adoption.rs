//! Messages that were left for another carrier, by a server that was set up otherwise or by a command beside this one, are
//! made ready for our own, so that changing from embedded to broker, or back, loses nothing. Some may then arrive twice, as
//! ever.

use std::collections::HashSet;
use std::sync::Arc;

use bus::{Count, Counts, Routing, Topology, without_mark};
use rusqlite::{Connection, Result};

use crate::message_rows::{MESSAGE, Moved, NO_QUEUE, insert_outgoing};
use crate::tally;
use crate::writer::{Adopted, Writer, stored_position};

/// Rows moved at once; a backlog is moved in as many steps as it takes.
const STEP_MAX: usize = 1_000;

/// Makes what is in the outbox fit for `routing`; returns how many rows were not. No transaction is open.
pub(crate) fn adopt<M: Default>(
    writer: &mut Writer<M>,
    topology: &Topology,
    routing: Routing,
) -> Result<usize> {
    let version = writer.version()?;
    if writer.adopted.version == Some(version) {
        return Ok(0);
    }
    let looked_to = stored_position(&writer.connection)?;
    let left_behind = match routing {
        Routing::Store => "queue = ''",
        Routing::Outbox => "queue <> ''",
    };
    let from = writer.adopted.position;
    let select = format!(
        "select position, {MESSAGE} from outbox where position > {from} and {left_behind} order by position limit {STEP_MAX}"
    );
    let mut adopted = 0;
    loop {
        let moved =
            in_a_transaction(&writer.connection, |connection| step(connection, &select, topology, routing))?;
        adopted += moved;
        if moved < STEP_MAX {
            writer.adopted = Adopted { version: Some(version), position: looked_to };
            return Ok(adopted);
        }
    }
}

/// Whatever a relay of an earlier life had leased is free: nobody else has this file.
pub(crate) fn free_leases(connection: &Connection) -> Result<()> {
    connection
        .execute(
            "update outbox set leased_by = null, leased_until = null where leased_until is not null and queue = ''",
            [],
        )
        .map(drop)
}

fn in_a_transaction<T>(connection: &Connection, act: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    connection.execute_batch("begin immediate")?;
    let done = act(connection);
    connection.execute_batch(if done.is_ok() { "commit" } else { "rollback" })?;
    done
}

fn step(connection: &Connection, select: &str, topology: &Topology, routing: Routing) -> Result<usize> {
    let rows = connection.prepare(select)?.query_map([], Moved::read)?.collect::<Result<Vec<_>>>()?;
    let count = rows.len();
    let mut counts = Counts::default();
    let mut routed = Vec::new();
    let mut sent = HashSet::new();
    for row in rows {
        connection.prepare_cached("delete from outbox where position = ?")?.execute([row.position])?;
        counts.add(Count::queued(Arc::clone(&row.queue)), -1);
        let envelope = Arc::new(row.envelope);
        match routing {
            Routing::Store => {
                let message = Arc::new(without_mark(&envelope));
                let queues = topology.queues(&envelope.kind);
                routed.extend(queues.map(|queue| (Arc::clone(queue), Arc::clone(&message))));
            }
            // One message that several queues wanted is one message to a broker.
            Routing::Outbox if !sent.insert(envelope.id) => {}
            Routing::Outbox => routed.push((Arc::from(NO_QUEUE), envelope)),
        }
    }
    routed.iter().for_each(|(queue, _)| counts.add(Count::queued(Arc::clone(queue)), 1));
    let last = stored_position(connection)?;
    insert_outgoing(connection, last + 1, &routed)?;
    let given = i64::try_from(routed.len()).expect("a step is bounded");
    connection.execute("update positions set last_position = ?", [last + given])?;
    tally::store(connection, &counts)?;
    Ok(count)
}
