//! The numbers a test reads to prove what happened. Counted where it happens, never derived from the settings.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::attempts::Fate;

/// Everything counted since the start.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Stats {
    /// The payment side.
    pub payments: PaymentStats,
    /// The shipping side.
    pub shipping: ShippingStats,
    /// Faults that were injected into calls.
    pub faults: FaultStats,
    /// Events on their way out.
    pub webhooks: WebhookStats,
}

/// What happened to charges.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PaymentStats {
    /// Charges made, authorised or captured.
    pub charges: u64,
    /// Captures, whether with the charge or later.
    pub captured: u64,
    /// Refunds, full or partial.
    pub refunded: u64,
    /// Authorised charges that were cancelled.
    pub voided: u64,
    /// Charges declined.
    pub declined: u64,
    /// Keys closed before any charge was made with them.
    pub tombstones: u64,
    /// Most captures under one key.
    pub charges_per_key_max: u32,
    /// Keys with more than one capture; anything but 0 is a bug of the sandbox.
    pub keys_charged_twice: u64,
    /// References with more than one capture; anything but 0 is a bug of the client.
    pub references_charged_twice: u64,
    /// Money moved, by currency code.
    pub money: BTreeMap<String, MoneyTally>,
}

/// Money moved in one currency, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MoneyTally {
    /// Taken from customers.
    pub captured_minor: i64,
    /// Given back.
    pub refunded_minor: i64,
}

/// What happened to shipments.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ShippingStats {
    /// Shipments booked.
    pub booked: u64,
    /// Bookings refused for their address.
    pub rejected: u64,
    /// Shipments cancelled before hand-over.
    pub cancelled: u64,
    /// Shipments handed over.
    pub handed_over: u64,
    /// Shipments delivered.
    pub delivered: u64,
    /// Keys closed before anything was booked with them.
    pub tombstones: u64,
    /// References booked while another shipment of theirs was not cancelled; anything but 0 is a bug of the client.
    pub references_shipped_twice: u64,
}

/// Faults injected into calls, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct FaultStats {
    /// Answered 429.
    pub throttled: u64,
    /// Answered 503.
    pub server_errors: u64,
    /// Kept waiting.
    pub hung: u64,
    /// Done but not answered.
    pub responses_lost: u64,
    /// Answered with another amount.
    pub other_amounts: u64,
}

impl FaultStats {
    pub(crate) fn count(&mut self, fate: Fate) {
        match fate {
            Fate::Answered => {}
            Fate::Throttled => self.throttled += 1,
            Fate::ServerError => self.server_errors += 1,
            Fate::Hung { .. } => self.hung += 1,
            Fate::ResponseLost => self.responses_lost += 1,
            Fate::OtherAmount => self.other_amounts += 1,
        }
    }
}

/// What happened to events on their way out; counts events unless it says posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct WebhookStats {
    /// Accepted by the receiver; a duplicate counts again.
    pub sent: u64,
    /// Posts that were accepted.
    pub posts: u64,
    /// Posts that failed and were tried again.
    pub retried_posts: u64,
    /// Given up on after the last attempt.
    pub failed: u64,
    /// Lost because too many were waiting.
    pub overflowed: u64,
    /// Waiting or being posted right now, without those still delayed.
    pub waiting: u64,
    /// Injected: sent a second time.
    pub duplicated: u64,
    /// Injected: held back.
    pub reordered: u64,
    /// Injected: never sent.
    pub dropped: u64,
}
