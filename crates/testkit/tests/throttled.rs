//! Providers that are away or let few through, for longer than any stage may take: orders wait in the order of their age, none
//! is called off, none is charged twice.

#[expect(dead_code, reason = "shared by several test programs, each of which uses its own part")]
mod scripted;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use application::hold_rules::HoldRules;
use application::saga::{STAGE_LIMITS, StageLimits};
use bus::CallBudget;
use domain::Capture;
use orderwright_testkit::simulation::{
    Call, CallFate, CallPlan, Carriage, Consent, Habit, HandOver, Honesty, Outcome, ProviderFate,
    SHORT_LIMITS, Script, Staging, Trace, Turns, Wiring, Wish, line, new_product, play, sku,
};
use scripted::{ChosenStep, Copies, Crash};
use tokio::time::Instant;

/// Providers that are away at first and then let so many calls a second through.
struct Reluctant {
    away_for: Duration,
    per_second: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    began_at: Option<Instant>,
    /// By provider: when the next call would be let through if all came evenly.
    due: [Duration; 2],
    /// Charges that were let through, in order.
    charged: Vec<String>,
    turned_away: usize,
}

impl Reluctant {
    fn new(away_for: Duration, per_second: u32) -> Arc<Self> {
        Arc::new(Self { away_for, per_second, state: Mutex::default() })
    }

    /// A second's worth may come at once.
    fn lets_through(&self, state: &mut State, provider: usize) -> bool {
        let since = state.began_at.get_or_insert_with(Instant::now).elapsed();
        let Some(apart) = Duration::from_secs(1).checked_div(self.per_second) else {
            return since >= self.away_for;
        };
        let next = state.due[provider].max(since);
        let fits = next - since <= Duration::from_secs(1) - apart;
        if fits {
            state.due[provider] = next + apart;
        }
        fits && since >= self.away_for
    }
}

impl ProviderFate for Reluctant {
    fn call(&self, call: Call, key: &str) -> CallPlan {
        let provider = match call {
            Call::Charge | Call::Authorise | Call::Capture | Call::LookUpCharge | Call::CancelCharge => 0,
            Call::Book | Call::LookUpParcel | Call::CancelParcel => 1,
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let latency = Duration::from_millis(40);
        if !self.lets_through(&mut state, provider) {
            state.turned_away += 1;
            return CallPlan { latency, fate: CallFate::NotDone };
        }
        if call == Call::Charge {
            state.charged.push(key.to_owned());
        }
        CallPlan { latency, fate: CallFate::Answered }
    }

    fn consent(&self, _call: Call, _key: &str) -> Consent {
        Consent::Yes
    }

    fn letters(&self) -> Vec<Duration> {
        vec![Duration::from_millis(50)]
    }

    fn carriage(&self) -> Carriage {
        Carriage { handover: Duration::from_secs(1), transit: Duration::from_millis(500) }
    }
}

/// So many orders, one each millisecond, so that their ids sort by age.
fn orders(count: u64) -> Script {
    let wish = |number| Wish {
        at: Duration::from_millis(number),
        lines: vec![line(sku(0), 1)],
        regret: None,
        presses: 1,
        holds: Vec::new(),
        when_short: None,
        second_thought: None,
    };
    Script {
        products: vec![new_product(0, 1_250, 1_000_000)],
        wishes: (0..count).map(wish).collect(),
        events: Vec::new(),
        storm: Duration::from_secs(1),
        hold_rules: HoldRules::default(),
    }
}

fn perform(script: Script, providers: &Arc<Reluctant>, limits: StageLimits, turns: Turns) -> Outcome {
    let staging = Staging {
        script,
        store_fate: ChosenStep::new(Crash::Never, Copies::One),
        provider_fate: Arc::clone(providers) as _,
        transport_fate: None,
        honesty: Honesty::OneChargePerKey,
        habit: Habit::Patient,
        workers: 2,
        batch_max: bus::limits::BATCH_MAX,
        hand_over: HandOver::InUnit,
        limits,
        capture: Capture::AtOnce,
        turns,
        seed: 7,
        trace: Trace::Off,
        wiring: Wiring::Store,
    };
    play(staging, || {})
}

/// Every order was delivered, and every charge was let through once.
fn all_delivered_and_charged_once(outcome: &Outcome, providers: &Reluctant, count: u64) {
    assert!(outcome.findings.is_empty(), "{:?}", outcome.findings);
    assert_eq!(outcome.endings.delivered, count, "{:?}", outcome.endings);
    let mut charged = providers.state.lock().unwrap_or_else(PoisonError::into_inner).charged.clone();
    assert_eq!(charged.len() as u64, count);
    charged.sort_unstable();
    charged.dedup();
    assert_eq!(charged.len() as u64, count, "none was charged twice");
}

#[test]
fn providers_that_are_away_for_longer_than_a_stage_may_take_cost_no_order() {
    let away_for = Duration::from_secs(40);
    assert!(away_for > 2 * SHORT_LIMITS.payment && away_for < SHORT_LIMITS.order);
    let providers = Reluctant::new(away_for, 0);
    let outcome = perform(orders(300), &providers, SHORT_LIMITS, Turns::default());
    all_delivered_and_charged_once(&outcome, &providers, 300);
}

#[test]
fn providers_that_throttle_without_a_budget_of_ours_cost_no_order() {
    let providers = Reluctant::new(Duration::ZERO, 10);
    let outcome = perform(orders(200), &providers, SHORT_LIMITS, Turns::default());
    all_delivered_and_charged_once(&outcome, &providers, 200);
    let turned_away = providers.state.lock().unwrap_or_else(PoisonError::into_inner).turned_away;
    assert!(turned_away < 200, "a provider that throttles is not hammered: {turned_away}");
}

#[test]
fn ten_thousand_orders_at_once_before_a_gateway_that_lets_25_a_second_through_are_all_paid_in_order_of_age() {
    const COUNT: usize = 10_000;
    let providers = Reluctant::new(Duration::ZERO, 25);
    let turns = Turns {
        budget: CallBudget { per_second: 25, in_flight_max: 0 },
        wait_max: Duration::from_secs(30),
        calls_at_once_max: 75,
    };
    let outcome = perform(orders(COUNT as u64), &providers, STAGE_LIMITS, turns);
    all_delivered_and_charged_once(&outcome, &providers, COUNT as u64);
    let state = providers.state.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(state.turned_away, 0, "none was asked twice");
    let mut by_age = state.charged.clone();
    by_age.sort_unstable();
    let place = |key: &String| by_age.binary_search(key).expect("it was charged");
    let displaced = state.charged.iter().enumerate().map(|(at, key)| at.abs_diff(place(key))).max();
    assert!(displaced.is_some_and(|places| places <= COUNT / 100), "{displaced:?}");
}
