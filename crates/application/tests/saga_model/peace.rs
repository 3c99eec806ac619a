//! What becomes of an order once nothing goes wrong any more, and what would wake it if all else failed: the model's reading
//! of "none is silent for ever".

use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use application::saga::{PaymentStep, SagaState, timers};
use domain::OrderStatus;

use super::flight::{ITEMS, Item, TIMERS};
use super::providers::Carrier;
use super::steps::{Copies, Luck, Step};
use super::world::World;

thread_local! {
    /// Worlds from which the way to a good end is known already. Ways run together, so most walks are a step or two long.
    static GOOD: RefCell<HashSet<u64>> = RefCell::default();
}

impl World {
    /// Whether the order comes to its end once nothing goes wrong any more: everything in flight arrives once, the carrier
    /// does its work, timers fire when there is nothing else to wait for, and a person forces what the machine gave up.
    pub(crate) fn ends_if_left_in_peace(&self) -> bool {
        const STEPS_MAX: usize = 100;
        let mut way = Vec::new();
        let mut world = self.clone();
        while way.len() < STEPS_MAX {
            let name = world.name();
            if GOOD.with_borrow(|good| good.contains(&name)) {
                break;
            }
            way.push(name);
            match world.after_peace() {
                Some(next) => world = next,
                None if world.has_ended_well() => break,
                None => return false,
            }
        }
        let arrived = way.len() < STEPS_MAX;
        if arrived {
            GOOD.with_borrow_mut(|good| good.extend(way));
        }
        arrived
    }

    fn name(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// The next world in peace; none when there is nothing left to happen.
    fn after_peace(&self) -> Option<Self> {
        let arrivals = ITEMS.into_iter().filter(|item| self.flight.has(*item));
        let mut arrivals = arrivals.map(|item| self.after(Step::Deliver(item, Luck::Good, Copies::Last)));
        // What comes early changes nothing yet; something else has to happen first.
        arrivals.find(|after| after != self).or_else(|| self.quiet_step().map(|step| self.after(step)))
    }

    fn quiet_step(&self) -> Option<Step> {
        match self.carrier {
            Carrier::Booked => return Some(Step::ParcelIsHandedOver),
            Carrier::HandedOver => return Some(Step::ParcelArrives),
            Carrier::Unheard | Carrier::Refused | Carrier::Delivered | Carrier::Closed => {}
        }
        let mut names = TIMERS.into_iter().map(|(name, _)| name);
        let timer = names.find(|name| self.timers.is_set(name)).map(Step::Fire);
        let person = (self.saga.state == SagaState::NeedsAttention).then_some(Step::OperatorForces);
        timer.or(person).or_else(|| self.waits_before().map(Step::SomebodyReleases))
    }

    fn has_ended_well(&self) -> bool {
        match self.saga.state {
            SagaState::Failed => self.flight.is_empty() && self.is_undone(),
            SagaState::Completed => self.flight.is_empty() && self.is_fulfilled(),
            SagaState::Created
            | SagaState::InventoryReserved
            | SagaState::PaymentProcessing
            | SagaState::Authorised
            | SagaState::Paid
            | SagaState::Shipped
            | SagaState::Compensating
            | SagaState::NeedsAttention
            | SagaState::OnHold
            | SagaState::AwaitingStock => false,
        }
    }

    /// Whether something is under way that will wake the saga.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.flight.is_empty() || !self.timers.is_empty()
    }

    /// Whether a timer would wake the saga even if every message got lost.
    pub(crate) fn is_watched(&self) -> bool {
        let due = match self.saga.state {
            // The order's own limit, as long as nobody has let a call through; it runs beside the others.
            SagaState::Created | SagaState::InventoryReserved | SagaState::Authorised | SagaState::Paid => {
                timers::ORDER
            }
            SagaState::PaymentProcessing => timers::PAYMENT,
            SagaState::Shipped if self.saga.order == OrderStatus::Delivered => timers::CAPTURE,
            SagaState::Shipped => timers::DELIVERY_POLL,
            SagaState::Compensating => timers::UNDO,
            SagaState::Completed | SagaState::Failed | SagaState::NeedsAttention => return true,
            SagaState::OnHold => return self.waits_before().is_some(),
            SagaState::AwaitingStock => timers::STOCK,
        };
        let is_capturing =
            self.saga.payment == PaymentStep::Capturing && self.saga.state == SagaState::Shipped;
        self.would_wake(due) && (!is_capturing || self.would_wake(timers::CAPTURE))
    }

    fn would_wake(&self, timer: &str) -> bool {
        let fired = TIMERS.into_iter().find(|(name, _)| *name == timer);
        self.timers.is_set(timer)
            || fired.is_some_and(|(_, item)| self.flight.has(item))
            // Any other that has fired leads on to a timer of its own.
            || TIMERS.into_iter().any(|(_, item)| item != Item::AuthorisationEnds && self.flight.has(item))
    }
}
