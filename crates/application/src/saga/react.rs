//! The saga's reaction: a total pure function over state and event. No clock, no store.

use std::time::Duration;

use bus::{CorrelationId, Outcome, Reaction, Saga, TimerChange};
use domain::{Capture, HoldPoint, OrderEvent, OrderStatus};
use jiff::Timestamp;

use super::migrations::{MIGRATIONS, Migration, migrated};
use super::table::{EventKind, Rule, rule};
use super::{
    Attentions, OrderProcessingSaga, PaymentStep, SagaEvent, SagaState, ShipmentStep, StockStep, Undo, timers,
};
use crate::messages::OrderTimeoutEvent;

/// The saga's commands. The requests become messages; the rest is written in the saga's own transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SagaCommand {
    /// Reserve the order's stock.
    RequestReservation,
    /// Charge the customer, or authorise the charge.
    RequestPayment,
    /// Take the authorised money.
    CapturePayment,
    /// Have it shipped.
    RequestShipping,
    /// Have it shipped, under the key of the earlier request.
    RequestShippingAgain,
    /// Ask where the parcel is.
    TrackShipment,
    /// Have the carrier cancel.
    CancelShipment,
    /// Have the gateway void or refund.
    RefundPayment,
    /// The reserved stock was shipped.
    ShipStock,
    /// The reserved stock is released.
    ReleaseStock,
    /// The holds that are left end with the order.
    EndHolds,
    /// The order's headline status changes.
    MoveOrder {
        /// From here.
        from: OrderStatus,
        /// To here; a legal move.
        to: OrderStatus,
        /// By this event.
        event: OrderEvent,
    },
}

impl Saga for OrderProcessingSaga {
    type Event = SagaEvent;
    type Command = SagaCommand;

    const TIMER_KIND: &'static str = OrderTimeoutEvent::KIND;

    fn correlation_id(&self) -> CorrelationId {
        CorrelationId(self.order_id.0)
    }

    fn react(&self, event: &SagaEvent, _now: Timestamp) -> Reaction<Self> {
        self.react_after(MIGRATIONS, event)
    }

    fn next_generation(&mut self) -> u32 {
        self.timer_generation = self.timer_generation.wrapping_add(1);
        self.timer_generation
    }
}

impl OrderProcessingSaga {
    /// The reaction of the instance after these migrations.
    pub(super) fn react_after(&self, migrations: &[Migration], event: &SagaEvent) -> Reaction<Self> {
        let saga = migrated(self, migrations);
        let rule = rule(saga.state, event.kind);
        Reacting::new(saga, event).apply(rule)
    }
}

/// A reaction under construction.
pub(super) struct Reacting<'a> {
    pub(super) event: &'a SagaEvent,
    pub(super) next: OrderProcessingSaga,
    pub(super) commands: Vec<SagaCommand>,
    pub(super) timers: Vec<TimerChange>,
}

impl<'a> Reacting<'a> {
    fn new(saga: OrderProcessingSaga, event: &'a SagaEvent) -> Self {
        Self { event, next: saga, commands: Vec::new(), timers: Vec::new() }
    }

    fn apply(mut self, rule: Rule) -> Reaction<OrderProcessingSaga> {
        let outcome = match rule {
            Rule::Reserve => self.reserve(),
            Rule::Lack => self.lack(),
            Rule::ReserveAgain => self.reserve_again(),
            Rule::Pay => self.pay(),
            Rule::Await => self.await_payment(),
            Rule::Clock => self.clock_shipping(),
            Rule::Secure => self.secure(),
            Rule::Ship => self.ship(),
            Rule::Collect | Rule::Settle => self.collect(),
            Rule::Lapse | Rule::Owe => self.lapse(),
            Rule::Recapture => self.recapture(),
            Rule::Track => self.track(),
            Rule::Poll => self.poll(),
            Rule::Complete => self.complete(),
            Rule::Undo => self.undo(),
            Rule::Note => self.note(),
            Rule::Reopen => self.reopen(),
            Rule::Next => self.next_undo(),
            Rule::Forward => self.forward(),
            Rule::Urge => self.urge(),
            Rule::Park => self.park(),
            Rule::Ask => self.ask_person(),
            Rule::Answered => self.answered(),
            Rule::Unpaid => self.money_is_back(),
            Rule::Arrive => self.arrive(),
            Rule::CallOff => self.call_off(),
            Rule::Again => self.again(),
            Rule::Waive => self.waive(),
            Rule::Close => self.close(),
            Rule::PlaceHold => self.place_hold(),
            Rule::LiftHold => self.lift_hold(),
            Rule::GoOn => self.go_on_unless_on_hold(),
            Rule::Early => Outcome::Early,
            Rule::EarlyIfUnasked if self.next.payment == PaymentStep::None => Outcome::Early,
            Rule::EarlyIfUnasked | Rule::Ignore => Outcome::Ignored("changes nothing in this state"),
            Rule::Refuse => self.refuse(),
        };
        Reaction { next: self.next, commands: self.commands, timers: self.timers, outcome }
    }

    fn reserve(&mut self) -> Outcome {
        if self.next.order != OrderStatus::Pending {
            return Outcome::Ignored("validated already");
        }
        self.move_order(OrderEvent::OrderValidated);
        self.commands.push(SagaCommand::RequestReservation);
        Outcome::Moved
    }

    /// Until the gateway lets a call through only the order's own limit runs: the gateway may be away, or many calls
    /// may be ahead of this one.
    fn pay(&mut self) -> Outcome {
        self.next.stock = StockStep::Reserved;
        if self.next.holds.include(HoldPoint::Payment) { self.put_on_hold() } else { self.request_payment() }
    }

    pub(super) fn request_payment(&mut self) -> Outcome {
        self.next.state = SagaState::InventoryReserved;
        self.next.payment = PaymentStep::Requested;
        self.commands.push(SagaCommand::RequestPayment);
        Outcome::Moved
    }

    fn await_payment(&mut self) -> Outcome {
        self.next.state = SagaState::PaymentProcessing;
        self.move_order(OrderEvent::PaymentStarted);
        self.set(timers::PAYMENT, self.event.limits.payment);
        Outcome::Moved
    }

    pub(super) fn ship(&mut self) -> Outcome {
        self.next.payment = PaymentStep::Captured;
        self.move_order(OrderEvent::PaymentStarted);
        self.move_order(OrderEvent::PaymentProcessed);
        self.cancel(timers::PAYMENT);
        self.ship_or_wait()
    }

    pub(super) fn ship_or_wait(&mut self) -> Outcome {
        if self.next.holds.include(HoldPoint::Shipping) {
            self.put_on_hold()
        } else {
            self.request_shipping()
        }
    }

    pub(super) fn request_shipping(&mut self) -> Outcome {
        self.next.state = self.next.awaiting_parcel();
        self.next.shipment = ShipmentStep::Requested;
        self.commands.push(SagaCommand::RequestShipping);
        Outcome::Moved
    }

    fn clock_shipping(&mut self) -> Outcome {
        self.set(timers::SHIPPING, self.event.limits.shipping);
        Outcome::Moved
    }

    pub(super) fn track(&mut self) -> Outcome {
        self.next.state = SagaState::Shipped;
        self.next.shipment = ShipmentStep::Booked;
        self.next.stock = StockStep::Shipped;
        self.next.reason = None;
        self.move_order(OrderEvent::OrderShipped);
        self.commands.push(SagaCommand::ShipStock);
        self.cancel(timers::ORDER);
        self.cancel(timers::SHIPPING);
        self.set(timers::DELIVERY_POLL, self.event.limits.delivery_poll);
        if self.next.is_authorised() {
            self.request_capture();
        }
        Outcome::Moved
    }

    fn poll(&mut self) -> Outcome {
        self.commands.push(SagaCommand::TrackShipment);
        self.set(timers::DELIVERY_POLL, self.event.limits.delivery_poll);
        Outcome::Moved
    }

    /// An order whose money is not captured yet is delivered, and not over.
    pub(super) fn complete(&mut self) -> Outcome {
        let is_owed = self.next.is_authorised();
        if is_owed && self.next.order == OrderStatus::Delivered {
            return Outcome::Ignored("known already");
        }
        self.next.state = if is_owed { SagaState::Shipped } else { SagaState::Completed };
        self.next.shipment = ShipmentStep::Delivered;
        self.move_order(OrderEvent::OrderDelivered);
        self.cancel(timers::DELIVERY_POLL);
        Outcome::Moved
    }

    /// Starts the compensation. A final answer in the event itself is recorded first, so that it is not undone in
    /// vain.
    pub(super) fn undo(&mut self) -> Outcome {
        if self.event.kind == EventKind::PaymentDeclined {
            self.next.payment = PaymentStep::Closed;
        }
        if self.event.kind == EventKind::ShipmentRefused {
            self.next.shipment = ShipmentStep::Cancelled;
        }
        self.next.reason = Some(self.event.cancel_reason());
        self.cancel_on_undo();
        self.undo_more()
    }

    /// Requests the next compensation step, in reverse order; if none is left, the order is cancelled.
    pub(super) fn undo_more(&mut self) -> Outcome {
        self.next.state = SagaState::Compensating;
        self.next.attention = Attentions::default();
        self.end_holds();
        match self.next.pending_undo() {
            Some(undo) => {
                self.commands.push(match undo {
                    Undo::CancelShipment => SagaCommand::CancelShipment,
                    Undo::RefundPayment => SagaCommand::RefundPayment,
                });
                self.set(timers::UNDO, self.event.limits.undo);
            }
            None => self.fail(),
        }
        Outcome::Moved
    }

    fn fail(&mut self) {
        self.next.state = SagaState::Failed;
        self.end_holds();
        if self.next.capture == Capture::AtShipment {
            self.cancel(timers::CAPTURE);
            self.cancel(timers::AUTHORISATION);
        }
        if self.next.stock == StockStep::Reserved {
            self.next.stock = StockStep::Released;
            self.commands.push(SagaCommand::ReleaseStock);
        }
        self.move_order(OrderEvent::OrderCancelled);
        self.cancel(timers::UNDO);
    }

    /// A late event during compensation: its fact is recorded and undone in its turn. If that changes the due step,
    /// the new step is requested at once.
    pub(super) fn note(&mut self) -> Outcome {
        let due = self.next.pending_undo();
        if self.loses_what_it_shipped_for() {
            return self.lapse();
        }
        if !self.learn() {
            return Outcome::Ignored("known already, or undone already");
        }
        if self.event.kind == EventKind::PaymentAuthorised && self.next.stands_still() {
            self.watch_authorisation();
        }
        if self.event.kind == EventKind::PaymentCaptured && self.capture_is_answered() {
            return self.go_on();
        }
        self.undo_unless_due(due)
    }

    /// An order that waits for a person records facts and requests nothing.
    fn undo_unless_due(&mut self, due: Option<Undo>) -> Outcome {
        let waits = self.next.stands_still() || self.next.pending_undo() == due;
        if waits { Outcome::Moved } else { self.undo_more() }
    }

    fn reopen(&mut self) -> Outcome {
        if !self.learn() {
            return Outcome::Ignored("undone already");
        }
        self.undo_more()
    }

    /// Records a late answer of a provider; returns whether it was new.
    fn learn(&mut self) -> bool {
        match (self.event.kind, self.next.payment, self.next.shipment) {
            (EventKind::PaymentAuthorised, PaymentStep::Requested | PaymentStep::Closed, _) => {
                self.next.payment = PaymentStep::Authorised;
                true
            }
            (
                EventKind::PaymentCaptured,
                PaymentStep::Requested
                | PaymentStep::Authorised
                | PaymentStep::Capturing
                | PaymentStep::Closed,
                _,
            ) => {
                self.next.payment = PaymentStep::Captured;
                true
            }
            (
                EventKind::PaymentDeclined,
                PaymentStep::Requested | PaymentStep::Authorised | PaymentStep::Capturing,
                _,
            ) => {
                self.next.payment = PaymentStep::Closed;
                true
            }
            (EventKind::ShipmentBooked, _, ShipmentStep::Requested | ShipmentStep::Cancelled) => {
                self.next.shipment = ShipmentStep::Booked;
                true
            }
            (EventKind::ShipmentRefused, _, ShipmentStep::Requested) => {
                self.next.shipment = ShipmentStep::Cancelled;
                true
            }
            _ => false,
        }
    }

    fn next_undo(&mut self) -> Outcome {
        let due = self.next.pending_undo();
        let kind = self.event.kind;
        let money_is_back = matches!(kind, EventKind::PaymentRefunded | EventKind::MoneyReturned);
        // The gateway reported the money and now says that it has none. We cannot know which is wrong.
        let contradicts_itself =
            !money_is_back && self.next.payment == PaymentStep::Captured && self.next.total.minor > 0;
        let settled = if kind == EventKind::ShipmentCancelled {
            self.next.settle_shipment(ShipmentStep::Cancelled)
        } else if contradicts_itself
            || (kind == EventKind::MoneyReturned && self.next.is_refunded_under_way())
        {
            return self.ask_person();
        } else if money_is_back {
            self.next.settle_payment(PaymentStep::Refunded)
        } else {
            self.next.settle_payment(PaymentStep::Closed)
        };
        if settled { self.undo_unless_due(due) } else { Outcome::Ignored("undone already") }
    }

    /// Only while the money is ours and no refund was requested. After that, a parcel that was kept is a case for a
    /// person.
    fn forward(&mut self) -> Outcome {
        let due = self.next.pending_undo();
        if self.next.stands_still() {
            return Outcome::Ignored("the carrier is asked again once a person has decided");
        }
        if due != Some(Undo::CancelShipment) {
            return Outcome::Ignored("the money is on its way back already");
        }
        match self.next.payment {
            PaymentStep::Captured | PaymentStep::Authorised | PaymentStep::Capturing => {
                self.cancel(timers::UNDO);
                self.track()
            }
            PaymentStep::Refunded if self.next.order != OrderStatus::Cancelled => self.forward_unpaid(),
            PaymentStep::None
            | PaymentStep::Requested
            | PaymentStep::Refunded
            | PaymentStep::Closed
            | PaymentStep::Waived => self.park(),
        }
    }

    /// The provider may be away for long, and a request may get lost. A person may settle the step meanwhile; none
    /// must.
    fn urge(&mut self) -> Outcome {
        self.undo_more()
    }

    fn park(&mut self) -> Outcome {
        self.next.state = SagaState::NeedsAttention;
        self.cancel(timers::UNDO);
        Outcome::Moved
    }

    fn waive(&mut self) -> Outcome {
        if self.next.stands_still() {
            self.waive_capture();
            return self.go_on();
        }
        match self.next.pending_undo() {
            Some(Undo::CancelShipment) => self.next.shipment = ShipmentStep::Waived,
            Some(Undo::RefundPayment) => self.next.payment = PaymentStep::Waived,
            None => {}
        }
        self.undo_more()
    }

    pub(super) fn close(&mut self) -> Outcome {
        if self.next.stands_still() {
            return self.close_standing();
        }
        while self.next.pending_undo().is_some() {
            self.commands.retain(|command| *command == SagaCommand::EndHolds);
            self.timers.clear();
            self.waive();
        }
        if self.next.state != SagaState::Failed {
            self.fail();
        }
        Outcome::Moved
    }

    pub(super) fn refuse(&self) -> Outcome {
        Outcome::Refused(match (self.event.kind, self.next.state) {
            (EventKind::HoldPlaced, _) => self.too_late_to_hold(),
            (EventKind::CancelRequested, SagaState::NeedsAttention) if self.is_disputed() => {
                "the customer's bank decides about the money; cancel the order once the dispute is over, or force it"
            }
            (EventKind::CancelRequested, SagaState::Shipped) => {
                "the parcel is with the carrier; pay back at the gateway, which is booked here, or have the carrier turn back"
            }
            (EventKind::CancelRequested, _) => {
                "the parcel was delivered; pay back with `orders refund` or POST /orders/{order_id}/refunds, and book goods that come back as received"
            }
            (
                EventKind::OperatorRetry | EventKind::OperatorSkip | EventKind::OperatorForce,
                SagaState::OnHold,
            ) => "it is on hold; release its holds, or cancel it",
            (
                EventKind::OperatorRetry | EventKind::OperatorSkip | EventKind::OperatorForce,
                SagaState::AwaitingStock,
            ) => "it waits for its goods; book them as received, or cancel it",
            (EventKind::OperatorRetry | EventKind::OperatorSkip, SagaState::Compensating) => {
                "it is being undone; wait, or force it if whoever should undo it will not come back"
            }
            (EventKind::OperatorRetry, SagaState::NeedsAttention) => {
                "there is nothing to ask for again: once the gateway tells that it was settled, the order goes on by itself; to go \
                 on without that, skip it"
            }
            _ => "only an order that needs attention can be retried, skipped or forced",
        })
    }

    /// Moves the headline status, unless it is there already.
    pub(super) fn move_order(&mut self, event: OrderEvent) {
        let from = self.next.order;
        if let Some(to) = event.leads_to().filter(|to| *to != from) {
            self.next.order = to;
            self.commands.push(SagaCommand::MoveOrder { from, to, event });
        }
    }

    /// What an order that is undone waits for no longer.
    pub(super) fn cancel_on_undo(&mut self) {
        for name in [timers::ORDER, timers::PAYMENT, timers::SHIPPING] {
            self.cancel(name);
        }
        if self.next.capture == Capture::AtShipment {
            self.cancel(timers::CAPTURE);
            self.cancel(timers::AUTHORISATION);
        }
        if self.next.state == SagaState::AwaitingStock {
            self.cancel(timers::STOCK);
        }
    }

    pub(super) fn set(&mut self, name: &'static str, after: Duration) {
        self.timers.push(TimerChange::Set { name, after });
    }

    pub(super) fn cancel(&mut self, name: &'static str) {
        self.timers.push(TimerChange::Cancel { name });
    }
}
