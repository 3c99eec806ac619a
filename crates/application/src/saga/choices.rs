//! What a person can do about an order that waits for one. The saga reacts to the choice.

use super::attention::{Attention, Attentions};
use super::state::{OrderProcessingSaga, SagaState};

/// What each choice of a person would do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// Why a person is asked: all the reasons.
    pub why: String,
    /// What `retry` would do.
    pub retry: &'static str,
    /// What `skip` would do.
    pub skip: &'static str,
    /// What `force` would do.
    pub force: &'static str,
}

/// The texts about a stuck compensation step.
const UNDOING: &str = "an undoing does not get on: its tries are used up, or it took too long";
const UNDO_AGAIN: &str = "asks for the undoing again";
const UNDO_SKIPPED: &str = "takes the undoing as settled by hand and goes on with the next";
const UNDO_FORCED: &str =
    "cancels the order, taking every open undoing as settled by hand; stock that is set aside is given back";

impl OrderProcessingSaga {
    /// Whether the order stands in its place until a person decides.
    #[must_use]
    pub fn stands_still(&self) -> bool {
        self.state == SagaState::NeedsAttention && self.attention.any(Attention::stands_still)
    }

    /// The choices of a person, with the reasons; none unless the order waits for one.
    #[must_use]
    pub fn choices(&self) -> Option<Choices> {
        if self.state != SagaState::NeedsAttention {
            return None;
        }
        let why: Vec<&str> = self.attention.each().map(Attention::why).collect();
        let why = if why.is_empty() { UNDOING.to_owned() } else { why.join("; and: ") };
        if !self.stands_still() {
            return Some(Choices { why, retry: UNDO_AGAIN, skip: UNDO_SKIPPED, force: UNDO_FORCED });
        }
        let telling = telling(self.attention);
        Some(Choices { why, retry: telling.retry(), skip: telling.skip(), force: self.force_in_words() })
    }

    const fn force_in_words(&self) -> &'static str {
        use domain::OrderStatus::{
            Authorised, Cancelled, Delivered, Paid, PaymentProcessing, Pending, Shipped, Validated,
        };
        match self.order {
            Delivered => "closes the order as it is: delivered",
            Cancelled => "closes the order as it is: cancelled",
            Shipped => {
                "closes the order as delivered, taking the parcel as settled by hand; money is paid back apart, and no stock \
                 comes back but what is booked as received"
            }
            Pending | Validated | PaymentProcessing | Authorised | Paid => UNDO_FORCED,
        }
    }
}

/// The reason that says what `retry` and `skip` would do: one that only an event can end comes first, then one about the
/// parcel.
fn telling(all: Attentions) -> Attention {
    let first = |is_so: fn(Attention) -> bool| all.each().find(|attention| is_so(*attention));
    first(Attention::ends_by_itself)
        .or_else(|| first(Attention::is_about_parcel))
        .or_else(|| first(Attention::stands_still))
        .unwrap_or(Attention::AmountMismatch)
}
