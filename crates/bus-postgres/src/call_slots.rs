//! The slots of a call budget that all workers share. Time is the server's own, so that the clocks of workers need not agree.

use std::time::Duration;

use async_trait::async_trait;
use bus::{CallSlots, Fault};

use crate::fault::broken;
use crate::pipeline::{Act, Param};
use crate::store::PostgresBus;
use crate::unit::Rows;

/// The row is taken or made, and moved on by as many slots as are wanted.
const TAKE: &str = "with moment as (select (extract(epoch from clock_timestamp()) * 1000000)::bigint as now)
     insert into call_slots as s (party, next_free) select $1, now + $2 from moment
     on conflict (party) do update set next_free = greatest(s.next_free, excluded.next_free - $2) + $2
     returning s.next_free - $2 - (select now from moment)";

#[async_trait]
impl<R: Rows> CallSlots for PostgresBus<R> {
    async fn take(&self, name: &'static str, interval: Duration, count: u32) -> Result<Duration, Fault> {
        let length = interval.saturating_mul(count);
        let length_us = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
        let values: Vec<Param> = vec![Box::new(name.to_owned()), Box::new(length_us)];
        let rows =
            self.shared.run_alone("call_slots.take", Act::new("call_slots.take", TAKE, values)).await?;
        let wait_us: i64 = match rows.first() {
            Some(row) => row.try_get(0).map_err(|error| broken("call_slots.take")(error.into()))?,
            None => 0,
        };
        Ok(Duration::from_micros(u64::try_from(wait_us).unwrap_or(0)))
    }
}
