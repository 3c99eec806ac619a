//! The part of the reaction that is about money which is authorised with the order and captured once its goods are shipped.

use bus::Outcome;
use domain::{OrderEvent, OrderStatus};

use super::react::Reacting;
use super::table::EventKind;
use super::{Attention, OrderProcessingSaga, PaymentStep, SagaCommand, SagaState, ShipmentStep, timers};

impl Reacting<'_> {
    /// The money is authorised, which is enough to ship.
    pub(super) fn secure(&mut self) -> Outcome {
        self.next.payment = PaymentStep::Authorised;
        self.move_order(OrderEvent::PaymentStarted);
        self.move_order(OrderEvent::PaymentAuthorised);
        self.cancel(timers::PAYMENT);
        self.watch_authorisation();
        self.ship_or_wait()
    }

    /// An authorisation that ends is a person's case before it does.
    pub(super) fn watch_authorisation(&mut self) {
        if let Some(time) = self.event.authorised_for {
            self.set(timers::AUTHORISATION, time);
        }
    }

    /// Requests the capture, and again after a while.
    pub(super) fn request_capture(&mut self) {
        self.next.payment = PaymentStep::Capturing;
        self.commands.push(SagaCommand::CapturePayment);
        self.set(timers::CAPTURE, self.event.limits.capture);
    }

    /// The gateway may be away for long, and a request may get lost.
    pub(super) fn recapture(&mut self) -> Outcome {
        if self.next.payment != PaymentStep::Capturing {
            return Outcome::Ignored("no capture was asked for");
        }
        self.request_capture();
        Outcome::Moved
    }

    /// Authorised money was captured, by our request or by hand at the gateway.
    pub(super) fn collect(&mut self) -> Outcome {
        if self.next.payment == PaymentStep::None {
            return Outcome::Early;
        }
        if !self.next.is_authorised() {
            return Outcome::Ignored("known already");
        }
        self.next.payment = PaymentStep::Captured;
        self.cancel(timers::CAPTURE);
        self.cancel(timers::AUTHORISATION);
        self.count_as_paid();
        if self.next.state == SagaState::Authorised {
            self.next.state = SagaState::Paid;
        }
        if self.next.state == SagaState::Shipped && self.next.shipment == ShipmentStep::Delivered {
            return self.complete();
        }
        Outcome::Moved
    }

    /// An order that has not shipped is paid once its money is captured.
    pub(super) fn count_as_paid(&mut self) {
        if self.next.order == OrderStatus::Authorised && self.next.payment == PaymentStep::Captured {
            self.move_order(OrderEvent::PaymentProcessed);
        }
    }

    /// The authorisation is gone: it ended, or somebody gave it up. What has not left is not sent.
    pub(super) fn lapse(&mut self) -> Outcome {
        if self.next.payment == PaymentStep::None {
            return Outcome::Early;
        }
        if !self.next.is_authorised() {
            return Outcome::Ignored("it is paid, or nothing was authorised");
        }
        if matches!(self.next.state, SagaState::Authorised | SagaState::OnHold) {
            return self.undo();
        }
        self.next.payment = PaymentStep::Closed;
        self.ask_person();
        Outcome::Moved
    }

    /// Whether this event tells that the money is gone for which a parcel was sent.
    pub(super) fn loses_what_it_shipped_for(&self) -> bool {
        self.next.state == SagaState::NeedsAttention
            && self.event.kind == EventKind::PaymentDeclined
            && self.next.is_handed_over()
            && self.next.is_authorised()
    }

    /// The money is there: a person need not be asked about it any more. Whether nothing else is asked either.
    pub(super) fn capture_is_answered(&mut self) -> bool {
        self.cancel(timers::CAPTURE);
        self.cancel(timers::AUTHORISATION);
        let was_asked = self.next.attention.any(Attention::is_about_capture);
        self.next.attention.remove(Attention::CaptureFailed);
        self.next.attention.remove(Attention::AuthorisationEnding);
        was_asked && self.next.attention.is_empty()
    }

    /// The request for the capture has come to nothing; returns whether there was one.
    pub(super) fn stop_capturing(&mut self) -> bool {
        let was_asked = self.next.payment == PaymentStep::Capturing;
        if was_asked {
            self.next.payment = PaymentStep::Authorised;
        }
        was_asked
    }

    /// A person wants the capture tried now; of a parcel that has left even if the authorisation is said to be gone.
    pub(super) fn want_capture(&mut self) {
        let is_asked = self.next.attention.any(Attention::is_about_capture);
        let is_lost = self.next.payment == PaymentStep::Closed && self.next.is_handed_over();
        if is_asked && (self.next.is_authorised() || is_lost) {
            self.next.payment = PaymentStep::Capturing;
        }
    }

    /// A person takes it upon themselves to get the money of a parcel that has left.
    pub(super) fn waive_capture(&mut self) {
        let is_open = self.next.is_authorised() || self.next.payment == PaymentStep::Closed;
        let is_asked = self.next.attention.include(Attention::CaptureFailed);
        let is_forced = self.event.kind == EventKind::OperatorForce;
        if (is_asked || is_forced) && self.next.is_handed_over() && is_open {
            self.next.payment = PaymentStep::Waived;
            self.cancel(timers::CAPTURE);
            self.cancel(timers::AUTHORISATION);
        }
    }
}

impl OrderProcessingSaga {
    /// Whether its money is authorised and not captured.
    #[must_use]
    pub const fn is_authorised(&self) -> bool {
        matches!(self.payment, PaymentStep::Authorised | PaymentStep::Capturing)
    }

    /// The state of an order whose parcel is asked for.
    pub(super) const fn awaiting_parcel(&self) -> SagaState {
        if self.is_authorised() { SagaState::Authorised } else { SagaState::Paid }
    }
}
