//! Pages of a listing, and what the order of ids by time tells about where they begin and end.

use application::ports::{OrderFilter, Page};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// A page of up to `max` items, out of one more if there are more.
pub(crate) fn page<T>(mut items: Vec<T>, max: usize) -> Page<T> {
    let has_more = items.len() > max;
    items.truncate(max);
    Page { items, has_more }
}

/// How far the time within an order's id may be from the time of its acceptance; ids narrow a search by time, which is
/// then exact by the column.
const ID_SKEW: SignedDuration = SignedDuration::from_hours(24);

/// Orders whose id is not above this are not wanted.
pub(crate) fn lower_bound(filter: &OrderFilter) -> Uuid {
    let after = filter.after.map_or(Uuid::nil(), |id| id.0);
    let from = filter
        .created_from
        .map_or(Uuid::nil(), |from| first_id_at(from.saturating_sub(ID_SKEW).unwrap_or(Timestamp::MIN)));
    after.max(from)
}

/// Orders accepted before this moment have ids below.
pub(crate) fn upper_bound(before: Timestamp) -> Uuid {
    first_id_at(before.saturating_add(ID_SKEW).unwrap_or(Timestamp::MAX))
}

/// The least id with this time in front.
fn first_id_at(at: Timestamp) -> Uuid {
    let millis = u128::try_from(at.as_millisecond()).unwrap_or(0);
    Uuid::from_u128(millis << 80)
}
