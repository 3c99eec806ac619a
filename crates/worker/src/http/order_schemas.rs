//! The forms of orders, as clients write and read them.

use super::detail_schemas::{ADDRESS, CONTACT, MONEY_LINE};
use super::hold_schemas::HOLD;
use super::return_schemas::RETURN;
use super::shape::{AMOUNT, Schema, Shape, may, need};

/// Whose wish a cancellation may be.
pub(super) const CANCEL_REASONS: &[&str] = &["customer", "operator"];

/// Under a name of its own: a choice that may be null has no good name in a client otherwise.
const REASON: Shape = Shape::Named(&Schema { name: "CancelReason", shape: Shape::Choice(CANCEL_REASONS) });

pub(super) static CANCEL: Schema = Schema {
    name: "CancelRequest",
    shape: Shape::Object(&[
        may("reason", REASON, "Whose wish it is; the customer's, unless said."),
        need("actor", Shape::Text, "Who asks."),
        may("note", Shape::Text, "In their words."),
        may("seen", Shape::Time, SEEN),
    ]),
};
pub(super) static CANCELLED: Schema = Schema {
    name: "CancelAnswer",
    shape: Shape::Object(&[
        need("order_id", Shape::Id, "The order."),
        need("outcome", Shape::Choice(&["accepted", "already"]), "Whether anything is new."),
    ]),
};
pub(super) static ACCEPTED: Schema = Schema {
    name: "OrderAccepted",
    shape: Shape::Object(&[
        need("order_id", Shape::Id, "The order."),
        need("status", Shape::Text, "Its status: pending, unless the answer waited for more."),
        need("total", AMOUNT, "What it costs in all."),
        need("created_at", Shape::Time, "When it was accepted."),
        may("order", ORDER_SHAPE, "The order as it stands, if the answer waited for it."),
    ]),
};
const LINE: Shape = Shape::Named(&Schema {
    name: "OrderLine",
    shape: Shape::Object(&[
        need("sku", Shape::Text, "The product."),
        need("quantity", Shape::Integer, "Units that were ordered."),
        may("cancelled", Shape::Integer, "Of these, cancelled since; none unless said."),
        need("unit_price", AMOUNT, "Price of one."),
    ]),
});
const PAYMENT: Shape = Shape::Named(&Schema {
    name: "Payment",
    shape: Shape::Object(&[
        need("status", Shape::Text, "Where the money stands."),
        need("captured_minor", Shape::Integer, "Minor units taken."),
        need("refunded_minor", Shape::Integer, "Minor units given back."),
        need("idempotency_key", Shape::Text, "Our key of the charge."),
        may("provider_reference", Shape::Text, "The gateway's name for the charge."),
        may("decline_code", Shape::Text, "The gateway's reason, if it declined."),
        may(
            "authorised_until",
            Shape::Time,
            "Until when the money is authorised, if it is captured at the shipment and the gateway says so.",
        ),
        may("disputed", Shape::Text, "Where a dispute of the customer's bank stands: open, won or lost."),
    ]),
});
const SHIPMENT: Shape = Shape::Named(&Schema {
    name: "Parcel",
    shape: Shape::Object(&[
        need("status", Shape::Text, "Where the parcel stands."),
        need("idempotency_key", Shape::Text, "Our key of the booking."),
        may("tracking_number", Shape::Text, "The carrier's name for the parcel."),
        may("carrier", Shape::Text, "The carrier."),
    ]),
});
pub(super) static ORDER: Schema = Schema {
    name: "Order",
    shape: Shape::Object(&[
        need("order_id", Shape::Id, "The order."),
        need("customer_id", Shape::Text, "Whom it is for."),
        need("status", Shape::Text, "The headline status."),
        need("saga_state", Shape::Text, "The saga's state."),
        may("saga_moved_at", Shape::Time, "When its saga last moved; 'seen' of an act on the order."),
        need("total", AMOUNT, "What it costs in all."),
        may("lines", Shape::List(&LINE), "What is wanted; not in listings."),
        may("contact", CONTACT, "Whom to reach about it."),
        may("shipping_address", ADDRESS, "Where the goods go."),
        may("billing_address", ADDRESS, "Whom the bill is for."),
        may("money_lines", Shape::List(&MONEY_LINE), "What it costs beside the goods."),
        may("tags", Shape::List(&Shape::Text), "Words of the shop's own."),
        may("order_note", Shape::Text, "What the customer or the shop had to say."),
        may("metadata", Shape::Texts, "What the shop wanted to remember."),
        may(
            "holds",
            Shape::List(&HOLD),
            "Why it waits before its payment or its parcel, or did; not in listings.",
        ),
        may("returns", Shape::List(&RETURN), "What of it came back, or is awaited; not in listings."),
        may("payment", PAYMENT, "Where the money stands, once asked for."),
        may("shipment", SHIPMENT, "Where the parcel stands, once asked for."),
        may("cancel_reason", Shape::Text, "Why it was cancelled: a code."),
        may("cancel_note", Shape::Text, "Why it was cancelled, in words."),
        may("external_reference", Shape::Text, "Another system's name for it."),
        need("ordered_at", Shape::Time, "When the customer ordered."),
        need("created_at", Shape::Time, "When it was accepted."),
        need(
            "updated_at",
            Shape::Time,
            "When its status last changed, or its money went back or was disputed.",
        ),
    ]),
};
const ORDER_SHAPE: Shape = Shape::Named(&ORDER);
pub(super) static ORDERS: Schema = Schema {
    name: "OrderPage",
    shape: Shape::Object(&[
        need("items", Shape::List(&ORDER_SHAPE), "The orders, in the order that was asked for."),
        may("next_cursor", Shape::Text, "Where the next page begins, if there is one."),
    ]),
};
pub(super) const HISTORY_ENTRY: Shape = Shape::Named(&Schema {
    name: "HistoryEntry",
    shape: Shape::Object(&[
        need("at", Shape::Time, "When."),
        need("event", Shape::Text, "What happened."),
        may("status", Shape::Text, "The headline status afterwards."),
        may("saga_state", Shape::Text, "The saga's state afterwards."),
        may("detail", Shape::Text, "In words."),
    ]),
});
pub(super) static TIMELINE: Schema = Schema {
    name: "OrderHistory",
    shape: Shape::Object(&[
        need("order_id", Shape::Id, "The order."),
        need("items", Shape::List(&HISTORY_ENTRY), "What happened, in order."),
    ]),
};
/// What a member 'seen' of an act on an order means.
pub(super) const SEEN: &str = "The 'updated_at' of the order's saga as you saw it: if it has moved since, nothing is done. Of two \
     who act at once, one acts and the other is told.";
