//! What a person can do about an order that waits for one. The saga reacts to the choice.

use super::attention::Attention;
use super::state::{OrderProcessingSaga, SagaState};

/// What each choice of a person would do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choices {
    /// Why a person is asked.
    pub why: &'static str,
    /// What `retry` would do.
    pub retry: &'static str,
    /// What `skip` would do.
    pub skip: &'static str,
    /// What `force` would do.
    pub force: &'static str,
}

/// The text about a stuck compensation step.
const UNDOING: Choices = Choices {
    why: "an undoing does not get on: its tries are used up, or it took too long",
    retry: "asks for the undoing again",
    skip: "takes the undoing as settled by hand and goes on with the next",
    force: "cancels the order, taking every open undoing as settled by hand; stock that is set aside is given back",
};

impl OrderProcessingSaga {
    /// Whether the order is held in its place for a person's decision.
    #[must_use]
    pub fn stands_still(&self) -> bool {
        self.state == SagaState::NeedsAttention && self.attention.is_some_and(Attention::stands_still)
    }

    /// The choices of a person, with the reason; none unless the order waits for one.
    #[must_use]
    pub fn choices(&self) -> Option<Choices> {
        if self.state != SagaState::NeedsAttention {
            return None;
        }
        let Some(attention) = self.attention else { return Some(UNDOING) };
        if !attention.stands_still() {
            return Some(Choices { why: attention.why(), ..UNDOING });
        }
        Some(Choices {
            why: attention.why(),
            retry: attention.retry(),
            skip: attention.skip(),
            force: self.force_in_words(),
        })
    }

    const fn force_in_words(&self) -> &'static str {
        use domain::OrderStatus::{
            Cancelled, Delivered, Paid, PaymentProcessing, Pending, Shipped, Validated,
        };
        match self.order {
            Delivered => "closes the order as it is: delivered",
            Cancelled => "closes the order as it is: cancelled",
            Shipped => {
                "closes the order as delivered, taking the parcel as settled by hand; money is paid back apart, and no stock \
                 comes back but what is booked as received"
            }
            Pending | Validated | PaymentProcessing | Paid => UNDOING.force,
        }
    }
}
