//! Why an order was cancelled, and by whom.

use crate::closed_set::closed_set;

closed_set! {
    /// Why an order was cancelled.
    pub enum CancelReason {
        /// The customer asked for it.
        Customer = 0, "customer";
        /// The gateway refused the money.
        PaymentDeclined = 1, "payment_declined";
        /// Some line was not in stock.
        OutOfStock = 2, "out_of_stock";
        /// It took too long.
        Timeout = 3, "timeout";
        /// No carrier took the parcel.
        ShippingFailed = 4, "shipping_failed";
        /// An operator decided so.
        Operator = 5, "operator";
        /// It failed validation.
        Rejected = 6, "rejected";
        /// All the money was refunded at the gateway before the parcel left.
        RefundedAtGateway = 7, "refunded_at_gateway";
    }
}

/// The record of a cancellation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancellation {
    /// Why.
    pub reason: CancelReason,
    /// Who cancelled it, or which part of the system.
    pub actor: String,
    /// A note in their own words; may be empty.
    pub note: String,
}
