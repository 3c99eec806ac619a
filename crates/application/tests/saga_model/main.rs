//! The order saga, model-checked: the real `react` in a small world of honest but unreliable surroundings, through every
//! interleaving of messages, repeats, timers, webhooks, lost answers, cancellations and operators' deeds up to a bound.
//! It must not restate the saga's rules; it knows only what must never be seen from outside.

extern crate orderwright_application as application;

mod flight;
mod peace;
mod providers;
mod steps;
mod world;

use application::saga::{PaymentStep, SagaState, ShipmentStep};
use domain::{Capture, HoldPoint, OrderStatus};
use stateright::{Checker, HasDiscoveries, Model, Property};

use self::providers::{Charge, Honesty};
use self::steps::Step;
use self::world::{Allowance, World};

/// One order under an allowance of trouble.
struct OneOrder {
    allowance: Allowance,
    honesty: Honesty,
    capture: Capture,
}

impl Model for OneOrder {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.allowance, self.honesty, self.capture)]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        world.steps(steps);
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let after = world.after(step);
        (after != *world).then_some(after)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = laws();
        properties.extend(sights());
        if self.allowance.holds > 0 {
            properties.extend(sights_of_holds());
        }
        if self.allowance.arrivals > 0 {
            properties.extend(sights_of_waiting());
        }
        if self.capture == Capture::AtShipment {
            properties.extend(sights_of_captures());
        }
        properties
    }
}

const NOTHING_KEPT: &str =
    "a failed order has no money kept, no stock held and no parcel under way, but for what was waived";

/// What must hold everywhere.
fn laws() -> Vec<Property<OneOrder>> {
    vec![
        Property::always(
            "every reaction keeps to table and status, and a repeat changes nothing",
            |_, world: &World| world.broken.is_none(),
        ),
        Property::always("money is taken at most once", |_, world: &World| world.gateway.captures <= 1),
        Property::always("stock, money and parcel are asked for at most once", |_, world: &World| {
            world.asked.iter().all(|times| *times <= 1)
        }),
        Property::always("nothing is asked for that a hold keeps the order from", |_, world: &World| {
            let [_, payments, parcels] = world.asked;
            let asked = [(HoldPoint::Payment, payments), (HoldPoint::Shipping, parcels)];
            asked.iter().all(|(point, times)| *times == 0 || !world.saga.holds.include(*point))
        }),
        Property::always(NOTHING_KEPT, |_, world: &World| {
            world.saga.state != SagaState::Failed || world.is_undone()
        }),
        Property::always("a completed order is paid for once and delivered", |_, world: &World| {
            world.saga.state != SagaState::Completed || world.is_fulfilled()
        }),
        Property::always("the headline status agrees with the saga's state", |_, world: &World| {
            world.status_agrees()
        }),
        Property::always("what is not over is awaited: by a message or by a timer", |_, world: &World| {
            let over = world.saga.state.is_final() || world.saga.state == SagaState::NeedsAttention;
            over || world.waits_before().is_some() || world.is_awaited()
        }),
        Property::always("a timer would wake it even if every message got lost", |_, world: &World| {
            world.is_watched()
        }),
        Property::always("from everywhere, an order left in peace comes to its end", |_, world: &World| {
            world.ends_if_left_in_peace()
        }),
    ]
}

/// What must be seen somewhere, or the model proves less than it seems to.
fn sights() -> Vec<Property<OneOrder>> {
    vec![
        Property::sometimes("an order completes", |_, world: &World| {
            world.saga.state == SagaState::Completed
        }),
        Property::sometimes("an order fails", |_, world: &World| world.saga.state == SagaState::Failed),
        Property::sometimes("money goes back", |_, world: &World| world.gateway.charge == Charge::Refunded),
        Property::sometimes("a parcel is called back", |_, world: &World| {
            world.saga.shipment == ShipmentStep::Cancelled && world.saga.state == SagaState::Failed
        }),
        Property::sometimes("a person is needed", |_, world: &World| {
            world.saga.state == SagaState::NeedsAttention
        }),
        Property::sometimes("a person waives", |_, world: &World| world.saga.payment == PaymentStep::Waived),
        Property::sometimes(
            "a parcel cannot be called back and the order goes forward",
            |_, world: &World| world.went_forward,
        ),
        Property::sometimes("a parcel is booked that nobody waits for any more", |_, world: &World| {
            world.saga.state == SagaState::Failed && world.flight.has(flight::Item::BookBooked)
        }),
    ]
}

/// The same of holds.
fn sights_of_holds() -> Vec<Property<OneOrder>> {
    vec![
        Property::sometimes("an order waits before its payment", |_, world: &World| {
            world.waits_before() == Some(HoldPoint::Payment)
        }),
        Property::sometimes("a paid order waits before its parcel", |_, world: &World| {
            world.waits_before() == Some(HoldPoint::Shipping)
        }),
        Property::sometimes("an order that waits for a person has a hold as well", |_, world: &World| {
            world.saga.state == SagaState::NeedsAttention && !world.saga.holds.is_empty()
        }),
    ]
}

/// The same of orders that wait for their goods.
fn sights_of_waiting() -> Vec<Property<OneOrder>> {
    vec![
        Property::sometimes("an order waits for its goods", |_, world: &World| {
            world.saga.state == SagaState::AwaitingStock
        }),
        Property::sometimes("it is on hold once they are there", |_, world: &World| {
            world.waits_before() == Some(HoldPoint::Payment) && world.allowance.arrivals == 0
        }),
        Property::sometimes("it completes after it has waited", |_, world: &World| {
            world.saga.state == SagaState::Completed && world.allowance.arrivals == 0
        }),
        Property::sometimes("it is cancelled while it waits", |_, world: &World| {
            world.saga.state == SagaState::Failed && world.allowance.arrivals == 0
        }),
    ]
}

/// The same of money that is captured at the shipment.
fn sights_of_captures() -> Vec<Property<OneOrder>> {
    vec![
        Property::sometimes("an order is delivered before its money is captured", |_, world: &World| {
            world.saga.state == SagaState::Shipped && world.saga.order == OrderStatus::Delivered
        }),
        Property::sometimes("a parcel has left and its authorisation is gone", |_, world: &World| {
            world.saga.order == OrderStatus::Shipped && world.saga.payment == PaymentStep::Closed
        }),
        Property::sometimes("a person has the money captured early", |_, world: &World| {
            world.saga.state == SagaState::Authorised && world.saga.payment == PaymentStep::Capturing
        }),
        Property::sometimes("an authorisation is voided", |_, world: &World| {
            world.saga.state == SagaState::Failed && world.gateway.charge == Charge::Closed
        }),
    ]
}

#[test]
fn money_that_is_captured_at_the_shipment_is_captured_once_or_asked_about() {
    for (allowance, about) in [
        (Allowance { repeats: 0, webhooks: 1, troubles: 1, holds: 0, arrivals: 0 }, "and troubles"),
        (Allowance { repeats: 1, webhooks: 0, troubles: 0, holds: 1, arrivals: 0 }, "and holds"),
    ] {
        let model = OneOrder { allowance, honesty: Honesty::KeepsItsWord, capture: Capture::AtShipment };
        let checker = model.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        println!(
            "the order saga with capture at shipment {about}: {} states, {} steps, up to {} steps deep",
            checker.unique_state_count(),
            checker.state_count(),
            checker.max_depth()
        );
        checker.assert_properties();
    }
}

#[test]
fn an_order_on_hold_stays_true_and_comes_to_its_end_once_it_is_released() {
    let allowance = Allowance { repeats: 1, webhooks: 1, troubles: 1, holds: 2, arrivals: 0 };
    let model = OneOrder { allowance, honesty: Honesty::KeepsItsWord, capture: Capture::AtOnce };
    let checker = model.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!(
        "the order saga with holds: {} states, {} steps, up to {} steps deep",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

#[test]
fn an_order_that_waits_for_its_goods_goes_on_when_they_are_there_or_ends_when_its_time_is_up() {
    let allowance = Allowance { repeats: 1, webhooks: 0, troubles: 1, holds: 1, arrivals: 2 };
    let model = OneOrder { allowance, honesty: Honesty::KeepsItsWord, capture: Capture::AtOnce };
    let checker = model.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!(
        "the order saga with waiting for goods: {} states, {} steps, up to {} steps deep",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

#[test]
fn no_interleaving_within_the_bounds_leads_an_order_astray() {
    let model = OneOrder {
        allowance: Allowance { repeats: 2, webhooks: 1, troubles: 0, holds: 0, arrivals: 0 },
        honesty: Honesty::KeepsItsWord,
        capture: Capture::AtOnce,
    };
    let checker = model.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!(
        "the order saga: {} states, {} steps, up to {} steps deep",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

#[test]
fn whatever_others_do_with_money_and_parcel_the_order_stays_true_and_comes_to_its_end() {
    let allowance = Allowance { repeats: 1, webhooks: 1, troubles: 2, holds: 0, arrivals: 0 };
    let model = OneOrder { allowance, honesty: Honesty::KeepsItsWord, capture: Capture::AtOnce };
    let checker = model.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!(
        "the order saga with refunds, disputes and stray parcels: {} states, {} steps, up to {} steps deep",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

#[test]
fn a_gateway_that_forgets_its_closed_keys_is_found_out() {
    let model = OneOrder {
        allowance: Allowance { repeats: 1, webhooks: 0, troubles: 0, holds: 0, arrivals: 0 },
        honesty: Honesty::ForgetsClosedKeys,
        capture: Capture::AtOnce,
    };
    let checker = model.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    assert!(checker.discovery(NOTHING_KEPT).is_some(), "the checker would not have noticed");
}
