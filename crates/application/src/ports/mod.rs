//! The ports: what the use cases need from outside. Adapters implement them and know the use cases only through them.

mod api_keys;
mod audit;
mod gateway_books;
mod idempotency;
mod notification_service;
mod order_events;
mod order_filter;
mod payment_gateway;
mod provider_events;
mod readers;
mod repositories;
mod return_view;
mod shipping_provider;
mod unit_of_work;
mod vitals;
mod webhook_endpoints;

pub use domain::ParcelTrouble;

pub use api_keys::{ApiKey, ApiKeys, Scope, Scopes};
pub use audit::{AuditEntry, AuditFilter, AuditRepository, AuditView};
pub use gateway_books::{ChargePage, GatewayBooks, ListedCharge, Listing};
pub use idempotency::{
    Answer, Caller, IMPORTED, IdempotencyRecord, IdempotencyRepository, KeptAnswer, RequestKey,
};
pub use notification_service::{
    Channel, ClosedEndpoints, Notification, NotificationKind, NotificationService, Said, Untold,
};
pub use order_events::{EVENT_TYPES, EventFilter, EventPage, EventsRead, OrderEventLog, OrderEventView};
pub use order_filter::{FOUND_BY_ACCEPTANCE, OrderFilter, OrderPlace, OrderSort, UnknownSort};
pub use payment_gateway::{CancelOutcome, ChargeOutcome, ChargeRequest, PaymentGateway, Unanswered};
pub use provider_events::{
    Mismatch, NewsKind, Provider, ProviderNews, Seen, UnmatchedEvent, UnmatchedFilter, UnmatchedRepository,
    UnmatchedView, Which,
};
pub use readers::{
    AttentionView, BookedPayment, BrokenInvariantView, EndangeredOrderView, HistoryView, HoldView,
    InventoryView, LineView, LowOnly, MovementView, OrderPage, OrderView, Overview, Page, PaymentView,
    ProductView, Readers, ReservationPage, ReservationView, SagaFilter, SagaPage, SagaView, ShipmentView,
    TimerView,
};
pub use repositories::{
    HistoryEntry, HistoryRepository, HoldRepository, InventoryRepository, NewOrderRow, OrderRepository,
    PaymentRepository, ProductRepository, ReferencedOrder, ReservationOutcome, ReturnRepository,
    ShipmentRepository, Shortage, StatusMove, StockDemand,
};
pub use return_view::{ReturnLineView, ReturnView};
pub use shipping_provider::{
    BookingOutcome, BookingRequest, ParcelItem, ShipmentCancelOutcome, ShippingProvider, TrackingOutcome,
};
pub use unit_of_work::{AnyUnit, UnitOfWork};
pub use vitals::{DatabaseState, VITALS_ROWS_MAX, VitalSigns, Vitals};
pub use webhook_endpoints::{
    Delivery, DeliveryFilter, DeliveryState, EndpointChange, EndpointState, OLD_SECRET_KEPT, Progress,
    Redelivery, WEBHOOK_ENDPOINTS_MAX, WebhookEndpoint, WebhookEndpointRepository, WebhookEndpoints,
};
