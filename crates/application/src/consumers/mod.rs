//! The consumers: each turns a batch of messages into events of orders and leaves the decision to the saga.

mod backorder;
pub(crate) mod claim;
mod early;
mod inventory_reservation;
mod notification;
mod notification_dispatch;
mod order_created;
mod order_requests;
mod order_timeout;
mod payment;
mod payment_capture;
mod payment_processed;
mod payment_refund;
mod shipment_cancellation;
mod shipment_tracking;
mod shipping;
mod shipping_completed;
mod standing;

pub use backorder::BackorderConsumer;
pub use inventory_reservation::InventoryReservationConsumer;
pub use notification::{CustomerNews, NotificationConsumer};
pub(crate) use notification::{emails, where_it_stands};
pub use notification_dispatch::NotificationDispatchConsumer;
pub use order_created::OrderCreatedConsumer;
pub use order_requests::OrderRequestsConsumer;
pub use order_timeout::OrderTimeoutConsumer;
pub use payment::PaymentConsumer;
pub use payment_capture::PaymentCaptureConsumer;
pub use payment_processed::PaymentProcessedConsumer;
pub use payment_refund::PaymentRefundConsumer;
pub use shipment_cancellation::ShipmentCancellationConsumer;
pub use shipment_tracking::ShipmentTrackingConsumer;
pub use shipping::ShippingConsumer;
pub use shipping_completed::ShippingCompletedConsumer;
pub use standing::UNKNOWN_ORDER;
