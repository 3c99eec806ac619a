//! Pages of a listing.

use application::ports::{Page, SagaFilter, SagaPage, SagaView};
use application::saga::SagaState;
use domain::OrderId;

/// A page of up to `max` items, out of one more if there are more.
pub(crate) fn page<T>(mut items: Vec<T>, max: usize) -> Page<T> {
    let has_more = items.len() > max;
    items.truncate(max);
    Page { items, has_more }
}

/// Whether sagas are asked for that no index leads straight to, so that a page looks at a bounded number of them.
pub(crate) fn is_sparse(filter: &SagaFilter) -> bool {
    filter.unmoved_since.is_some() || filter.state.is_some_and(|state| state != SagaState::NeedsAttention)
}

/// The page that these sagas make, of which one more was read than it may hold; the boundary is the last that it may look at, none
/// if it may look at all.
pub(crate) fn saga_page(items: Vec<SagaView>, max: usize, boundary: Option<OrderId>) -> SagaPage {
    let Page { items, has_more } = page(items, max);
    let next = if has_more { items.last().map(|last| OrderId(last.order_id)) } else { boundary };
    SagaPage { items, next }
}
