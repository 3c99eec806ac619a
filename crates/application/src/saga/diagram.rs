//! The saga's table as a picture: Mermaid, DOT, and plain text. Reads the table, adds nothing to it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use domain::OrderEvent;

use super::table::{EventKind, Rule, STATES, TABLE};
use super::{SAGA_VERSION, SagaState};

/// The arrows of the diagram: from, to, and the events on the arrow.
fn arrows() -> BTreeMap<(SagaState, SagaState), Vec<&'static str>> {
    let mut arrows: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (event, rules) in TABLE {
        for (from, rule) in STATES.into_iter().zip(rules) {
            for to in rule.targets() {
                arrows.entry((from, *to)).or_default().push(event.as_str());
            }
        }
    }
    arrows
}

/// A Mermaid state diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = format!(
        "---\ntitle: OrderProcessingSaga v{SAGA_VERSION}\n---\nstateDiagram-v2\n    [*] --> created\n"
    );
    for ((from, to), events) in arrows() {
        let _ = writeln!(text, "    {from} --> {to}: {}", events.join("<br/>"));
    }
    for state in STATES.into_iter().filter(|state| state.is_final()) {
        let _ = writeln!(text, "    {state} --> [*]");
    }
    text
}

/// A Graphviz digraph.
#[must_use]
pub fn dot() -> String {
    let mut text =
        format!("digraph OrderProcessingSaga {{\n    label = \"OrderProcessingSaga v{SAGA_VERSION}\";\n");
    text.push_str("    rankdir = LR;\n    node [shape = box, style = rounded];\n");
    for state in STATES.into_iter().filter(|state| state.is_final()) {
        let _ = writeln!(text, "    {state} [peripheries = 2];");
    }
    for ((from, to), events) in arrows() {
        let _ = writeln!(text, "    {from} -> {to} [label = \"{}\"];", events.join("\\n"));
    }
    text.push_str("}\n");
    text
}

/// The table as Markdown.
#[must_use]
pub fn table() -> String {
    let mut text = String::from("| event |");
    for state in STATES {
        let _ = write!(text, " {state} |");
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(STATES.len()));
    for (event, rules) in TABLE {
        let _ = write!(text, "\n| {} |", event.as_str());
        for rule in rules {
            let _ = write!(text, " {} |", rule.as_str());
        }
    }
    text.push('\n');
    text
}

impl Rule {
    /// The rule's name, as the table shows it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Lack => "lack",
            Self::ReserveAgain => "reserve again",
            Self::Pay => "pay",
            Self::Await => "await",
            Self::Clock => "clock",
            Self::Secure => "secure",
            Self::Ship => "ship",
            Self::Collect => "collect",
            Self::Settle => "settle",
            Self::Lapse => "lapse",
            Self::Owe => "owe",
            Self::Recapture => "recapture",
            Self::Track => "track",
            Self::Poll => "poll",
            Self::Complete => "complete",
            Self::Undo => "undo",
            Self::Note => "note",
            Self::Reopen => "reopen",
            Self::Next => "next",
            Self::Forward => "forward",
            Self::Urge => "urge",
            Self::Park => "park",
            Self::Ask => "ask",
            Self::Answered => "answered",
            Self::Unpaid => "unpaid",
            Self::Arrive => "arrive",
            Self::CallOff => "call off",
            Self::Again => "again",
            Self::Waive => "waive",
            Self::Close => "close",
            Self::PlaceHold => "place hold",
            Self::LiftHold => "lift hold",
            Self::GoOn => "go on",
            Self::Ignore => "·",
            Self::Early => "early",
            Self::EarlyIfUnasked => "early if unasked",
            Self::Refuse => "refuse",
        }
    }
}

impl EventKind {
    /// The event's name, as histories and pictures show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrderValidated => OrderEvent::OrderValidated.as_str(),
            Self::OrderRejected => "OrderRejected",
            Self::InventoryReserved => OrderEvent::InventoryReserved.as_str(),
            Self::InventoryShort => "InventoryShort",
            Self::PaymentStarted => OrderEvent::PaymentStarted.as_str(),
            Self::PaymentAuthorised => OrderEvent::PaymentAuthorised.as_str(),
            Self::PaymentCaptured => OrderEvent::PaymentProcessed.as_str(),
            Self::PaymentDeclined => OrderEvent::PaymentFailed.as_str(),
            Self::CaptureFailed => "CaptureFailed",
            Self::ShippingStarted => "ShippingStarted",
            Self::ShipmentBooked => OrderEvent::OrderShipped.as_str(),
            Self::ShipmentRefused => "ShippingFailed",
            Self::ParcelDelivered => OrderEvent::OrderDelivered.as_str(),
            Self::CancelRequested => "CancelRequested",
            Self::OrderTimedOut => "OrderTimedOut",
            Self::PaymentTimedOut => "PaymentTimedOut",
            Self::ShippingTimedOut => "ShippingTimedOut",
            Self::CaptureTimedOut => "CaptureTimedOut",
            Self::AuthorisationEnding => "AuthorisationEnding",
            Self::DeliveryPollDue => "DeliveryPollDue",
            Self::UndoTimedOut => "UndoTimedOut",
            Self::ShipmentCancelled => "ShipmentCancelled",
            Self::ShipmentKept => "ShipmentKept",
            Self::PaymentVoided => "PaymentVoided",
            Self::PaymentRefunded => OrderEvent::PaymentRefunded.as_str(),
            Self::UndoFailed => "UndoFailed",
            Self::OperatorRetry => "OperatorRetry",
            Self::OperatorSkip => "OperatorSkip",
            Self::OperatorForce => "OperatorForce",
            Self::MoneyReturned => "RefundedAtGateway",
            Self::MoneyReturnedInPart => "PartlyRefundedAtGateway",
            Self::SecondCharge => "SecondCharge",
            Self::SecondChargeReturned => "SecondChargeReturned",
            Self::AmountMismatch => "AmountMismatch",
            Self::PaymentDisputed => "PaymentDisputed",
            Self::DisputeWon => "DisputeWon",
            Self::DisputeLost => "DisputeLost",
            Self::ParcelDelayed => "ParcelException",
            Self::ParcelLost => "ParcelLost",
            Self::ParcelDamaged => "ParcelDamaged",
            Self::ParcelReturned => "ParcelReturned",
            Self::HoldPlaced => "HoldPlaced",
            Self::HoldReleased => "HoldReleased",
            Self::StockArrived => "StockArrived",
            Self::StockTimedOut => "StockTimedOut",
        }
    }
}
