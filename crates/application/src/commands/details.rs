//! What an order says beside who wants what, read from the store.

use bus::Fault;
use domain::OrderId;

use crate::order_details::OrderDetails;
use crate::ports::UnitOfWork;

/// What this order says; nothing, if it says nothing or is not there.
///
/// # Errors
/// Those of the store; for good, if what is stored is no such document.
pub(super) async fn details(unit: &mut dyn UnitOfWork, order_id: OrderId) -> Result<OrderDetails, Fault> {
    let Some((_, stored)) = unit.orders().details(&[order_id]).await?.pop() else {
        return Ok(OrderDetails::default());
    };
    OrderDetails::from_stored(&stored).map_err(|error| Fault::give_up("orders.details", error))
}
