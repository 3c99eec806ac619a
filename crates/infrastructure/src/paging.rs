//! Pages of a listing.

use application::ports::Page;

/// A page of up to `max` items, out of one more if there are more.
pub(crate) fn page<T>(mut items: Vec<T>, max: usize) -> Page<T> {
    let has_more = items.len() > max;
    items.truncate(max);
    Page { items, has_more }
}
