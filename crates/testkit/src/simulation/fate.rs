//! What may go wrong, as questions that the parts of a simulation ask: of the store at each durable step, of the providers
//! at each call. Who answers decides what is tested; the answers never depend on what the pipeline believes.

use std::time::Duration;

use bus::{Envelope, Timer};

/// A durable step of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepKind {
    /// A transaction begins.
    Begin,
    /// A transaction commits.
    Commit,
}

/// What becomes of a durable step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepFate {
    /// It is done.
    Done,
    /// It is not done: the store is away for a moment.
    Away,
    /// It is not done: another transaction won.
    Conflict,
    /// It is done, but the store went away before it could say so.
    AnswerLost,
    /// The worker dies just before it.
    CrashBefore,
    /// The worker dies just after it.
    CrashAfter,
}

/// Decides what becomes of the store's steps and of what is published.
pub trait StoreFate: Send + Sync + 'static {
    /// What becomes of this step of this worker.
    fn step(&self, worker: usize, kind: StepKind) -> StepFate;

    /// What becomes of a message about to be published.
    fn publication(&self, envelope: &Envelope) -> Publication;

    /// Whether a broker between the workers loses a message that it has confirmed.
    fn is_lost_at_broker(&self, _envelope: &Envelope) -> bool {
        false
    }

    /// Whether a message goes over the broker where some may stay with the store.
    fn leaves(&self, _envelope: &Envelope) -> bool {
        false
    }

    /// Whether the store forgets a timer that is set. No honest store does.
    fn forgets(&self, _timer: &Timer) -> bool {
        false
    }
}

/// What becomes of a published message, once committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// It arrives.
    Once,
    /// It arrives, and again after this time.
    Again(Duration),
    /// It never arrives: a broker had it, and lost it.
    Lost,
}

/// A call to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// Take the money.
    Charge,
    /// Have it authorised.
    Authorise,
    /// Take what is authorised.
    Capture,
    /// What became of the charge?
    LookUpCharge,
    /// Void or refund it.
    CancelCharge,
    /// Book a parcel.
    Book,
    /// Where is the parcel?
    LookUpParcel,
    /// Call the parcel back.
    CancelParcel,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFate {
    /// Done and answered.
    Answered,
    /// The provider says that it did nothing.
    NotDone,
    /// Done, but the answer is lost.
    AnswerLost,
    /// Done, but the answer names another amount, which makes it none: whoever asks is told so at once.
    OtherAmount,
    /// Lost on the way there; the caller cannot tell.
    RequestLost,
    /// The caller gives up; the request arrives all the same, so much later.
    ArrivesLater(Duration),
}

/// How one call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallPlan {
    /// How long it takes, there and back.
    pub latency: Duration,
    /// What becomes of it.
    pub fate: CallFate,
}

/// What a provider says to a request that it has never heard before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// It will.
    Yes,
    /// It never will.
    No,
}

/// How a booked parcel travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carriage {
    /// From booking to the carrier's van, past which it cannot be called back.
    pub handover: Duration,
    /// From there to the customer.
    pub transit: Duration,
}

/// What somebody else does at a provider, that nobody here asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// An authorisation ends before its time.
    Lapse,
    /// All the money is given back by hand.
    Refund,
    /// Half of it is.
    RefundInPart,
    /// The bank disputes the charge.
    Dispute,
    /// The gateway tells of another charge for the same order.
    SecondCharge,
    /// It tells of money, or of a parcel, that is nobody's here.
    Foreign,
    /// It tells of our charge with another amount.
    OtherAmount,
    /// It tells of our charge in another currency.
    OtherCurrency,
    /// The parcel cannot be delivered at once.
    ParcelException,
}

/// Decides how providers behave.
pub trait ProviderFate: Send + Sync + 'static {
    /// What somebody else does to this charge or parcel, and how long after it was made.
    fn trouble(&self, _call: Call, _key: &str) -> Option<(Trouble, Duration)> {
        None
    }

    /// How this call under this key goes.
    fn call(&self, call: Call, key: &str) -> CallPlan;

    /// Whether the answer to a cancellation names less than was given back.
    fn tells_less(&self) -> bool {
        false
    }

    /// Whether a charge or booking is agreed to.
    fn consent(&self, call: Call, key: &str) -> Consent;

    /// When the copies of a webhook arrive, counted from the event; none if it is lost.
    fn letters(&self) -> Vec<Duration>;

    /// How a parcel travels.
    fn carriage(&self) -> Carriage;
}
