//! What can happen next, and what it leads to: the consumers as the saga's surroundings see them, in two halves where they
//! call the outside, so that a crash or a rival fits in between.

use std::time::Duration;

use application::saga::{EventKind, SagaState, StockStep};
use bus::Outcome;
use domain::{Capture, HoldPoint};

use super::flight::{ITEMS, Item, TIMERS};
use super::providers::{Carrier, Charge, Whim};
use super::world::World;

/// How a delivery goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Luck {
    /// As hoped for.
    Good,
    /// The business says no.
    No,
    /// It was done, but nobody learned of it: an answer lost, or a crash in between.
    AnswerLost,
    /// The same, where it was the business that said no.
    NoLost,
    /// The call was not let through: whoever was called is away or throttles.
    NotDone,
    /// The call was let through, nothing was done, and it is noted that nobody knows.
    Unanswered,
    /// Nothing was done, and there are no tries left.
    UsedUp,
}

/// Whether the delivered message is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Copies {
    Last,
    OneMore,
}

/// A step of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Deliver(Item, Luck, Copies),
    Fire(&'static str),
    CustomerCancels,
    OperatorRetries,
    OperatorSkips,
    OperatorForces,
    ParcelIsHandedOver,
    ParcelArrives,
    Webhook(Item),
    SomebodyRefunds,
    AuthorisationLapses,
    BankDisputes,
    CarrierStumbles,
    SomebodyHolds(HoldPoint),
    SomebodyReleases(HoldPoint),
    GoodsArrive,
}

/// Every way in which the item may be delivered.
fn lucks(item: Item) -> &'static [Luck] {
    match item {
        Item::OrderCreated | Item::Reserve => &[Luck::Good, Luck::No],
        Item::Capture => &[Luck::Good, Luck::No, Luck::NotDone, Luck::AnswerLost, Luck::UsedUp],
        Item::Charge | Item::Book => {
            &[Luck::Good, Luck::No, Luck::NotDone, Luck::AnswerLost, Luck::NoLost, Luck::Unanswered]
        }
        Item::Track => &[Luck::Good, Luck::Unanswered],
        Item::Recall | Item::Refund => &[Luck::Good, Luck::NotDone, Luck::AnswerLost, Luck::UsedUp],
        Item::ChargeCaptured
        | Item::ChargeAuthorised
        | Item::ChargeRefused
        | Item::PaymentProcessed
        | Item::PaymentAuthorised
        | Item::CaptureCaptured
        | Item::CaptureRefused
        | Item::CaptureTimeout
        | Item::AuthorisationEnds
        | Item::PaymentFailed
        | Item::BookBooked
        | Item::BookRefused
        | Item::Delivered
        | Item::RecallCancelled
        | Item::RecallKept
        | Item::RefundVoided
        | Item::RefundRefunded
        | Item::OrderTimeout
        | Item::PaymentTimeout
        | Item::ShippingTimeout
        | Item::PollDue
        | Item::UndoTimeout
        | Item::StockTimeout
        | Item::MoneyReturned
        | Item::Disputed
        | Item::ParcelDelayed => &[Luck::Good],
    }
}

impl World {
    /// Everything that can happen next.
    pub(crate) fn steps(&self, steps: &mut Vec<Step>) {
        for item in ITEMS.into_iter().filter(|item| self.flight.has(*item)) {
            for luck in lucks(item) {
                steps.push(Step::Deliver(item, *luck, Copies::Last));
                if self.allowance.repeats > 0 {
                    steps.push(Step::Deliver(item, *luck, Copies::OneMore));
                }
            }
        }
        let set = TIMERS.into_iter().map(|(name, _)| name).filter(|name| self.timers.is_set(name));
        steps.extend(set.map(Step::Fire));
        steps.push(Step::CustomerCancels);
        if self.saga.state == SagaState::NeedsAttention {
            steps.extend([Step::OperatorRetries, Step::OperatorSkips]);
        }
        if matches!(self.saga.state, SagaState::NeedsAttention | SagaState::Compensating) {
            steps.push(Step::OperatorForces);
        }
        match self.carrier {
            Carrier::Booked => steps.push(Step::ParcelIsHandedOver),
            Carrier::HandedOver => steps.push(Step::ParcelArrives),
            Carrier::Unheard | Carrier::Refused | Carrier::Delivered | Carrier::Closed => {}
        }
        if self.allowance.troubles > 0 {
            steps.extend(self.troubles());
        }
        if self.allowance.holds > 0 {
            steps.extend(HoldPoint::ALL.iter().copied().map(Step::SomebodyHolds));
        }
        let held = HoldPoint::ALL.iter().copied().filter(|point| self.saga.holds.include(*point));
        steps.extend(held.map(Step::SomebodyReleases));
        if self.allowance.arrivals > 0 {
            steps.push(Step::GoodsArrive);
        }
        if self.allowance.webhooks > 0 {
            steps.extend(self.webhooks().map(Step::Webhook));
        }
    }

    /// What others may do that concerns this order.
    fn troubles(&self) -> impl Iterator<Item = Step> {
        let holds_money = self.gateway.holds_money();
        let (was_paid, on_its_way) = (self.gateway.captures > 0, self.carrier == Carrier::HandedOver);
        [
            (holds_money, Step::SomebodyRefunds),
            (self.gateway.charge == Charge::Authorised, Step::AuthorisationLapses),
            (was_paid, Step::BankDisputes),
            (on_its_way, Step::CarrierStumbles),
        ]
        .into_iter()
        .filter_map(|(possible, step)| possible.then_some(step))
    }

    fn webhooks(&self) -> impl Iterator<Item = Item> {
        let captured = self.gateway.captures > 0;
        let declined = self.gateway.charge == Charge::Declined;
        let delivered = self.carrier == Carrier::Delivered;
        [(captured, Item::PaymentProcessed), (declined, Item::PaymentFailed), (delivered, Item::Delivered)]
            .into_iter()
            .filter_map(|(true_so_far, news)| true_so_far.then_some(news))
    }

    /// The world after a step.
    pub(crate) fn after(&self, step: Step) -> Self {
        let mut world = self.clone();
        match step {
            Step::Deliver(item, luck, copies) => world.deliver(item, luck, copies),
            Step::Fire(name) => world.timers.fire(name, &mut world.flight),
            Step::CustomerCancels => drop(world.happen(EventKind::CancelRequested)),
            Step::OperatorRetries => drop(world.happen(EventKind::OperatorRetry)),
            Step::OperatorSkips => drop(world.happen(EventKind::OperatorSkip)),
            Step::OperatorForces => drop(world.happen(EventKind::OperatorForce)),
            Step::ParcelIsHandedOver => world.carrier = Carrier::HandedOver,
            Step::ParcelArrives => world.carrier = Carrier::Delivered,
            Step::Webhook(news) => {
                world.allowance.webhooks -= 1;
                world.flight.add(news);
            }
            Step::SomebodyRefunds => {
                world.gateway.refund_by_hand();
                world.befall(Item::MoneyReturned);
            }
            Step::AuthorisationLapses => {
                world.gateway.lapse();
                world.befall(Item::PaymentFailed);
            }
            Step::BankDisputes => world.befall(Item::Disputed),
            Step::CarrierStumbles => world.befall(Item::ParcelDelayed),
            Step::SomebodyHolds(point) => {
                world.allowance.holds -= 1;
                world.happen_before(point, EventKind::HoldPlaced);
            }
            Step::SomebodyReleases(point) => drop(world.happen_before(point, EventKind::HoldReleased)),
            Step::GoodsArrive => {
                world.allowance.arrivals -= 1;
                world.happen(EventKind::StockArrived);
            }
        }
        world
    }

    fn befall(&mut self, news: Item) {
        self.allowance.troubles -= 1;
        self.flight.add(news);
    }

    fn deliver(&mut self, item: Item, luck: Luck, copies: Copies) {
        match copies {
            Copies::Last => self.flight.take(item),
            Copies::OneMore => self.allowance.repeats -= 1,
        }
        match item {
            Item::OrderCreated => self.validate(luck),
            Item::Reserve => self.reserve(luck),
            Item::Charge => self.charge(luck),
            Item::ChargeCaptured => self.charged(Item::PaymentProcessed),
            Item::ChargeAuthorised => self.charged(Item::PaymentAuthorised),
            Item::ChargeRefused => self.charged(Item::PaymentFailed),
            Item::PaymentAuthorised => self.authorised(),
            Item::Capture => self.capture(luck),
            Item::CaptureCaptured => self.tell(item, EventKind::PaymentCaptured),
            Item::CaptureRefused => self.tell(item, EventKind::PaymentDeclined),
            Item::PaymentProcessed => self.tell(item, EventKind::PaymentCaptured),
            Item::PaymentFailed => self.tell(item, EventKind::PaymentDeclined),
            Item::Book => self.book(luck),
            Item::BookBooked => self.tell(item, EventKind::ShipmentBooked),
            Item::BookRefused => self.tell(item, EventKind::ShipmentRefused),
            Item::Track => self.track(luck),
            Item::Delivered => self.tell(item, EventKind::ParcelDelivered),
            Item::Recall => self.recall(luck),
            Item::RecallCancelled => self.tell(item, EventKind::ShipmentCancelled),
            Item::RecallKept => self.tell(item, EventKind::ShipmentKept),
            Item::Refund => self.refund(luck),
            Item::RefundVoided => self.tell(item, EventKind::PaymentVoided),
            Item::RefundRefunded => self.tell(item, EventKind::PaymentRefunded),
            Item::MoneyReturned => self.tell(item, EventKind::MoneyReturned),
            Item::Disputed => self.tell(item, EventKind::PaymentDisputed),
            Item::ParcelDelayed => self.tell(item, EventKind::ParcelDelayed),
            Item::OrderTimeout => self.tell(item, EventKind::OrderTimedOut),
            Item::PaymentTimeout => self.tell(item, EventKind::PaymentTimedOut),
            Item::ShippingTimeout => self.tell(item, EventKind::ShippingTimedOut),
            Item::PollDue => drop(self.happen(EventKind::DeliveryPollDue)),
            Item::CaptureTimeout => drop(self.happen(EventKind::CaptureTimedOut)),
            Item::AuthorisationEnds => drop(self.happen(EventKind::AuthorisationEnding)),
            Item::UndoTimeout => drop(self.happen(EventKind::UndoTimedOut)),
            Item::StockTimeout => self.tell(item, EventKind::StockTimedOut),
        }
    }

    /// News that comes early is kept.
    fn tell(&mut self, item: Item, kind: EventKind) {
        if self.happen(kind) == Outcome::Early {
            self.flight.add(item);
        }
    }

    fn validate(&mut self, luck: Luck) {
        let kind = if luck == Luck::Good { EventKind::OrderValidated } else { EventKind::OrderRejected };
        self.happen(kind);
    }

    /// Shelf and saga change in one transaction.
    fn reserve(&mut self, luck: Luck) {
        if self.saga.state != SagaState::Created || self.saga.stock != StockStep::None {
            return;
        }
        if luck == Luck::Good {
            self.set_aside += 1;
            self.happen(EventKind::InventoryReserved);
        } else {
            self.happen(EventKind::InventoryShort);
            // An order that waits asks again, once goods arrive.
            if self.saga.state == SagaState::AwaitingStock {
                self.asked[0] = 0;
            }
        }
    }

    fn charge(&mut self, luck: Luck) {
        match luck {
            Luck::NotDone => self.ask_for_money_again(),
            Luck::Unanswered | Luck::UsedUp => {
                self.happen(EventKind::PaymentStarted);
                self.ask_for_money_again();
            }
            Luck::AnswerLost | Luck::NoLost => {
                self.call_gateway(luck);
                self.flight.add(Item::Charge);
            }
            Luck::Good | Luck::No => {
                let said = self.call_gateway(luck);
                self.flight.add(match said {
                    Charge::Captured => Item::ChargeCaptured,
                    Charge::Authorised => Item::ChargeAuthorised,
                    Charge::Unheard | Charge::Declined | Charge::Refunded | Charge::Closed => {
                        Item::ChargeRefused
                    }
                });
            }
        }
    }

    fn call_gateway(&mut self, luck: Luck) -> Charge {
        match self.saga.capture {
            Capture::AtOnce => self.gateway.charge(whim(luck)),
            Capture::AtShipment => self.gateway.authorise(whim(luck)),
        }
    }

    /// Every authorisation ends some time.
    fn authorised(&mut self) {
        if self.happen_for(EventKind::PaymentAuthorised, Duration::from_secs(1)) == Outcome::Early {
            self.flight.add(Item::PaymentAuthorised);
        }
    }

    fn capture(&mut self, luck: Luck) {
        match luck {
            Luck::NotDone => self.flight.add(Item::Capture),
            Luck::UsedUp | Luck::Unanswered => drop(self.happen(EventKind::CaptureFailed)),
            Luck::AnswerLost | Luck::NoLost => {
                self.gateway.capture(whim(luck));
                self.flight.add(Item::Capture);
            }
            Luck::Good | Luck::No => {
                let captured = self.gateway.capture(whim(luck)) == Charge::Captured;
                self.flight.add(if captured { Item::CaptureCaptured } else { Item::CaptureRefused });
            }
        }
    }

    fn ask_for_money_again(&mut self) {
        if self.saga.awaits_payment() {
            self.flight.add(Item::Charge);
        }
    }

    fn charged(&mut self, result: Item) {
        self.happen(EventKind::PaymentStarted);
        self.flight.add(result);
    }

    fn book(&mut self, luck: Luck) {
        match luck {
            Luck::NotDone => self.ask_for_parcel_again(),
            Luck::Unanswered | Luck::UsedUp => {
                self.happen(EventKind::ShippingStarted);
                self.ask_for_parcel_again();
            }
            Luck::AnswerLost | Luck::NoLost => {
                self.carrier.book(whim(luck));
                self.flight.add(Item::Book);
            }
            Luck::Good | Luck::No => {
                let booked = self.carrier.book(whim(luck)).is_under_way();
                self.flight.add(if booked { Item::BookBooked } else { Item::BookRefused });
            }
        }
    }

    fn ask_for_parcel_again(&mut self) {
        if self.saga.state.awaits_shipping() {
            self.flight.add(Item::Book);
        }
    }

    fn track(&mut self, luck: Luck) {
        if luck == Luck::Good && self.carrier == Carrier::Delivered {
            self.flight.add(Item::Delivered);
        }
    }

    fn recall(&mut self, luck: Luck) {
        match luck {
            Luck::NotDone => self.flight.add(Item::Recall),
            Luck::UsedUp => drop(self.happen(EventKind::UndoFailed)),
            Luck::AnswerLost | Luck::NoLost | Luck::Unanswered => {
                self.carrier.cancel();
                self.flight.add(Item::Recall);
            }
            Luck::Good | Luck::No => {
                let cancelled = self.carrier.cancel() == Carrier::Closed;
                self.flight.add(if cancelled { Item::RecallCancelled } else { Item::RecallKept });
            }
        }
    }

    fn refund(&mut self, luck: Luck) {
        match luck {
            Luck::NotDone => self.flight.add(Item::Refund),
            Luck::UsedUp => drop(self.happen(EventKind::UndoFailed)),
            Luck::AnswerLost | Luck::NoLost | Luck::Unanswered => {
                self.gateway.cancel();
                self.flight.add(Item::Refund);
            }
            Luck::Good | Luck::No => {
                let refunded = self.gateway.cancel() == Charge::Refunded;
                self.flight.add(if refunded { Item::RefundRefunded } else { Item::RefundVoided });
            }
        }
    }
}

const fn whim(luck: Luck) -> Whim {
    match luck {
        Luck::Good | Luck::AnswerLost => Whim::Yes,
        Luck::No | Luck::NotDone | Luck::NoLost | Luck::Unanswered | Luck::UsedUp => Whim::No,
    }
}
