//! Which faults the sandbox injects, as told by its owner. This room only describes them; whether one strikes a
//! given call is decided by the dice and the attempts.

use serde::{Deserialize, Serialize};

/// Every fault setting of a sandbox. As JSON, an absent field means "no such fault".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultSettings {
    /// Charging and capturing.
    pub payments: Faults,
    /// Refunding, and cancelling a charge.
    pub refunds: Faults,
    /// Booking a shipment.
    pub shipping: Faults,
    /// Cancelling a shipment.
    pub shipping_cancels: Faults,
    /// Webhooks on their way out.
    pub webhooks: WebhookFaults,
    /// Transient faults in a row per key and operation, at most, so that retries succeed in the end.
    pub fault_repeat_max: u32,
    /// References whose refund never works, for as long as they are listed here.
    pub refund_fails_references: Vec<String>,
}

impl Default for FaultSettings {
    fn default() -> Self {
        Self {
            payments: Faults::default(),
            refunds: Faults::default(),
            shipping: Faults::default(),
            shipping_cancels: Faults::default(),
            webhooks: WebhookFaults::default(),
            fault_repeat_max: 2,
            refund_fails_references: Vec::new(),
        }
    }
}

/// The faults of one group of calls. Permille are out of a thousand calls; the default injects nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// A definite no, decided by the key alone: card declined, address rejected, refund refused.
    pub decline_permille: u32,
    /// Answered 503; nothing was done.
    pub server_error_permille: u32,
    /// Answered 429 with `Retry-After`; nothing was done.
    pub throttle_permille: u32,
    /// Answers only after `hang_ms`; by seed it was then done or was not.
    pub hang_permille: u32,
    /// It is done, but the connection is closed instead of answering.
    pub lose_response_permille: u32,
    /// It is done and answered, but the answer names another amount than was asked for. Looking up has this fault as well.
    pub other_amount_permille: u32,
    /// Time every call takes, in milliseconds, least and most.
    pub latency_ms: (u64, u64),
    /// How long a hung call hangs, in milliseconds.
    pub hang_ms: u64,
    /// Calls let through in a second, questions included, after a second's worth at once; the others are answered 429 and
    /// nothing is done. 0 lets all through.
    pub rate_per_second: u32,
    /// Seconds that such an answer names in `Retry-After`; 0 to name none.
    pub rate_retry_after_s: u32,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            decline_permille: 0,
            server_error_permille: 0,
            throttle_permille: 0,
            hang_permille: 0,
            lose_response_permille: 0,
            other_amount_permille: 0,
            latency_ms: (0, 0),
            hang_ms: 30_000,
            rate_per_second: 0,
            rate_retry_after_s: 1,
        }
    }
}

impl Faults {
    pub(crate) fn transient_permille(&self) -> u32 {
        self.server_error_permille
            .saturating_add(self.throttle_permille)
            .saturating_add(self.hang_permille)
            .saturating_add(self.lose_response_permille)
            .saturating_add(self.other_amount_permille)
    }
}

/// What may happen to an event on its way out. The default sends each once, at once, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookFaults {
    /// Sent twice, the second time a little later.
    pub duplicate_permille: u32,
    /// Held back so that later events overtake it.
    pub reorder_permille: u32,
    /// Never sent.
    pub drop_permille: u32,
    /// Delay of every event, in milliseconds, least and most.
    pub delay_ms: (u64, u64),
}

/// Whether a provider answers at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// It works, apart from the injected faults.
    #[default]
    Up,
    /// Every call is answered 503 and nothing is done.
    Down,
    /// Calls wait; those still waiting when it is up again are then served.
    Hang,
}

/// A change of availability; what is not named stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pause {
    /// The payment side.
    pub payments: Option<Availability>,
    /// The shipping side.
    pub shipping: Option<Availability>,
}

/// The calls that a fault can strike, each with dice of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Charge,
    Capture,
    Refund,
    CancelCharge,
    Book,
    CancelShipment,
    LookUpCharge,
}

/// Operations that have their faults, and their rate, in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Payments,
    Refunds,
    Shipping,
    ShippingCancels,
}

impl Operation {
    pub(crate) const fn group(self) -> Group {
        match self {
            Self::Charge | Self::Capture | Self::LookUpCharge => Group::Payments,
            Self::Refund | Self::CancelCharge => Group::Refunds,
            Self::Book => Group::Shipping,
            Self::CancelShipment => Group::ShippingCancels,
        }
    }
}

impl FaultSettings {
    pub(crate) fn of(&self, operation: Operation) -> &Faults {
        match operation.group() {
            Group::Payments => &self.payments,
            Group::Refunds => &self.refunds,
            Group::Shipping => &self.shipping,
            Group::ShippingCancels => &self.shipping_cancels,
        }
    }
}

/// A fault asked for by the call itself, by a magic payment token or address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forced {
    Nothing,
    Hang,
    LoseResponse,
}

/// The provider's definite opinion of a call, before any transport trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accept,
    Refuse,
}
