//! The nouns and the rules of an order. Everything here is synchronous and total, and gets the time as an argument.
//! It must never read a clock, draw a random number, touch a disk or a socket, log, or know how it is stored or sent.
//!
//! Three words are used with care. A [`Rejection`] is the business saying no. A [`BrokenInvariant`] is a record that
//! cannot be true. [`Order::apply`] is the only way an order moves: the saga says which [`OrderEvent`] happened, and stores
//! do what `apply` does, without loading the order.

mod cancellation;
mod closed_set;
mod events;
mod hold;
mod ids;
mod invariant;
mod inventory;
mod money;
mod money_line;
mod money_line_kind;
mod order;
mod order_return;
mod order_status;
mod parcel_trouble;
mod payment;
mod payment_notes;
mod payment_status;
mod product;
mod quantity;
mod rejection;
mod shipment;
mod shipment_status;
mod shipping_facts;
mod stock_movement;
pub mod text;
mod transition;
mod when_short;

pub use cancellation::{CancelReason, Cancellation};
pub use closed_set::UnknownName;
pub use events::{OrderChange, OrderEvent};
pub use hold::{Hold, HoldPoint, HoldPoints, HoldRelease};
pub use ids::{
    CustomerId, HoldId, OrderId, OrderItemId, ProductId, ReturnId, Sku, TEXT_CHARS_MAX, derive_child,
};
pub use invariant::BrokenInvariant;
pub use inventory::{Inventory, StockCounters};
pub use money::{AMOUNT_MINOR_MAX, Currency, InvalidCurrency, Money, MoneyError};
pub use money_line::{MONEY_LINES_MAX, MoneyLine};
pub use money_line_kind::MoneyLineKind;
pub use order::{
    CancelledUnits, LINES_MAX, LineCancellation, LineRejection, NewOrder, NewOrderLine, Order, OrderLine,
    OrderSnapshot,
};
pub use order_return::{
    Arrival, OrderReturn, Restock, ReturnEnd, ReturnLine, ReturnRefund, ReturnRejection, ReturnStatus,
    lines_of_return, returnable,
};
pub use order_status::{LEGAL_MOVES, OrderStatus};
pub use parcel_trouble::{ParcelTrouble, Troubles};
pub use payment::{Capture, Dispute, Payment};
pub use payment_notes::{AskedRefund, PaymentNotes, SecondCharge};
pub use payment_status::PaymentStatus;
pub use product::{Availability, Product};
pub use quantity::{InvalidQuantity, QUANTITY_MAX, Quantity, UNITS_MAX};
pub use rejection::Rejection;
pub use shipment::Shipment;
pub use shipment_status::ShipmentStatus;
pub use shipping_facts::{InvalidFact, MEASURE_MAX, ShippingFacts};
pub use stock_movement::{MovementCause, MovementKind, StockMovement};
pub use text::InvalidText;
pub use transition::{Change, Move, TransitionReason};
pub use when_short::WhenShort;
