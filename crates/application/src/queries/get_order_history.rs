//! What has happened to one order.

use bus::Fault;
use domain::OrderId;

use crate::ports::{HistoryView, Readers};

/// Show the timeline of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetOrderHistoryQuery {
    /// The order.
    pub order_id: OrderId,
}

impl GetOrderHistoryQuery {
    /// Its timeline, oldest entry first; none if there is no such order.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(&self, readers: &dyn Readers) -> Result<Option<Vec<HistoryView>>, Fault> {
        readers.history(self.order_id).await
    }
}
