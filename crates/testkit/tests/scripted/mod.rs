//! Fates written down beforehand, for tests that know what should come of them: a store that dies at one chosen step, and
//! providers that answer by rule and never by chance.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use application::hold_rules::HoldRules;
use bus::Envelope;
use domain::Capture;
use orderwright_testkit::simulation::{
    Call, CallFate, CallPlan, Carriage, Consent, Habit, HandOver, Honesty, Outcome, ProviderFate,
    Publication, SHORT_LIMITS, Script, Staging, StepFate, StepKind, StoreFate, Trace, Turns, Wiring, Wish,
    line, new_product, play, sku,
};

/// Where the store's worker dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    Never,
    Before(usize),
    After(usize),
}

/// How often a published message arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copies {
    One,
    /// Two, the second so much later.
    Two(Duration),
    /// One, but for the chosen message, which is lost.
    OneButFor(usize),
    /// None of those that are published first.
    NoneOfTheFirst(usize),
}

/// A store that counts its steps and dies at one of them.
pub(crate) struct ChosenStep {
    crash: Crash,
    copies: Copies,
    steps: AtomicUsize,
    struck: AtomicUsize,
    published: AtomicUsize,
}

impl ChosenStep {
    pub(crate) fn new(crash: Crash, copies: Copies) -> Arc<Self> {
        let none = AtomicUsize::default;
        Arc::new(Self { crash, copies, steps: none(), struck: none(), published: none() })
    }

    /// Messages published so far.
    pub(crate) fn published(&self) -> usize {
        self.published.load(Ordering::Relaxed)
    }

    /// Steps taken so far.
    pub(crate) fn steps(&self) -> usize {
        self.steps.load(Ordering::Relaxed)
    }

    /// How often the chosen step was reached.
    pub(crate) fn struck(&self) -> usize {
        self.struck.load(Ordering::Relaxed)
    }
}

impl StoreFate for ChosenStep {
    fn step(&self, _worker: usize, _kind: StepKind) -> StepFate {
        let ordinal = self.steps.fetch_add(1, Ordering::Relaxed);
        let fate = match self.crash {
            Crash::Before(chosen) if chosen == ordinal => StepFate::CrashBefore,
            Crash::After(chosen) if chosen == ordinal => StepFate::CrashAfter,
            Crash::Never | Crash::Before(_) | Crash::After(_) => return StepFate::Done,
        };
        self.struck.fetch_add(1, Ordering::Relaxed);
        fate
    }

    fn publication(&self, _envelope: &Envelope) -> Publication {
        let ordinal = self.published.fetch_add(1, Ordering::Relaxed);
        match self.copies {
            Copies::OneButFor(chosen) if chosen == ordinal => Publication::Lost,
            Copies::NoneOfTheFirst(count) if ordinal < count => Publication::Lost,
            Copies::One | Copies::OneButFor(_) | Copies::NoneOfTheFirst(_) => Publication::Once,
            Copies::Two(after) => Publication::Again(after),
        }
    }
}

/// Providers that answer by rule.
pub(crate) struct Rules {
    /// Time that each charge and each booking takes.
    pub(crate) latency: Duration,
    /// What the gateway says to a charge, and the carrier to a booking.
    pub(crate) consent: fn(Call, &str) -> Consent,
    /// How often the first undoings go unanswered.
    pub(crate) unanswered_undoings: usize,
    /// How often the first charges and bookings are done, with the answer lost.
    pub(crate) lost_answers: usize,
    /// How messages between consumers without effects travel.
    pub(crate) hand_over: HandOver,
    /// Whether the gateway keeps its word.
    pub(crate) honesty: Honesty,
    /// When the money is taken.
    pub(crate) capture: Capture,
    pub(crate) calls: Mutex<BTreeMap<Call, usize>>,
}

impl Rules {
    pub(crate) fn new(consent: fn(Call, &str) -> Consent) -> Self {
        Self {
            latency: Duration::ZERO,
            consent,
            unanswered_undoings: 0,
            lost_answers: 0,
            hand_over: HandOver::ByQueue,
            honesty: Honesty::OneChargePerKey,
            capture: Capture::AtOnce,
            calls: Mutex::default(),
        }
    }

    /// How often this call was made.
    pub(crate) fn calls(&self, call: Call) -> usize {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).get(&call).copied().unwrap_or(0)
    }

    fn count(&self, call: Call) -> usize {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let count = calls.entry(call).or_default();
        *count += 1;
        *count
    }
}

impl ProviderFate for Rules {
    fn call(&self, call: Call, _key: &str) -> CallPlan {
        let count = self.count(call);
        let (latency, fate) = match call {
            Call::Charge | Call::Authorise | Call::Capture | Call::Book if count <= self.lost_answers => {
                (self.latency, CallFate::AnswerLost)
            }
            Call::Charge | Call::Authorise | Call::Capture | Call::Book => (self.latency, CallFate::Answered),
            Call::CancelCharge | Call::CancelParcel if count <= self.unanswered_undoings => {
                (Duration::ZERO, CallFate::RequestLost)
            }
            Call::LookUpCharge | Call::LookUpParcel | Call::CancelCharge | Call::CancelParcel => {
                (Duration::ZERO, CallFate::Answered)
            }
        };
        CallPlan { latency, fate }
    }

    fn consent(&self, call: Call, key: &str) -> Consent {
        (self.consent)(call, key)
    }

    fn letters(&self) -> Vec<Duration> {
        vec![Duration::from_millis(50)]
    }

    fn carriage(&self) -> Carriage {
        Carriage { handover: Duration::from_secs(3), transit: Duration::from_millis(500) }
    }
}

/// Everybody agrees to everything.
pub(crate) fn willing(_call: Call, _key: &str) -> Consent {
    Consent::Yes
}

/// A script with one order of one product.
pub(crate) fn one_order(stock: i64, regret: Option<Duration>) -> Script {
    let wish = Wish {
        at: Duration::ZERO,
        lines: vec![line(sku(0), 2)],
        regret,
        presses: 1,
        holds: Vec::new(),
        when_short: None,
        second_thought: None,
    };
    Script {
        products: vec![new_product(0, 1_250, stock)],
        wishes: vec![wish],
        events: Vec::new(),
        storm: Duration::from_secs(1),
        hold_rules: HoldRules::default(),
    }
}

/// One worker through this script.
pub(crate) fn perform(
    script: Script,
    store: &Arc<ChosenStep>,
    rules: &Arc<Rules>,
    batch_max: usize,
) -> Outcome {
    let staging = Staging {
        script,
        store_fate: Arc::clone(store) as _,
        provider_fate: Arc::clone(rules) as _,
        transport_fate: None,
        honesty: rules.honesty,
        // A person who tries again would hide that nobody else did.
        habit: match store.copies {
            Copies::One | Copies::Two(_) => Habit::Patient,
            Copies::OneButFor(_) | Copies::NoneOfTheFirst(_) => Habit::Absent,
        },
        workers: 1,
        batch_max,
        hand_over: rules.hand_over,
        limits: SHORT_LIMITS,
        capture: rules.capture,
        turns: Turns::default(),
        seed: 11,
        trace: Trace::Off,
        wiring: Wiring::Store,
    };
    play(staging, || {})
}
