//! Compensation steps: which is due, and how its end is recorded.

use super::{OrderProcessingSaga, PaymentStep, ShipmentStep};

/// A compensation step that calls a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Undo {
    /// Call the parcel back.
    CancelShipment,
    /// Refund the money, or make sure that none is taken.
    RefundPayment,
}

impl Undo {
    /// The name under which it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CancelShipment => "cancel_shipment",
            Self::RefundPayment => "refund_payment",
        }
    }
}

impl OrderProcessingSaga {
    /// The due compensation step: it reverses the latest external step that is not reversed.
    #[must_use]
    pub const fn pending_undo(&self) -> Option<Undo> {
        match (self.shipment, self.payment) {
            (ShipmentStep::Requested | ShipmentStep::Booked | ShipmentStep::Delivered, _) => {
                Some(Undo::CancelShipment)
            }
            (
                _,
                PaymentStep::Requested
                | PaymentStep::Authorised
                | PaymentStep::Capturing
                | PaymentStep::Captured,
            ) => Some(Undo::RefundPayment),
            _ => None,
        }
    }

    /// Records that the parcel is settled; returns whether that was new.
    pub(super) const fn settle_shipment(&mut self, to: ShipmentStep) -> bool {
        let open = matches!(self.shipment, ShipmentStep::Requested | ShipmentStep::Booked);
        if open {
            self.shipment = to;
        }
        open
    }

    /// Records that the money is settled; returns whether that was new.
    pub(super) const fn settle_payment(&mut self, to: PaymentStep) -> bool {
        let open = matches!(
            self.payment,
            PaymentStep::Requested | PaymentStep::Authorised | PaymentStep::Capturing | PaymentStep::Captured
        );
        if open {
            self.payment = to;
        }
        open
    }
}
