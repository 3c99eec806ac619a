//! Sweeps out what is no longer asked for, a bounded step at a time, oldest first. Orders, ledgers and timelines stay.

use bus::Fault;
use bus_postgres::before;
use jiff::Timestamp;

use super::{PostgresStore, order_events, webhook_endpoints};
use crate::{Retention, Swept};

/// Events of no order that a person has seen to; those that nobody has seen to stay.
const SEEN_TO: &str = "with gone as (
         delete from unmatched_events where position in (
             select position from unmatched_events where seen_at < $2 order by position limit $1
         ) returning 1
     )
     select count(*) from gone";

impl PostgresStore {
    /// Removes up to `max` rows of each kind that are past their time. A step that removes `max` of any is worth another.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn housekeeping_step(
        &self,
        now: Timestamp,
        retention: Retention,
        max: usize,
    ) -> Result<Swept, Fault> {
        self.sweep(SEEN_TO, before(now, retention.inbox), max).await?;
        self.sweep(webhook_endpoints::SWEEP, before(now, retention.events), max).await?;
        let answered_before = before(now, retention.idempotency);
        Ok(Swept {
            inbox: self.sweep_inbox(now, retention.inbox, max).await?,
            idempotency: self.sweep_table("idempotency", "created_at", answered_before, max).await?,
            events: self.sweep(order_events::SWEEP, before(now, retention.events), max).await?,
            kept_answers: self.sweep_table("kept_answers", "created_at", answered_before, max).await?,
        })
    }
}
