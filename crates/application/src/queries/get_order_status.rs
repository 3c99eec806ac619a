//! Where one order stands.

use bus::Fault;
use domain::OrderId;

use crate::ports::{OrderView, Readers};

/// Show one order with its payment and parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetOrderStatusQuery {
    /// The order.
    pub order_id: OrderId,
}

impl GetOrderStatusQuery {
    /// The order; none if there is no such order.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(&self, readers: &dyn Readers) -> Result<Option<OrderView>, Fault> {
        readers.order(self.order_id).await
    }
}
