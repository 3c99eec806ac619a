//! What a row says about one line of an order.

use domain::Currency;

/// A line of an order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) line: u64,
    /// Which product; none, if it is none.
    pub(super) candidate: Option<usize>,
    pub(super) units: u32,
    pub(super) minor: i64,
    pub(super) currency: Currency,
    /// Whether it has left the house already.
    pub(super) shipped: bool,
}
