//! What can be wished for many orders at once.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::acting::as_seen;
use super::sign_in::field;
use super::value::text;

/// What is wished for many orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Cancel,
    Retry,
    Skip,
    Force,
}

impl Wish {
    pub(super) const ALL: [Self; 4] = [Self::Cancel, Self::Retry, Self::Skip, Self::Force];

    /// Its name in a form, and the last step of its address.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::Skip => "skip",
            Self::Force => "force",
        }
    }

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Cancel => "Cancel",
            Self::Retry => "Retry",
            Self::Skip => "Skip",
            Self::Force => "Force",
        }
    }

    pub(super) fn of(fields: &[(String, String)]) -> Self {
        let asked = field(fields, "what");
        Self::ALL.into_iter().find(|wish| wish.name() == asked).unwrap_or(Self::Cancel)
    }

    /// Where the API takes it for this order.
    pub(super) fn target(self, order: &str) -> String {
        match self {
            Self::Cancel => format!("/orders/{order}/cancel"),
            Self::Retry | Self::Skip | Self::Force => format!("/sagas/{order}/{}", self.name()),
        }
    }

    /// Whether it can be done, as far as the listing tells.
    pub(super) fn fits(self, order: &Value) -> bool {
        match self {
            Self::Cancel => is_open(order),
            Self::Retry | Self::Skip | Self::Force => needs_person(order),
        }
    }

    pub(super) const fn does(self) -> &'static str {
        match self {
            Self::Cancel => {
                "Each order is cancelled by itself; one that has moved on meanwhile is left as it is."
            }
            Self::Retry => {
                "Asks again for whatever each order could not get. One that has moved on meanwhile is left as it is."
            }
            Self::Skip => {
                "Takes what each order waits for as settled by hand. One that has moved on meanwhile is left as it is."
            }
            Self::Force => {
                "Brings each order to its end, taking everything open as settled. One that has moved on meanwhile is left as it is."
            }
        }
    }

    /// A choice about a saga is for where the saga stood when it was shown. Cancelling is wished for wherever the order stands by
    /// now, as long as it still can be.
    pub(super) fn as_shown(self, body: Value, moved_at: Timestamp) -> Value {
        match self {
            Self::Cancel => body,
            Self::Retry | Self::Skip | Self::Force => as_seen(body, &moved_at.to_string()),
        }
    }

    pub(super) fn body(self, actor: &str, note: &str) -> Value {
        let mut body = json!({"actor": actor, "note": note});
        if self == Self::Cancel {
            body["reason"] = "operator".into();
        }
        body
    }
}

/// Whether an order can be cancelled, as far as its status tells: those that are over, or with the carrier, cannot.
pub(super) fn is_open(order: &Value) -> bool {
    !matches!(text(order, "status"), "shipped" | "delivered" | "cancelled")
}

/// Whether an order waits for a person to decide.
pub(super) fn needs_person(order: &Value) -> bool {
    text(order, "saga_state") == "needs_attention"
}
