//! The part of the reaction that has an order wait for a person and lets it go on: events about money or parcels that
//! only a person can judge, and the person's choice. Meanwhile facts are recorded and nothing new is requested.

use bus::Outcome;
use domain::{CancelReason, OrderStatus};

use super::react::Reacting;
use super::table::EventKind;
use super::{
    Attention, Attentions, OrderProcessingSaga, PaymentStep, SagaCommand, SagaState, ShipmentStep, timers,
};

impl EventKind {
    /// What a person is asked after this event; none if nobody is.
    const fn attention(self) -> Option<Attention> {
        Some(match self {
            Self::MoneyReturned => Attention::RefundedUnderWay,
            Self::MoneyReturnedInPart => Attention::PartlyRefunded,
            Self::SecondCharge => Attention::SecondCharge,
            Self::AmountMismatch => Attention::AmountMismatch,
            Self::PaymentDisputed => Attention::Disputed,
            Self::DisputeLost => Attention::DisputeLost,
            Self::ParcelDelayed => Attention::ParcelException,
            Self::ParcelLost => Attention::ParcelLost,
            Self::ParcelDamaged => Attention::ParcelDamaged,
            Self::ParcelReturned => Attention::ParcelReturned,
            Self::PaymentVoided => Attention::GatewayContradicts,
            Self::ParcelDelivered => Attention::DeliveredThoughCancelled,
            Self::CaptureFailed | Self::PaymentDeclined => Attention::CaptureFailed,
            Self::AuthorisationEnding => Attention::AuthorisationEnding,
            Self::OrderValidated
            | Self::OrderRejected
            | Self::InventoryReserved
            | Self::InventoryShort
            | Self::PaymentStarted
            | Self::PaymentAuthorised
            | Self::PaymentCaptured
            | Self::CaptureTimedOut
            | Self::ShippingStarted
            | Self::ShipmentBooked
            | Self::ShipmentRefused
            | Self::CancelRequested
            | Self::OrderTimedOut
            | Self::PaymentTimedOut
            | Self::ShippingTimedOut
            | Self::DeliveryPollDue
            | Self::UndoTimedOut
            | Self::ShipmentCancelled
            | Self::ShipmentKept
            | Self::PaymentRefunded
            | Self::UndoFailed
            | Self::OperatorRetry
            | Self::OperatorSkip
            | Self::OperatorForce
            | Self::DisputeWon
            | Self::SecondChargeReturned
            | Self::HoldPlaced
            | Self::HoldReleased
            | Self::StockArrived
            | Self::StockTimedOut => return None,
        })
    }
}

impl Reacting<'_> {
    /// Has the order wait for a person, beside what it waits for already. Its timers stop; answers to earlier requests are
    /// still recorded.
    pub(super) fn ask_person(&mut self) -> Outcome {
        let Some(attention) = self.event.kind.attention() else {
            return Outcome::Ignored("nobody need be asked");
        };
        if self.next.state == SagaState::NeedsAttention && self.next.attention.include(attention) {
            return Outcome::Ignored("a person is asked already");
        }
        if self.next.state == SagaState::OnHold && self.next.payment == PaymentStep::None {
            return Outcome::Ignored("nothing was asked of the gateway");
        }
        if attention.is_about_parcel() && !self.next.is_handed_over() {
            return Outcome::Ignored("the parcel is not on its way for this order");
        }
        if attention == Attention::PartlyRefunded && self.next.is_handed_over() {
            return Outcome::Ignored("the parcel has left");
        }
        if self.event.kind == EventKind::CaptureFailed && !self.stop_capturing() {
            return Outcome::Ignored("no capture was asked for");
        }
        if attention == Attention::AuthorisationEnding && !self.next.is_authorised() {
            return Outcome::Ignored("nothing is authorised");
        }
        if attention == Attention::DisputeLost {
            self.lose_money();
        }
        self.next.state = SagaState::NeedsAttention;
        self.next.attention.add(attention);
        self.stop_timers();
        Outcome::Moved
    }

    /// An authorisation ends whether or not a person thinks about its order.
    fn stop_timers(&mut self) {
        for name in timers::ALL.into_iter().filter(|name| *name != timers::AUTHORISATION) {
            self.cancel(name);
        }
    }

    /// The bank has taken the money: none is left to refund, and a parcel that has not left is not sent.
    fn lose_money(&mut self) {
        self.next.attention.remove(Attention::Disputed);
        if self.next.payment == PaymentStep::Captured && !self.next.is_handed_over() {
            self.next.payment = PaymentStep::Refunded;
        }
    }

    /// One of the questions is answered. The order goes on by itself if that was the last.
    pub(super) fn answered(&mut self) -> Outcome {
        if self.event.kind == EventKind::PaymentCaptured {
            return self.note();
        }
        let won = self.event.kind == EventKind::DisputeWon;
        let over = if won { Attention::Disputed } else { Attention::SecondCharge };
        if !self.next.attention.include(over) {
            return Outcome::Ignored("it does not wait for that");
        }
        self.next.attention.remove(over);
        if self.next.attention.is_empty() { self.go_on() } else { Outcome::Moved }
    }

    /// All the money was refunded elsewhere before the parcel left: the order is cancelled without another refund.
    pub(super) fn money_is_back(&mut self) -> Outcome {
        if self.next.state == SagaState::OnHold && self.next.payment == PaymentStep::None {
            return Outcome::Ignored("nothing was asked of the gateway");
        }
        self.next.payment = PaymentStep::Refunded;
        self.next.reason = Some(CancelReason::RefundedAtGateway);
        self.cancel_on_undo();
        self.undo_more()
    }

    /// The parcel could not be stopped, and all the money was refunded elsewhere. A person decides.
    pub(super) fn forward_unpaid(&mut self) -> Outcome {
        self.track();
        self.next.payment = PaymentStep::Captured;
        self.next.state = SagaState::NeedsAttention;
        self.next.attention.add(Attention::RefundedUnderWay);
        self.timers.clear();
        for name in timers::ALL {
            self.cancel(name);
        }
        Outcome::Moved
    }

    /// The parcel arrived while the order waited for a person. That answers whether it will, and no other question.
    pub(super) fn arrive(&mut self) -> Outcome {
        if self.next.attention.include(Attention::DeliveredThoughCancelled) {
            return Outcome::Ignored("a person is asked already");
        }
        let is_ours = matches!(self.next.shipment, ShipmentStep::Booked | ShipmentStep::Delivered);
        if !self.next.stands_still() || !is_ours || self.next.order == OrderStatus::Cancelled {
            return Outcome::Early;
        }
        if self.next.shipment == ShipmentStep::Delivered {
            return Outcome::Ignored("known already");
        }
        self.next.shipment = ShipmentStep::Delivered;
        self.next.attention.remove(Attention::ParcelException);
        self.next.attention.remove(Attention::ParcelLost);
        let is_answered = self.next.attention.is_empty() && self.next.order == OrderStatus::Shipped;
        if is_answered { self.go_on() } else { Outcome::Moved }
    }

    /// A person chose to retry. Where only the gateway can end it, going on would count as an answer that nobody gave.
    pub(super) fn again(&mut self) -> Outcome {
        if !self.next.stands_still() {
            return self.undo_more();
        }
        if self.next.attention.any(Attention::ends_by_itself) {
            return self.refuse();
        }
        let asks_carrier = self.next.attention.any(Attention::is_about_parcel);
        self.want_capture();
        let outcome = self.go_on();
        if asks_carrier && self.next.state == SagaState::Shipped {
            self.commands.push(SagaCommand::TrackShipment);
        }
        outcome
    }

    /// Goes on from where the order stood, with what has become known since.
    pub(super) fn go_on(&mut self) -> Outcome {
        self.next.attention = Attentions::default();
        match self.next.stood() {
            SagaState::Completed => self.end(SagaState::Completed),
            SagaState::Failed => self.end(SagaState::Failed),
            SagaState::Shipped => self.wait_for_delivery(),
            SagaState::Authorised | SagaState::Paid => self.go_on_shipping(),
            SagaState::InventoryReserved => self.go_on_paying(SagaState::InventoryReserved),
            SagaState::PaymentProcessing => self.go_on_paying(SagaState::PaymentProcessing),
            SagaState::Created => {
                self.next.state = SagaState::Created;
                self.set(timers::ORDER, self.event.limits.order);
                Outcome::Moved
            }
            SagaState::Compensating
            | SagaState::NeedsAttention
            | SagaState::OnHold
            | SagaState::AwaitingStock => self.undo_more(),
        }
    }

    fn end(&mut self, state: SagaState) -> Outcome {
        self.next.state = state;
        self.cancel(timers::UNDO);
        Outcome::Moved
    }

    /// Waits for the parcel, for the money of one that has left, or for both.
    fn wait_for_delivery(&mut self) -> Outcome {
        self.next.state = SagaState::Shipped;
        if self.next.is_authorised() {
            self.request_capture();
        }
        if self.next.shipment == ShipmentStep::Delivered {
            self.complete();
        } else {
            self.set(timers::DELIVERY_POLL, self.event.limits.delivery_poll);
        }
        Outcome::Moved
    }

    /// Requests the parcel, unless it is on hold; again under its key if it was requested before, even if the first answer
    /// came meanwhile.
    fn go_on_shipping(&mut self) -> Outcome {
        if self.next.payment == PaymentStep::Refunded {
            return self.undo_for(CancelReason::RefundedAtGateway);
        }
        if self.next.payment == PaymentStep::Closed {
            return self.undo_for(CancelReason::PaymentDeclined);
        }
        if self.next.shipment == ShipmentStep::Cancelled {
            return self.undo_for(CancelReason::ShippingFailed);
        }
        self.count_as_paid();
        if self.next.payment == PaymentStep::Capturing {
            self.request_capture();
        }
        if self.next.shipment == ShipmentStep::None {
            return self.ship_unless_on_hold();
        }
        self.next.state = self.next.awaiting_parcel();
        self.next.shipment = ShipmentStep::Requested;
        self.commands.push(SagaCommand::RequestShippingAgain);
        self.set(timers::ORDER, self.event.limits.order);
        Outcome::Moved
    }

    /// The payment request goes on meanwhile, so nothing is requested again.
    fn go_on_paying(&mut self, state: SagaState) -> Outcome {
        match self.next.payment {
            PaymentStep::Captured | PaymentStep::Authorised | PaymentStep::Capturing => {
                let is_captured = self.next.payment == PaymentStep::Captured;
                let outcome = if is_captured { self.ship() } else { self.secure() };
                if self.next.state.awaits_shipping() {
                    self.set(timers::ORDER, self.event.limits.order);
                }
                outcome
            }
            PaymentStep::Closed => self.undo_for(CancelReason::PaymentDeclined),
            PaymentStep::Refunded => self.undo_for(CancelReason::RefundedAtGateway),
            PaymentStep::None | PaymentStep::Requested | PaymentStep::Waived => {
                self.next.state = state;
                self.set(timers::ORDER, self.event.limits.order);
                self.set(timers::PAYMENT, self.event.limits.payment);
                Outcome::Moved
            }
        }
    }

    fn undo_for(&mut self, reason: CancelReason) -> Outcome {
        self.next.reason = Some(reason);
        self.cancel_on_undo();
        self.undo_more()
    }

    /// A cancellation of an order that waits for a person: it is compensated, unless its parcel has left.
    pub(super) fn call_off(&mut self) -> Outcome {
        if !self.next.stands_still() || self.next.stood() == SagaState::Compensating {
            return Outcome::Ignored("it is being undone, or has an undoing that waits for a person");
        }
        if self.next.is_handed_over() || self.is_disputed() {
            return self.refuse();
        }
        if self.next.order == OrderStatus::Cancelled {
            return Outcome::Ignored("cancelled already");
        }
        self.undo()
    }

    /// Whether the customer's bank has yet to decide about the money, which must not be refunded meanwhile.
    pub(super) fn is_disputed(&self) -> bool {
        self.next.attention.include(Attention::Disputed)
    }

    /// A person closes an order that waits for one. A parcel that has left is never cancelled: the order ends as delivered, with a
    /// parcel settled by hand.
    pub(super) fn close_standing(&mut self) -> Outcome {
        self.waive_capture();
        self.next.attention = Attentions::default();
        match self.next.order {
            OrderStatus::Delivered => self.end(SagaState::Completed),
            OrderStatus::Shipped => {
                self.complete();
                self.next.shipment = ShipmentStep::Waived;
                Outcome::Moved
            }
            OrderStatus::Pending
            | OrderStatus::Validated
            | OrderStatus::PaymentProcessing
            | OrderStatus::Authorised
            | OrderStatus::Paid
            | OrderStatus::Cancelled => {
                self.next.reason = self.next.reason.or(Some(CancelReason::Operator));
                self.close()
            }
        }
    }
}

impl OrderProcessingSaga {
    /// Whether the parcel has left and cannot be stopped any more.
    pub(super) const fn is_handed_over(&self) -> bool {
        matches!(self.order, OrderStatus::Shipped | OrderStatus::Delivered)
    }

    /// Whether the refund came too late to stop the parcel.
    pub(super) fn is_refunded_under_way(&self) -> bool {
        let known = self.attention.include(Attention::RefundedUnderWay);
        self.state == SagaState::NeedsAttention && (known || (self.is_handed_over() && self.reason.is_none()))
    }

    /// Where an order stood before it waited for a person: its headline status tells, and whether it was being compensated.
    fn stood(&self) -> SagaState {
        let being_undone = self.reason.is_some();
        match self.order {
            OrderStatus::Delivered if self.is_authorised() => SagaState::Shipped,
            OrderStatus::Delivered => SagaState::Completed,
            OrderStatus::Cancelled if self.pending_undo().is_none() => SagaState::Failed,
            OrderStatus::Cancelled => SagaState::Compensating,
            OrderStatus::Shipped => SagaState::Shipped,
            OrderStatus::Authorised | OrderStatus::Paid if being_undone => SagaState::Compensating,
            OrderStatus::Authorised => SagaState::Authorised,
            OrderStatus::Paid => SagaState::Paid,
            OrderStatus::Pending | OrderStatus::Validated | OrderStatus::PaymentProcessing
                if being_undone =>
            {
                SagaState::Compensating
            }
            OrderStatus::PaymentProcessing => SagaState::PaymentProcessing,
            OrderStatus::Validated if self.payment != PaymentStep::None => SagaState::InventoryReserved,
            OrderStatus::Pending | OrderStatus::Validated => SagaState::Created,
        }
    }

    /// Whether this order still waits for the gateway: while it is being paid, also while it waits for a person.
    #[must_use]
    pub fn awaits_payment(&self) -> bool {
        self.state.awaits_payment()
            || (self.stands_still()
                && self.payment == PaymentStep::Requested
                && matches!(self.stood(), SagaState::InventoryReserved | SagaState::PaymentProcessing))
    }
}
