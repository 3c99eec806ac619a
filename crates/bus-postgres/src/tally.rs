//! Counts: changes are added, never updated, in the transaction that made them, so that no two wait for each other; they are
//! summed up later.

use bus::Counts;

use crate::array::Array;
use crate::pipeline::Act;

/// The statement that writes what changed; none if nothing did.
pub(crate) fn store(tally: &Counts) -> Option<Act> {
    let changes = tally.changes();
    changes.clone().next()?;
    let sql = "insert into tally_changes (subject, name, amount)
         select * from unnest($1::text[], $2::text[], $3::bigint[])";
    Some(Act::new(
        "tally.store",
        sql,
        vec![
            Box::new(Array::texts(changes.clone().map(|(subject, _, _)| subject))),
            Box::new(Array::texts(changes.clone().map(|(_, name, _)| name))),
            Box::new(Array::numbers(changes.map(|(_, _, amount)| amount))),
        ],
    ))
}

/// Sums up the oldest changes, up to `$1` of them. Several processes may do so at once; each takes other rows.
pub(crate) const FOLD: &str = "with folded as (
         delete from tally_changes where position in (
             select position from tally_changes order by position limit $1 for update skip locked
         ) returning subject, name, amount
     ), sums as (
         select subject, name, sum(amount)::bigint as amount from folded group by subject, name order by subject, name
     ), added as (
         insert into tallies (subject, name, amount) select subject, name, amount from sums
         on conflict (subject, name) do update set amount = tallies.amount + excluded.amount
     )
     select count(*) from folded";

/// All counts: subject, name, amount.
pub const READ: &str = "select subject, name, sum(amount)::bigint from (
         select subject, name, amount from tallies union all select subject, name, amount from tally_changes
     ) as counted group by subject, name";
