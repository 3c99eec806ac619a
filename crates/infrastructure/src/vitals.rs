//! The signs of life as one statement that both engines understand, and the reading of its rows. Bounded: of open sagas and
//! waiting messages only the oldest are looked at, each once, and of timers the first.

use application::ports::{VITALS_ROWS_MAX, Vitals};
use jiff::Timestamp;

/// How messages that wait for a broker are called, as they have no queue yet.
const OUTBOX: &str = "outbox";

/// Rows of subject, name and amount. The one parameter is the moment before which an order must have been handed over, unless its
/// limit began anew since it was accepted, as after a hold.
///
/// Where an order stands is a question for each saga and not a join: of a join the server may think that it is cheaper to
/// read all orders there are.
pub(crate) fn statement(open: &str, low: &str) -> String {
    format!(
        "with sagas as materialized (
             select correlation_id, state, order_status, updated_at, expires_at,
                 (select status from orders where order_id = correlation_id) as stands
             from order_saga where {open} order by correlation_id limit {VITALS_ROWS_MAX}
         )
         select 'oldest_saga', state, min(updated_at) from sagas group by state
         union all select 'overdue', '', count(*) from sagas where expires_at < $1
             and state in ('created', 'inventory_reserved', 'payment_processing', 'authorised', 'paid')
             and not exists (
                 select 1 from timers t
                 where t.correlation_id = sagas.correlation_id and t.name = 'order' and t.fired = 0 and t.due_at > $1
             )
         union all select 'orphaned', '', count(*) from sagas where stands is null
         union all select 'inconsistent', '', count(*) from sagas where stands <> order_status
         union all select 'oldest_message', queue, min(sent_at)
             from (select queue, sent_at from outbox order by position limit {VITALS_ROWS_MAX}) m group by queue
         union all select 'first_timer', '', due_at from (select due_at from timers order by due_at limit 1) t
         union all select 'low', '', count(*) from inventory i cross join products p
             where {low} and p.product_id = i.product_id and p.availability = 'active'
         union all select 'short', '', count(*) from inventory where short_stock > 0
         union all select 'unmatched', '', count(*)
             from (select position from unmatched_events where seen_at is null limit {VITALS_ROWS_MAX}) u"
    )
}

/// The signs of life that these rows tell.
pub(crate) fn vitals(rows: impl IntoIterator<Item = (String, String, i64)>) -> Vitals {
    let mut vitals = Vitals::default();
    for (subject, name, amount) in rows {
        let moment = Timestamp::from_microsecond(amount).unwrap_or(Timestamp::MAX);
        let count = u64::try_from(amount).unwrap_or(0);
        match subject.as_str() {
            "oldest_saga" => vitals.oldest_sagas.push((name, moment)),
            "overdue" => vitals.overdue_sagas = count,
            "orphaned" => vitals.orphaned_sagas = count,
            "inconsistent" => vitals.inconsistent_sagas = count,
            "oldest_message" => {
                let queue = if name.is_empty() { OUTBOX.to_owned() } else { name };
                vitals.oldest_messages.push((queue, moment));
            }
            "first_timer" => vitals.first_timer = Some(moment),
            "low" => vitals.low_products = count,
            "short" => vitals.short_products = count,
            "unmatched" => vitals.unmatched_events = count,
            // The statement stands above and names no other.
            _ => {}
        }
    }
    vitals
}
