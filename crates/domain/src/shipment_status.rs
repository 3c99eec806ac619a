//! Where the parcel of an order is, and the legal moves from there.

use crate::{Move, closed_set::closed_set};

closed_set! {
    /// Where the parcel of an order is.
    pub enum ShipmentStatus {
        /// None was requested.
        NotRequested = 0, "not_requested";
        /// It was requested; there is no answer yet.
        Requested = 1, "requested";
        /// The answer was lost: the provider must be asked what happened.
        Unknown = 2, "unknown";
        /// It is booked; the carrier will collect it.
        Booked = 3, "booked";
        /// Handed over.
        Shipped = 4, "shipped";
        /// Arrived.
        Delivered = 5, "delivered";
        /// Cancelled before it was handed over.
        Cancelled = 6, "cancelled";
        /// The provider cannot do it.
        Failed = 7, "failed";
        /// Came back.
        Returned = 8, "returned";
    }
}

impl ShipmentStatus {
    /// What the table says about a move from here to `to`. If the parcel is already past `to`, it is a no-op: a late
    /// report changes nothing.
    ///
    /// A booking is accepted even after a cancellation: it exists at the carrier, and must be known so that it can be
    /// cancelled there too.
    pub fn may_become(self, to: Self) -> Move {
        Move::by_table(&self, &to, to.moves())
    }

    /// The table, by destination: from where it may be entered, and where it is already passed.
    pub(crate) const fn moves(self) -> (&'static [Self], &'static [Self]) {
        use ShipmentStatus::{
            Booked, Cancelled, Delivered, Failed, NotRequested, Requested, Returned, Shipped, Unknown,
        };
        match self {
            NotRequested => (&[], &[]),
            Requested => {
                (&[NotRequested], &[Unknown, Booked, Shipped, Delivered, Cancelled, Failed, Returned])
            }
            Unknown => (&[Requested], &[Booked, Shipped, Delivered, Cancelled, Failed, Returned]),
            Booked => (&[Requested, Unknown, Cancelled, Failed], &[Shipped, Delivered, Returned]),
            Shipped => (&[Requested, Unknown, Booked], &[Delivered, Returned]),
            Delivered => (&[Requested, Unknown, Booked, Shipped], &[Returned]),
            Cancelled => (&[NotRequested, Requested, Unknown, Booked], &[Failed]),
            Failed => (&[Requested, Unknown, Booked], &[Cancelled]),
            Returned => (&[Shipped, Delivered], &[]),
        }
    }
}
