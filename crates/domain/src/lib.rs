//! The nouns and the rules of an order. Everything here is synchronous and total, and gets the time as an argument.
//! It must never read a clock, draw a random number, touch a disk or a socket, log, or know how it is stored or sent.
//!
//! Three words are used with care. A [`Rejection`] is the business saying no. A [`BrokenInvariant`] is a record that
//! cannot be true. A verb on [`Order`] *decides* and returns a fact; `apply` records the fact. In the pipeline the saga moves
//! an order's status by the same table of legal moves, without loading the aggregate.

mod closed_set;

mod events;
mod ids;
mod invariant;
mod inventory;
mod money;
mod order;
mod order_status;
mod payment;
mod product;
mod quantity;
mod rejection;
mod shipment;
mod stock_movement;
pub mod text;
mod transition;

pub use closed_set::UnknownName;
pub use events::OrderEvent;
pub use ids::{CustomerId, OrderId, OrderItemId, ProductId, Sku, TEXT_CHARS_MAX, derive_child};
pub use invariant::BrokenInvariant;
pub use inventory::{Inventory, StockCounters, UNITS_MAX};
pub use money::{AMOUNT_MINOR_MAX, Currency, InvalidCurrency, Money, MoneyError};
pub use order::{
    CancelReason, Cancellation, LINES_MAX, NewOrder, NewOrderLine, Order, OrderLine, OrderSnapshot,
};
pub use order_status::{LEGAL_MOVES, OrderStatus};
pub use payment::{Dispute, Payment, PaymentStatus};
pub use product::{Availability, Product};
pub use quantity::{InvalidQuantity, QUANTITY_MAX, Quantity};
pub use rejection::Rejection;
pub use shipment::{Shipment, ShipmentStatus};
pub use stock_movement::{MovementCause, MovementKind, StockMovement};
pub use text::InvalidText;
pub use transition::{Change, Move, TransitionReason};
