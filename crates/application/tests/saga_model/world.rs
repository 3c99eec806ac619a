//! One order in a small world: the real saga, what it believes, what providers know, and what is in flight between them.
//! The only room that lets the saga react; every law of a single reaction is checked here, whenever it reacts.

use std::time::Duration;

use application::saga::{
    EventKind, OrderProcessingSaga, PaymentStep, SagaCommand, SagaEvent, SagaState, ShipmentStep, StockStep,
    rule,
};
use bus::{Outcome, Saga, TimerChange};
use domain::{CancelReason, Capture, Currency, HoldPoint, Money, Move, OrderId, OrderStatus, WhenShort};
use jiff::Timestamp;

use super::flight::{Flight, Item, Timers};
use super::providers::{ByHand, Carrier, Gateway, Honesty};

/// How much that is not in the saga's hands may still go astray.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Allowance {
    /// Deliveries that leave one more copy behind.
    pub(crate) repeats: u8,
    /// Webhooks on top of the providers' own answers.
    pub(crate) webhooks: u8,
    /// What others do that concerns the order: a refund by hand, a dispute, a parcel that does not get on.
    pub(crate) troubles: u8,
    /// Holds that somebody places.
    pub(crate) holds: u8,
    /// Times that goods come in for an order that waits for them.
    pub(crate) arrivals: u8,
}

/// A state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) saga: OrderProcessingSaga,
    pub(crate) flight: Flight,
    pub(crate) timers: Timers,
    pub(crate) gateway: Gateway,
    pub(crate) carrier: Carrier,
    /// The shelf's own count of what is set aside for the order.
    pub(crate) set_aside: u8,
    /// How often stock, money and a parcel were asked for, up to two each.
    pub(crate) asked: [u8; 3],
    pub(crate) allowance: Allowance,
    /// Whether its parcel could not be called back, so that it went forward.
    pub(crate) went_forward: bool,
    /// The first law that a reaction broke.
    pub(crate) broken: Option<&'static str>,
}

impl World {
    pub(crate) fn new(allowance: Allowance, honesty: Honesty, capture: Capture) -> Self {
        let when_short = if allowance.arrivals > 0 { WhenShort::Wait } else { WhenShort::Cancel };
        let total = Money::new(100, Currency::parse("EUR").expect("a known currency"));
        let epoch = Timestamp::UNIX_EPOCH;
        let mut saga = OrderProcessingSaga::start(OrderId(uuid::Uuid::nil()), total, epoch, epoch);
        saga.capture = capture;
        saga.when_short = when_short;
        let mut world = Self {
            saga,
            flight: Flight::default(),
            timers: Timers::default(),
            gateway: Gateway::new(honesty),
            carrier: Carrier::Unheard,
            set_aside: 0,
            asked: [0; 3],
            allowance,
            went_forward: false,
            broken: None,
        };
        world.timers.set(application::saga::timers::ORDER, &mut world.flight);
        world.flight.add(Item::OrderCreated);
        world
    }

    /// Lets the saga react, as the engine would.
    pub(crate) fn happen(&mut self, kind: EventKind) -> Outcome {
        self.react(SagaEvent::of(kind))
    }

    /// The same for a hold before this step.
    pub(crate) fn happen_before(&mut self, point: HoldPoint, kind: EventKind) -> Outcome {
        self.react(SagaEvent::of(kind).before(point))
    }

    /// The same for an authorisation that ends.
    pub(crate) fn happen_for(&mut self, kind: EventKind, time: Duration) -> Outcome {
        self.react(SagaEvent::of(kind).authorised_for(Some(time)))
    }

    fn react(&mut self, event: SagaEvent) -> Outcome {
        let before = self.saga.clone();
        let reaction = before.react(&event, Timestamp::UNIX_EPOCH);
        self.check_outcome(&before, &event, &reaction);
        for command in &reaction.commands {
            self.carry_out(*command, &reaction.next);
        }
        self.saga = reaction.next;
        // But for money that somebody else gave back, which reason it is changes nothing in what follows; one for all keeps the
        // model small.
        self.saga.reason = self.saga.reason.map(|reason| match reason {
            CancelReason::RefundedAtGateway => reason,
            CancelReason::Customer
            | CancelReason::PaymentDeclined
            | CancelReason::OutOfStock
            | CancelReason::Timeout
            | CancelReason::ShippingFailed
            | CancelReason::Operator
            | CancelReason::Rejected => CancelReason::Operator,
        });
        for change in &reaction.timers {
            match *change {
                TimerChange::Set { name, .. } => self.timers.set(name, &mut self.flight),
                TimerChange::Cancel { name } => self.timers.cancel(name, &mut self.flight),
            }
        }
        self.check_status(&before, &reaction.commands);
        self.went_forward |= event.kind == EventKind::ShipmentKept && self.saga.state == SagaState::Shipped;
        reaction.outcome
    }

    fn check_outcome(
        &mut self,
        before: &OrderProcessingSaga,
        event: &SagaEvent,
        reaction: &bus::Reaction<OrderProcessingSaga>,
    ) {
        if reaction.outcome == Outcome::Moved {
            let stayed = reaction.next.state == before.state;
            let allowed = rule(before.state, event.kind).targets().contains(&reaction.next.state);
            self.insist(stayed || allowed, "a rule leads only where the table says");
            self.check_repeat(event, reaction);
        } else {
            let nothing = reaction.commands.is_empty() && reaction.timers.is_empty();
            self.insist(nothing && reaction.next == *before, "what is ignored changes nothing");
        }
    }

    /// The same event once more, before anything else happens. A firing counts once, which its consumer sees to.
    fn check_repeat(&mut self, event: &SagaEvent, reaction: &bus::Reaction<OrderProcessingSaga>) {
        let is_firing = matches!(
            event.kind,
            EventKind::DeliveryPollDue | EventKind::CaptureTimedOut | EventKind::UndoTimedOut
        );
        let again = reaction.next.react(event, Timestamp::UNIX_EPOCH);
        let changes_nothing = again.next == reaction.next && again.commands.is_empty();
        self.insist(is_firing || changes_nothing, "a repeat changes nothing");
    }

    fn carry_out(&mut self, command: SagaCommand, next: &OrderProcessingSaga) {
        match command {
            SagaCommand::RequestReservation => self.ask(0, Item::Reserve),
            SagaCommand::RequestPayment => self.ask(1, Item::Charge),
            SagaCommand::CapturePayment => self.flight.add(Item::Capture),
            SagaCommand::RequestShipping => self.ask(2, Item::Book),
            SagaCommand::RequestShippingAgain => self.flight.add(Item::Book),
            SagaCommand::TrackShipment => self.flight.add(Item::Track),
            SagaCommand::CancelShipment => self.flight.add(Item::Recall),
            SagaCommand::RefundPayment => {
                let parcel_is_settled = !matches!(
                    next.shipment,
                    ShipmentStep::Requested | ShipmentStep::Booked | ShipmentStep::Delivered
                );
                self.insist(parcel_is_settled, "what was done last is undone first");
                self.flight.add(Item::Refund);
            }
            SagaCommand::ShipStock | SagaCommand::ReleaseStock => {
                self.insist(self.set_aside == 1, "only what is set aside is shipped or given back");
                self.set_aside = 0;
            }
            SagaCommand::EndHolds | SagaCommand::MoveOrder { .. } => {}
        }
    }

    fn ask(&mut self, what: usize, item: Item) {
        self.asked[what] = (self.asked[what] + 1).min(2);
        self.flight.add(item);
    }

    /// The moves that were asked for lead, one legal step after the other, from the old status to the new.
    fn check_status(&mut self, before: &OrderProcessingSaga, commands: &[SagaCommand]) {
        let mut status = before.order;
        for command in commands {
            if let SagaCommand::MoveOrder { from, to, .. } = *command {
                self.insist(from == status && from.may_become(to) == Move::Legal, "every move is legal");
                status = to;
            }
        }
        self.insist(status == self.saga.order, "the status moves only by moves");
    }

    fn insist(&mut self, holds: bool, law: &'static str) {
        if !holds && self.broken.is_none() {
            self.broken = Some(law);
        }
    }

    pub(crate) fn status_agrees(&self) -> bool {
        match self.saga.state {
            SagaState::Created => {
                matches!(self.saga.order, OrderStatus::Pending | OrderStatus::Validated)
            }
            SagaState::InventoryReserved => self.saga.order == OrderStatus::Validated,
            SagaState::PaymentProcessing => self.saga.order == OrderStatus::PaymentProcessing,
            SagaState::Authorised => self.saga.order == OrderStatus::Authorised,
            SagaState::Paid => self.saga.order == OrderStatus::Paid,
            SagaState::Shipped => {
                let is_owed = self.saga.order == OrderStatus::Delivered && self.saga.is_authorised();
                self.saga.order == OrderStatus::Shipped || is_owed
            }
            SagaState::Completed => self.saga.order == OrderStatus::Delivered,
            SagaState::Failed => self.saga.order == OrderStatus::Cancelled && self.saga.reason.is_some(),
            SagaState::Compensating => self.saga.reason.is_some(),
            SagaState::NeedsAttention => self.saga.reason.is_some() || !self.saga.attention.is_empty(),
            SagaState::OnHold => self.waits_before().is_some(),
            SagaState::AwaitingStock => {
                self.saga.order == OrderStatus::Validated && self.saga.stock == StockStep::None
            }
        }
    }

    /// The step that an order on hold waits for: its holds keep it from there, and from nothing that was asked for.
    pub(crate) fn waits_before(&self) -> Option<HoldPoint> {
        let saga = &self.saga;
        let point = match (saga.order, saga.payment, saga.shipment) {
            (OrderStatus::Validated, PaymentStep::None, ShipmentStep::None) => HoldPoint::Payment,
            (OrderStatus::Paid, PaymentStep::Captured, ShipmentStep::None) => HoldPoint::Shipping,
            (
                OrderStatus::Authorised,
                PaymentStep::Authorised | PaymentStep::Capturing,
                ShipmentStep::None,
            ) => HoldPoint::Shipping,
            _ => return None,
        };
        (saga.state == SagaState::OnHold && saga.holds.include(point)).then_some(point)
    }

    /// Nothing of a failed order is left anywhere, but for what a person took upon themselves.
    pub(crate) fn is_undone(&self) -> bool {
        let money = !self.gateway.holds_money() || self.saga.payment == PaymentStep::Waived;
        let parcel = !self.carrier.is_under_way() || self.saga.shipment == ShipmentStep::Waived;
        money && parcel && self.set_aside == 0 && self.saga.stock != StockStep::Reserved
    }

    /// Paid for once, and in the customer's hands, but for what others gave back and what a person took upon themselves.
    pub(crate) fn is_fulfilled(&self) -> bool {
        let arrived = self.carrier == Carrier::Delivered || self.saga.shipment == ShipmentStep::Waived;
        let paid = (self.gateway.holds_money() || self.gateway.by_hand == ByHand::Refunded)
            && self.gateway.captures == 1;
        (paid || self.saga.payment == PaymentStep::Waived)
            && arrived
            && self.set_aside == 0
            && self.saga.stock == StockStep::Shipped
    }
}
