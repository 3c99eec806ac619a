//! What the use cases need of the world, as contracts. Adapters live elsewhere and know the use cases only through these.

mod payment_gateway;
mod readers;
mod repositories;
mod shipping_provider;
mod unit_of_work;
mod vitals;

pub use payment_gateway::{CancelOutcome, ChargeOutcome, ChargeRequest, PaymentGateway, Unanswered};
pub use readers::{
    BrokenInvariantView, HistoryView, InventoryView, LineView, LowOnly, MovementView, OrderFilter, OrderView,
    Overview, Page, PaymentView, ProductView, Readers, SagaFilter, SagaView, ShipmentView, TimerView,
};
pub use repositories::{
    AuditEntry, AuditRepository, HistoryEntry, HistoryRepository, IdempotencyRecord, IdempotencyRepository,
    InventoryRepository, NewOrderRow, OrderRepository, PaymentRepository, ProductRepository,
    ReservationOutcome, ShipmentRepository, Shortage, StatusMove, StockDemand,
};
pub use shipping_provider::{
    BookingOutcome, BookingRequest, ShipmentCancelOutcome, ShippingProvider, TrackingOutcome,
};
pub use unit_of_work::{AnyUnit, UnitOfWork};
pub use vitals::{DatabaseState, VITALS_ROWS_MAX, VitalSigns, Vitals};
