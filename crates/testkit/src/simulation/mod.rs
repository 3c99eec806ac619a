//! The whole pipeline on virtual time, seed by seed: workers that die between any two steps, messages that come late, twice
//! and out of order, providers at their worst, clocks that jump, people who change their minds. Whatever happens, the six
//! invariants hold, and the same seed happens again in the same way.

mod broker;
mod carrier;
mod conditions;
mod customers;
mod destinations;
mod dice;
mod errands;
mod fate;
mod fewer;
mod findings;
mod fleet;
mod gateway;
mod holds;
mod journal;
mod mail;
mod operator;
mod provider_line;
mod returns;
mod script;
mod stage;
mod store;
mod transport;
mod unit;
mod verdict;
mod weather;

use std::sync::Arc;

pub use application::pipeline::HandOver;
use domain::Capture;

pub use self::broker::Wiring;
pub use self::dice::Dice;
pub use self::fate::{
    Call, CallFate, CallPlan, Carriage, Consent, ProviderFate, Publication, StepFate, StepKind, StoreFate,
};
pub use self::findings::Finding;
pub use self::gateway::Honesty;
pub use self::journal::Trace;
pub use self::operator::Habit;
pub use self::script::{Event, Script, Wish, facts_of, line, new_product, sku};
pub use self::stage::{Outcome, SHORT_LIMITS, Staging, Turns, UNDO_RETRIES_MAX, play};
pub use self::transport::{Contact, TransportFate};
pub use self::verdict::Endings;
pub use self::weather::Leak;

use self::weather::Weather;

/// What is broken on purpose, to show that the checks see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sabotage {
    /// The gateway's.
    pub honesty: Honesty,
    /// The store's.
    pub leak: Leak,
}

/// Runs one seed with everything in order, apart from everything that goes wrong.
#[must_use]
pub fn run(seed: u64, trace: Trace) -> Outcome {
    run_sabotaged(seed, trace, Sabotage::default())
}

/// Runs one seed in a world that breaks its word, with the wiring that its dice choose.
#[must_use]
pub fn run_sabotaged(seed: u64, trace: Trace, sabotage: Sabotage) -> Outcome {
    run_wired(seed, trace, sabotage, wiring(seed))
}

/// The wiring that the dice of this seed choose.
#[must_use]
pub fn wiring(seed: u64) -> Wiring {
    *Dice::of(seed, "wiring").pick(&Wiring::ALL)
}

/// The same with this wiring.
#[must_use]
pub fn run_wired(seed: u64, trace: Trace, sabotage: Sabotage, wiring: Wiring) -> Outcome {
    let weather = Arc::new(Weather::of(seed, sabotage.leak, wiring));
    let dice = Dice::of(seed, "staging");
    let staging = Staging {
        script: Script::of(seed),
        store_fate: Arc::clone(&weather) as _,
        provider_fate: Arc::clone(&weather) as _,
        transport_fate: Some(Arc::clone(&weather) as _),
        honesty: sabotage.honesty,
        habit: Habit::Impatient,
        workers: 2,
        batch_max: *dice.pick(&[1, 2, 7, bus::limits::BATCH_MAX]),
        hand_over: *dice.pick(&[HandOver::InUnit, HandOver::ByQueue]),
        limits: SHORT_LIMITS,
        capture: *Dice::of(seed, "capture").pick(Capture::ALL),
        turns: Turns::default(),
        wiring,
        seed,
        trace,
    };
    play(staging, move || weather.calm_down())
}
