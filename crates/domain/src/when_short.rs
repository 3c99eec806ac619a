//! What becomes of an order whose goods are not all in stock.

use crate::closed_set::closed_set;

closed_set! {
    /// What becomes of an order if some line of it cannot be reserved. No line is then.
    pub enum WhenShort {
        /// It is cancelled.
        Cancel = 0, "cancel";
        /// It waits until all its goods are there: a backorder.
        Wait = 1, "wait";
    }
}
