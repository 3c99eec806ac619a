//! The part of the reaction that keeps an order from its payment or its parcel while it has holds. Which holds there are is stored
//! beside the saga; the saga knows before which steps.

use bus::Outcome;
use domain::{HoldPoint, HoldPoints, OrderStatus};

use super::react::Reacting;
use super::{PaymentStep, SagaCommand, SagaState, ShipmentStep, timers};

impl Reacting<'_> {
    /// The order's own limit stops: nobody is late with a step that nobody may take.
    pub(super) fn put_on_hold(&mut self) -> Outcome {
        self.next.state = SagaState::OnHold;
        self.cancel(timers::ORDER);
        Outcome::Moved
    }

    pub(super) fn place_hold(&mut self) -> Outcome {
        let is_in_time = match self.event.hold {
            Some(HoldPoint::Payment) => self.next.payment == PaymentStep::None,
            Some(HoldPoint::Shipping) => self.next.shipment == ShipmentStep::None,
            None => false,
        };
        match self.event.hold.filter(|_| is_in_time && self.next.reason.is_none()) {
            Some(point) => self.next.holds.add(point),
            None => return self.refuse(),
        }
        Outcome::Moved
    }

    pub(super) const fn too_late_to_hold(&self) -> &'static str {
        match (self.next.order, self.next.shipment) {
            (OrderStatus::Cancelled, _) => "the order is cancelled",
            _ if self.next.reason.is_some() => "the order is being cancelled",
            (OrderStatus::Delivered, _) => "the order is delivered",
            (_, ShipmentStep::None) => {
                "its payment was asked for; place the hold before its shipping, or cancel the order"
            }
            (OrderStatus::Shipped, _) => "its parcel is on its way; have the carrier turn back",
            (_, _) => "its carrier was asked for the parcel; cancel the order",
        }
    }

    /// Nothing is left to wait for.
    pub(super) fn end_holds(&mut self) {
        if !self.next.holds.is_empty() {
            self.next.holds = HoldPoints::default();
            self.commands.push(SagaCommand::EndHolds);
        }
    }

    pub(super) fn lift_hold(&mut self) -> Outcome {
        let Some(point) = self.event.hold.filter(|point| self.next.holds.include(*point)) else {
            return Outcome::Ignored("it has no hold before this step");
        };
        self.next.holds.remove(point);
        Outcome::Moved
    }

    /// A release of the last hold before the next step. The order's own limit starts anew.
    pub(super) fn go_on_unless_on_hold(&mut self) -> Outcome {
        let lifted = self.lift_hold();
        match self.next.payment {
            _ if lifted != Outcome::Moved => lifted,
            PaymentStep::None if !self.next.holds.include(HoldPoint::Payment) => {
                self.set(timers::ORDER, self.event.limits.order);
                self.request_payment()
            }
            PaymentStep::Captured | PaymentStep::Authorised | PaymentStep::Capturing => {
                self.ship_unless_on_hold()
            }
            PaymentStep::None
            | PaymentStep::Requested
            | PaymentStep::Closed
            | PaymentStep::Refunded
            | PaymentStep::Waived => lifted,
        }
    }

    /// Goes on to the parcel of an order whose money is there or authorised, and whose limit was stopped.
    pub(super) fn ship_unless_on_hold(&mut self) -> Outcome {
        if self.next.holds.include(HoldPoint::Shipping) {
            return self.put_on_hold();
        }
        self.set(timers::ORDER, self.event.limits.order);
        self.request_shipping()
    }
}
