//! A seed's own mixture of misfortunes. Each seed has some kinds of trouble and is spared others, so that rare combinations
//! come about; when the storm is over, everything works, and whatever is still open must come to its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bus::{Envelope, Timer};
use tokio::time::Instant;

use super::broker::Wiring;
use super::dice::Dice;
use super::fate::{
    Call, CallFate, CallPlan, Carriage, Consent, ProviderFate, Publication, StepFate, StepKind, StoreFate,
    Trouble,
};
use super::transport::{Contact, TransportFate};

/// How often, in a thousand, something goes wrong while the storm lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rates {
    declined: u64,
    refused: u64,
    not_done: u64,
    answer_lost: u64,
    request_lost: u64,
    arrives_later: u64,
    stubborn_keys: u64,
    letter_lost: u64,
    letter_again: u64,
    store_away: u64,
    conflict: u64,
    commit_answer_lost: u64,
    crash: u64,
    echo: u64,
    held_back: u64,
    transport_away: u64,
}

/// Whether messages may vanish, as they do with a broker that loses what it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leak {
    /// None does.
    #[default]
    Tight,
    /// One in so many is gone, timers' messages too, in the calm as in the storm.
    OneIn(u64),
    /// The same, and the store forgets one in so many timers as well, which no honest store does. It shows that the checks see it.
    TimersToo(u64),
}

/// The weather of one seed.
pub(super) struct Weather {
    rates: Rates,
    leak: Leak,
    wiring: Wiring,
    latency_max: Duration,
    hold_max: Duration,
    handover_max: Duration,
    transit_max: Duration,
    calm: AtomicBool,
    outages: [Outage; 2],
    began_at: OnceLock<Instant>,
    store: Dice,
    providers: Dice,
    transport: Dice,
    post: Dice,
    meddlers: Dice,
    meddling: u64,
    /// Answers with another amount, in a thousand, and their own dice.
    other_amounts: (u64, Dice),
}

/// Others meddle at most so long after a charge or booking.
const MEDDLE_AFTER_MAX: Duration = Duration::from_secs(20);

/// A letter is at most so late.
const LETTER_LATE_MAX: Duration = Duration::from_secs(20);

/// A request that was given up arrives at most so late.
const REQUEST_LATE_MAX: Duration = Duration::from_secs(15);

/// An echo comes at most so late.
const ECHO_LATE_MAX: Duration = Duration::from_secs(20);

/// Of a thousand messages so many go over the broker where some may stay with the store.
const LEAVING: u64 = 500;

/// A provider is away for a while, or lets only so many calls a second through.
#[derive(Debug, Default)]
struct Outage {
    from: Duration,
    to: Duration,
    per_second: u32,
    /// When the next call would be let through, counted from the beginning.
    next: Mutex<Duration>,
}

/// An outage lasts at most so long: longer than the limits of payment and booking, shorter than that of the order.
const OUTAGE_MAX: Duration = Duration::from_secs(40);

impl Outage {
    fn of(dice: &Dice) -> Self {
        if dice.chance(400) {
            return Self::default();
        }
        let from = dice.time(Duration::from_secs(20));
        let per_second = *dice.pick(&[0, 0, 1, 3]);
        Self { from, to: from + dice.time(OUTAGE_MAX), per_second, next: Mutex::default() }
    }

    fn turns_away(&self, since: Duration) -> bool {
        if since < self.from || since >= self.to {
            return false;
        }
        let Some(apart) = Duration::from_secs(1).checked_div(self.per_second) else { return true };
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turned_away = since < *next;
        if !turned_away {
            *next = since + apart;
        }
        turned_away
    }
}

impl Weather {
    /// Whether the provider of this call is away, or was called too often.
    fn is_away(&self, call: Call) -> bool {
        let since = self.began_at.get_or_init(Instant::now).elapsed();
        let provider = match call {
            Call::Charge | Call::Authorise | Call::Capture | Call::LookUpCharge | Call::CancelCharge => 0,
            Call::Book | Call::LookUpParcel | Call::CancelParcel => 1,
        };
        self.storms() && self.outages[provider].turns_away(since)
    }

    pub(super) fn of(seed: u64, leak: Leak, wiring: Wiring) -> Self {
        let dice = Dice::of(seed, "weather");
        // Half of the seeds are spared each kind of trouble.
        let rate = |most: u64| if dice.chance(500) { 0 } else { dice.below(most + 1) };
        let rates = Rates {
            declined: rate(400),
            refused: rate(300),
            not_done: rate(300),
            answer_lost: rate(300),
            request_lost: rate(300),
            arrives_later: rate(200),
            stubborn_keys: rate(200),
            letter_lost: rate(600),
            letter_again: rate(600),
            store_away: rate(60),
            conflict: rate(60),
            commit_answer_lost: rate(60),
            crash: rate(25),
            echo: rate(300),
            held_back: rate(400),
            transport_away: rate(60),
        };
        let times = [200, 2_000, 5_000].map(Duration::from_millis);
        let long_times = [500, 5_000, 20_000].map(Duration::from_millis);
        let meddlers = Dice::of(seed, "meddlers");
        let amounts = Dice::of(seed, "other amounts");
        Self {
            other_amounts: (if amounts.chance(500) { 0 } else { amounts.below(200) }, amounts),
            meddling: if meddlers.chance(500) { 0 } else { meddlers.below(200) },
            meddlers,
            rates,
            leak,
            wiring,
            latency_max: *dice.pick(&times),
            hold_max: *dice.pick(&long_times),
            handover_max: *dice.pick(&long_times),
            transit_max: *dice.pick(&long_times),
            calm: AtomicBool::new(false),
            outages: [Dice::of(seed, "gateway away"), Dice::of(seed, "carrier away")]
                .map(|dice| Outage::of(&dice)),
            began_at: OnceLock::new(),
            store: Dice::of(seed, "store"),
            providers: Dice::of(seed, "providers"),
            transport: Dice::of(seed, "transport"),
            post: Dice::of(seed, "post"),
        }
    }

    /// The storm is over.
    pub(super) fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    fn storms(&self) -> bool {
        !self.calm.load(Ordering::Relaxed)
    }

    /// Whether something of this rate happens now, by these dice.
    fn strikes(&self, dice: &Dice, per_mille: u64) -> bool {
        self.storms() && dice.chance(per_mille)
    }

    /// Whether a message is gone now.
    fn leaks(&self) -> bool {
        matches!(self.leak, Leak::OneIn(many) | Leak::TimersToo(many) if self.store.below(many) == 0)
    }

    fn names_another_amount(&self) -> bool {
        let (rate, dice) = &self.other_amounts;
        self.strikes(dice, *rate)
    }

    /// Some keys get no answer to their undoing until the storm is over.
    fn is_stubborn(&self, call: Call, key: &str) -> bool {
        let undoing = matches!(call, Call::CancelCharge | Call::CancelParcel);
        let lot = key.bytes().fold(17_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        undoing && self.storms() && lot % 1_000 < self.rates.stubborn_keys
    }
}

impl StoreFate for Weather {
    fn step(&self, _worker: usize, kind: StepKind) -> StepFate {
        let rates = &self.rates;
        let fates = match kind {
            StepKind::Begin => [
                (rates.crash, StepFate::CrashBefore),
                (rates.store_away, StepFate::Away),
                (0, StepFate::Done),
                (0, StepFate::Done),
                (0, StepFate::Done),
            ],
            StepKind::Commit => [
                (rates.crash, StepFate::CrashBefore),
                (rates.crash, StepFate::CrashAfter),
                (rates.store_away, StepFate::Away),
                (rates.conflict, StepFate::Conflict),
                (rates.commit_answer_lost, StepFate::AnswerLost),
            ],
        };
        let struck = fates.into_iter().find(|(rate, _)| self.strikes(&self.store, *rate));
        struck.map_or(StepFate::Done, |(_, fate)| fate)
    }

    fn forgets(&self, _timer: &Timer) -> bool {
        matches!(self.leak, Leak::TimersToo(many) if self.store.below(many) == 0)
    }

    fn is_lost_at_broker(&self, _envelope: &Envelope) -> bool {
        self.wiring != Wiring::Store && self.leaks()
    }

    fn leaves(&self, _envelope: &Envelope) -> bool {
        self.store.chance(LEAVING)
    }

    fn publication(&self, _envelope: &Envelope) -> Publication {
        if self.wiring == Wiring::Store && self.leaks() {
            return Publication::Lost;
        }
        if self.strikes(&self.store, self.rates.echo) {
            Publication::Again(self.store.time(ECHO_LATE_MAX))
        } else {
            Publication::Once
        }
    }
}

impl ProviderFate for Weather {
    fn trouble(&self, call: Call, _key: &str) -> Option<(Trouble, Duration)> {
        if !self.strikes(&self.meddlers, self.meddling) {
            return None;
        }
        let troubles: &[Trouble] = match call {
            Call::Authorise => &[Trouble::Lapse],
            Call::Charge | Call::Capture => &[
                Trouble::Refund,
                Trouble::RefundInPart,
                Trouble::Dispute,
                Trouble::SecondCharge,
                Trouble::Foreign,
                Trouble::OtherAmount,
                Trouble::OtherCurrency,
            ],
            Call::Book => &[Trouble::ParcelException, Trouble::Foreign],
            Call::LookUpCharge | Call::CancelCharge | Call::LookUpParcel | Call::CancelParcel => return None,
        };
        Some((*self.meddlers.pick(troubles), self.meddlers.time(MEDDLE_AFTER_MAX)))
    }

    fn call(&self, call: Call, key: &str) -> CallPlan {
        let latency = if self.storms() { self.providers.time(self.latency_max) } else { Duration::ZERO };
        if self.is_away(call) {
            return CallPlan { latency, fate: CallFate::NotDone };
        }
        if self.is_stubborn(call, key) {
            return CallPlan { latency, fate: CallFate::RequestLost };
        }
        let about_money = matches!(call, Call::Charge | Call::Authorise | Call::Capture | Call::LookUpCharge);
        if about_money && self.names_another_amount() {
            return CallPlan { latency, fate: CallFate::OtherAmount };
        }
        let rates = &self.rates;
        let fates = [
            (rates.not_done, CallFate::NotDone),
            (rates.answer_lost, CallFate::AnswerLost),
            (rates.request_lost, CallFate::RequestLost),
            (rates.arrives_later, CallFate::ArrivesLater(self.providers.time(REQUEST_LATE_MAX))),
        ];
        let struck = fates.into_iter().find(|(rate, _)| self.strikes(&self.providers, *rate));
        CallPlan { latency, fate: struck.map_or(CallFate::Answered, |(_, fate)| fate) }
    }

    fn tells_less(&self) -> bool {
        self.names_another_amount()
    }

    fn consent(&self, call: Call, _key: &str) -> Consent {
        let rate = match call {
            Call::Book => self.rates.refused,
            // What is authorised is seldom refused.
            Call::Capture => self.rates.declined / 4,
            Call::Charge
            | Call::Authorise
            | Call::LookUpCharge
            | Call::CancelCharge
            | Call::LookUpParcel
            | Call::CancelParcel => self.rates.declined,
        };
        if self.strikes(&self.providers, rate) { Consent::No } else { Consent::Yes }
    }

    fn letters(&self) -> Vec<Duration> {
        let mut letters = Vec::new();
        if !self.strikes(&self.post, self.rates.letter_lost) {
            letters.push(self.post.time(LETTER_LATE_MAX));
        }
        if self.strikes(&self.post, self.rates.letter_again) {
            letters.push(self.post.time(LETTER_LATE_MAX));
        }
        letters
    }

    fn carriage(&self) -> Carriage {
        Carriage {
            handover: self.providers.time(self.handover_max),
            transit: self.providers.time(self.transit_max),
        }
    }
}

impl TransportFate for Weather {
    fn delay(&self) -> Duration {
        if self.strikes(&self.transport, self.rates.held_back) {
            self.transport.time(self.hold_max)
        } else {
            Duration::ZERO
        }
    }

    fn call(&self) -> Contact {
        if self.strikes(&self.transport, self.rates.transport_away) { Contact::Away } else { Contact::There }
    }

    fn dice(&self) -> &Dice {
        &self.transport
    }
}
