//! The commands, each with its handler. A handler works inside a unit of work that its caller opened;
//! [`CommandPipeline`] is that caller for everything that does not come from a queue.

mod adjust_stock;
mod again;
mod cancel_lines;
mod cancel_order;
mod cancel_return;
mod cancellation;
mod capture_payment;
mod change_order;
mod change_product;
mod create_order;
mod details;
mod erase_contact;
mod hold_order;
mod if_unchanged;
mod import_products;
mod once;
mod operate_saga;
mod process_payment;
mod provider_call;
mod provider_news;
mod receive_return;
mod refund_order;
mod refund_payment;
mod release_hold;
mod request_return;
mod reserve_inventory;
mod run;
mod see_to_event;
mod ship_order;
mod take_event_again;
mod tell_again;
mod tell_saga;
mod undo;
mod webhook_endpoints;

pub use adjust_stock::{AdjustStockCommand, StockChange, StockReply};
pub use cancel_lines::{CancelLinesCommand, CancelLinesReply, LinesCancelled, too_late_to_cancel_lines};
pub use cancel_return::{CancelReturnCommand, CancelReturnReply};
pub use cancellation::{CancelOrderCommand, CancelReply};
pub use capture_payment::{CapturePaymentCommand, CapturePaymentHandler};
pub use change_order::{ChangeOrderCommand, ChangeOrderReply, OrderChanges, too_late_to_change};
pub use change_product::{ChangeProductCommand, ChangeProductReply};
pub use create_order::{
    CreateOrderCommand, CreateOrderHandler, CreateOrderLine, CreateOrderReply, HoldWish, OrderAccepted,
    OrderKey, Violation,
};
pub use erase_contact::{EraseContactCommand, EraseContactReply, needed_by_carrier};
pub use hold_order::{HOLDS_MAX, HoldOrderCommand, HoldOrderReply};
pub use if_unchanged::{IfUnchanged, IfUnchangedReply, Seen};
pub use import_products::{ImportProductsCommand, NewProduct, SignedImportCommand};
pub use once::{Once, OnceReply};
pub use operate_saga::{OperateReply, OperateSagaCommand, SagaOperation};
pub use process_payment::{PaymentAnswer, ProcessPaymentCommand, ProcessPaymentHandler};
pub(crate) use provider_call::{calls, dispose, happening};
pub use provider_news::{NewsFate, NewsTaken, TakeProviderNewsCommand};
pub use receive_return::{ReceiveReturnCommand, ReceiveReturnReply};
pub use refund_order::{RefundOrderCommand, RefundReply};
pub use refund_payment::{RefundAnswer, RefundPaymentCommand, RefundPaymentHandler};
pub use release_hold::{ReleaseHoldCommand, ReleaseHoldReply};
pub use request_return::{RequestReturnCommand, RequestReturnReply};
pub use reserve_inventory::{ReservationVerdict, ReserveInventoryCommand, reserve_inventory};
pub use run::{Command, CommandPipeline};
pub use see_to_event::SeeToEventCommand;
pub use ship_order::{BookingAnswer, ShipOrderCommand, ShipOrderHandler};
pub use take_event_again::{TakeEventAgainCommand, TakenAgain};
pub use tell_again::{TellAgainCommand, TellAgainReply};
pub(crate) use undo::{give_up_or_retry, undo_failed};
pub use webhook_endpoints::{
    AddEndpointCommand, ChangeEndpointCommand, RedeliverCommand, RemoveEndpointCommand,
};
