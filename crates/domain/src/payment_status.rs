//! Where the money of an order is, and the legal moves from there.

use crate::{Move, closed_set::closed_set};

closed_set! {
    /// The status of a payment.
    pub enum PaymentStatus {
        /// None was requested.
        NotRequested = 0, "not_requested";
        /// It was requested; there is no answer yet.
        Requested = 1, "requested";
        /// The answer was lost: the gateway must be asked what happened.
        Unknown = 2, "unknown";
        /// Authorised, not captured yet.
        Authorised = 3, "authorised";
        /// Ours.
        Captured = 4, "captured";
        /// Refused.
        Declined = 5, "declined";
        /// Voided before it was captured.
        Voided = 6, "voided";
        /// A refund is requested and not confirmed.
        Refunding = 7, "refunding";
        /// All of it is refunded.
        Refunded = 8, "refunded";
        /// The order costs nothing, so no payment is requested.
        Waived = 9, "waived";
    }
}

impl PaymentStatus {
    /// What the table says about a move from here to `to`. If the payment is already past `to`, it is a no-op: a late
    /// report changes nothing.
    ///
    /// A capture is accepted from nearly everywhere. The gateway did it, and late money must be known so that it can
    /// be refunded.
    pub fn may_become(self, to: Self) -> Move {
        Move::by_table(&self, &to, to.moves())
    }

    /// The table, by destination: from where it may be entered, and where it is already passed.
    pub(crate) const fn moves(self) -> (&'static [Self], &'static [Self]) {
        use PaymentStatus::{
            Authorised, Captured, Declined, NotRequested, Refunded, Refunding, Requested, Unknown, Voided,
            Waived,
        };
        match self {
            NotRequested => (&[], &[]),
            Requested => (
                &[NotRequested],
                &[Unknown, Authorised, Captured, Declined, Voided, Refunding, Refunded, Waived],
            ),
            Unknown => (&[Requested], &[Authorised, Captured, Declined, Voided, Refunding, Refunded, Waived]),
            Authorised => (&[Requested, Unknown], &[Captured, Voided, Refunding, Refunded, Waived]),
            Captured => (&[Requested, Unknown, Authorised, Declined, Voided], &[Refunding, Refunded, Waived]),
            Declined => (&[Requested, Unknown, Authorised], &[Voided]),
            Voided => (&[NotRequested, Requested, Unknown, Authorised], &[Declined, Refunded, Waived]),
            Refunding => (&[Captured], &[Refunded]),
            Refunded => (&[Captured, Refunding], &[]),
            Waived => (&[NotRequested], &[]),
        }
    }
}
