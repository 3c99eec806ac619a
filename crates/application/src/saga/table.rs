//! The saga as a table: what each state does about each event. It is the only source: diagram, documentation, model
//! checker and reaction all read it.

use super::SagaState;

/// The events of an order, without their details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// The order passed validation.
    OrderValidated,
    /// It did not.
    OrderRejected,
    /// Every line is reserved.
    InventoryReserved,
    /// Some line cannot be reserved.
    InventoryShort,
    /// The gateway was called, and the call was let through.
    PaymentStarted,
    /// The money is authorised, and to be captured once the goods are shipped.
    PaymentAuthorised,
    /// The gateway has the money.
    PaymentCaptured,
    /// The gateway refuses for good, or an authorisation is gone.
    PaymentDeclined,
    /// A capture used up its retries, or got an answer that is none.
    CaptureFailed,
    /// The carrier was called, the call was let through, and there is no answer.
    ShippingStarted,
    /// The carrier has the parcel.
    ShipmentBooked,
    /// The carrier refuses for good.
    ShipmentRefused,
    /// The customer has the parcel.
    ParcelDelivered,
    /// A cancellation was requested.
    CancelRequested,
    /// The order took too long as a whole.
    OrderTimedOut,
    /// The payment took too long.
    PaymentTimedOut,
    /// The booking took too long.
    ShippingTimedOut,
    /// A capture takes long: the gateway may be away, or the request lost.
    CaptureTimedOut,
    /// The authorisation ends soon, and the money is not captured.
    AuthorisationEnding,
    /// The carrier has been silent for a while.
    DeliveryPollDue,
    /// A compensation step takes long: the provider may be away, or the request lost.
    UndoTimedOut,
    /// The carrier has cancelled the parcel.
    ShipmentCancelled,
    /// The carrier cannot cancel it any more.
    ShipmentKept,
    /// The gateway has closed the key with no money taken.
    PaymentVoided,
    /// The gateway has given the money back.
    PaymentRefunded,
    /// A compensation step used up its retries.
    UndoFailed,
    /// A person chose to retry.
    OperatorRetry,
    /// A person settled this step by hand.
    OperatorSkip,
    /// A person closes the order, whatever is left to do.
    OperatorForce,
    /// All the money was refunded elsewhere.
    MoneyReturned,
    /// Part of the money was refunded elsewhere.
    MoneyReturnedInPart,
    /// The gateway has charged a second time.
    SecondCharge,
    /// The second charge was refunded.
    SecondChargeReturned,
    /// The gateway reports another amount or currency than was requested.
    AmountMismatch,
    /// The customer's bank disputes the charge.
    PaymentDisputed,
    /// The dispute is over and the money is ours.
    DisputeWon,
    /// The dispute is over and the money is gone.
    DisputeLost,
    /// The carrier cannot deliver for now.
    ParcelDelayed,
    /// The carrier has lost the parcel.
    ParcelLost,
    /// The parcel is damaged.
    ParcelDamaged,
    /// The parcel is on its way back, or is back.
    ParcelReturned,
    /// The order is to wait before its payment or its parcel.
    HoldPlaced,
    /// The last hold before its payment or its parcel is released.
    HoldReleased,
    /// Goods are there that may be enough for an order that waits for them.
    StockArrived,
    /// An order has waited for its goods as long as it may.
    StockTimedOut,
}

/// What a state does about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Request stock.
    Reserve,
    /// Wait for the goods, if the order wants to; else compensate.
    Lack,
    /// Request stock once more.
    ReserveAgain,
    /// Record the reservation, request payment.
    Pay,
    /// Record that the gateway was called; its limit starts.
    Await,
    /// The carrier's limit starts.
    Clock,
    /// Record the authorisation, request shipping.
    Secure,
    /// Record the payment, request shipping.
    Ship,
    /// Record that authorised money was captured before the parcel left.
    Collect,
    /// Record that authorised money was captured; complete an order that is delivered.
    Settle,
    /// The authorisation is gone: compensate.
    Lapse,
    /// The authorisation is gone and the parcel has left: wait for a person.
    Owe,
    /// Request the capture again.
    Recapture,
    /// Record the parcel, wait for delivery.
    Track,
    /// Ask the carrier where the parcel is.
    Poll,
    /// Done.
    Complete,
    /// Compensate, last step first.
    Undo,
    /// Record a late fact; it will be compensated too.
    Note,
    /// Record a fact after the end; compensate it if necessary.
    Reopen,
    /// A compensation step is done: go on with the next.
    Next,
    /// The parcel cannot be stopped: the order goes forward after all.
    Forward,
    /// Request the due compensation step again.
    Urge,
    /// Wait for a person.
    Park,
    /// Wait for a person, and record the cause.
    Ask,
    /// Record what answers a question to a person; go on if it was the last.
    Answered,
    /// The money is refunded already: compensate the rest.
    Unpaid,
    /// Record that the parcel arrived; go on if that was the question.
    Arrive,
    /// Cancel an order that waits for a person, unless its parcel has left.
    CallOff,
    /// Retry the compensation step.
    Again,
    /// Count the step as settled, go on with the next.
    Waive,
    /// Count every step as settled.
    Close,
    /// Record a hold, if the step that it is about was not asked for.
    PlaceHold,
    /// Record that no hold is left before a step.
    LiftHold,
    /// The same, for an order that waits for it: ask for the step.
    GoOn,
    /// A repeat, or too late to matter.
    Ignore,
    /// Too early: park it.
    Early,
    /// Too early if nothing was asked of the gateway, else a repeat.
    EarlyIfUnasked,
    /// No longer possible: refuse it.
    Refuse,
}

use EventKind as E;
use Rule::{
    Again, Answered, Arrive, Ask, Await, CallOff, Clock, Close, Collect, Complete, Early, EarlyIfUnasked,
    Forward, GoOn, Ignore, Lack, Lapse, LiftHold, Next, Note, Owe, Park, Pay, PlaceHold, Poll, Recapture,
    Refuse, Reopen, Reserve, ReserveAgain, Secure, Settle, Ship, Track, Undo, Unpaid, Urge, Waive,
};

/// States in the order of the table's columns.
pub const STATES: [SagaState; 12] = [
    SagaState::Created,
    SagaState::InventoryReserved,
    SagaState::PaymentProcessing,
    SagaState::Authorised,
    SagaState::Paid,
    SagaState::Shipped,
    SagaState::Completed,
    SagaState::Failed,
    SagaState::Compensating,
    SagaState::NeedsAttention,
    SagaState::OnHold,
    SagaState::AwaitingStock,
];

/// One line per event, one column per state. Total by its type: a missing cell does not compile.
#[rustfmt::skip]
pub const TABLE: [(EventKind, [Rule; 12]); 45] = [
    //                         Created     InvReserved  PayProcess  Authorised  Paid       Shipped     Completed  Failed     Compensating  NeedsAttent.  OnHold          AwaitStock
    (E::OrderValidated,      [Reserve,    Ignore,      Ignore,     Ignore,     Ignore,    Ignore,     Ignore,    Ignore,    Ignore,       Ignore,       Ignore,         Ignore]),
    (E::OrderRejected,       [Undo,       Ignore,      Ignore,     Ignore,     Ignore,    Ignore,     Ignore,    Ignore,    Ignore,       Ignore,       Ignore,         Ignore]),
    (E::InventoryReserved,   [Pay,        Ignore,      Ignore,     Ignore,     Ignore,    Ignore,     Ignore,    Ignore,    Ignore,       Ignore,       Ignore,         Ignore]),
    (E::InventoryShort,      [Lack,       Ignore,      Ignore,     Ignore,     Ignore,    Ignore,     Ignore,    Ignore,    Ignore,       Ignore,       Ignore,         Ignore]),
    (E::PaymentStarted,      [Ignore,     Await,       Ignore,     Ignore,     Ignore,    Ignore,     Ignore,    Ignore,    Ignore,       Ignore,       Ignore,         Ignore]),
    (E::PaymentAuthorised,   [Early,      Secure,      Secure,     Ignore,     Ignore,    Ignore,     Ignore,    Reopen,    Note,         Note,         EarlyIfUnasked, Early]),
    (E::PaymentCaptured,     [Early,      Ship,        Ship,       Collect,    Ignore,    Settle,    Ignore,    Reopen,    Note,         Answered,     Collect,        Early]),
    (E::PaymentDeclined,     [Early,      Undo,        Undo,       Lapse,      Ignore,    Owe,        Ignore,    Ignore,    Note,         Note,         Lapse,          Early]),
    (E::CaptureFailed,       [Ignore,     Ignore,      Ignore,     Ask,        Ignore,    Ask,        Ignore,    Ignore,    Ignore,       Ask,          Ask,            Ignore]),
    (E::ShippingStarted,     [Ignore,     Ignore,      Ignore,     Clock,      Clock,     Ignore,     Ignore,    Ignore,    Ignore,       Ignore,       Ignore,         Ignore]),
    (E::ShipmentBooked,      [Early,      Early,       Early,      Track,      Track,     Ignore,     Ignore,    Reopen,    Note,         Note,         Early,          Early]),
    (E::ShipmentRefused,     [Early,      Early,       Early,      Undo,       Undo,      Ignore,     Ignore,    Ignore,    Note,         Note,         Early,          Early]),
    (E::ParcelDelivered,     [Early,      Early,       Early,      Early,      Early,     Complete,   Ignore,    Ask,       Early,        Arrive,       Early,          Early]),
    (E::CancelRequested,     [Undo,       Undo,        Undo,       Undo,       Undo,      Refuse,     Refuse,    Ignore,    Ignore,       CallOff,      Undo,           Undo]),
    (E::OrderTimedOut,       [Undo,       Undo,        Undo,       Undo,       Undo,      Ignore,     Ignore,    Ignore,    Ignore,       Ignore,       Ignore,         Ignore]),
    (E::PaymentTimedOut,     [Ignore,     Undo,        Undo,       Ignore,     Ignore,    Ignore,     Ignore,    Ignore,    Ignore,       Ignore,       Ignore,         Ignore]),
    (E::ShippingTimedOut,    [Ignore,     Ignore,      Ignore,     Undo,       Undo,      Ignore,     Ignore,    Ignore,    Ignore,       Ignore,       Ignore,         Ignore]),
    (E::CaptureTimedOut,     [Ignore,     Ignore,      Ignore,     Recapture,  Ignore,    Recapture,  Ignore,    Ignore,    Ignore,       Ignore,       Recapture,      Ignore]),
    (E::AuthorisationEnding, [Ignore,     Ignore,      Ignore,     Ask,        Ignore,    Ask,        Ignore,    Ignore,    Ignore,       Ask,          Ask,            Ignore]),
    (E::DeliveryPollDue,     [Ignore,     Ignore,      Ignore,     Ignore,     Ignore,    Poll,       Ignore,    Ignore,    Ignore,       Ignore,       Ignore,         Ignore]),
    (E::UndoTimedOut,        [Ignore,     Ignore,      Ignore,     Ignore,     Ignore,    Ignore,     Ignore,    Ignore,    Urge,         Ignore,       Ignore,         Ignore]),
    (E::ShipmentCancelled,   [Ignore,     Ignore,      Ignore,     Ignore,     Ignore,    Ignore,     Ignore,    Ignore,    Next,         Next,         Ignore,         Ignore]),
    (E::ShipmentKept,        [Ignore,     Ignore,      Ignore,     Ignore,     Ignore,    Ignore,     Ignore,    Ignore,    Forward,      Forward,      Ignore,         Ignore]),
    (E::PaymentVoided,       [Ignore,     Ignore,      Ignore,     Ignore,     Ignore,    Ignore,     Ignore,    Ignore,    Next,         Next,         Ignore,         Ignore]),
    (E::PaymentRefunded,     [Ignore,     Ignore,      Ignore,     Ignore,     Ignore,    Ignore,     Ignore,    Ignore,    Next,         Next,         Ignore,         Ignore]),
    (E::UndoFailed,          [Ignore,     Ignore,      Ignore,     Ignore,     Ignore,    Ignore,     Ignore,    Ignore,    Park,         Ignore,       Ignore,         Ignore]),
    (E::OperatorRetry,       [Refuse,     Refuse,      Refuse,     Refuse,     Refuse,    Refuse,     Refuse,    Refuse,    Refuse,       Again,        Refuse,         Refuse]),
    (E::OperatorSkip,        [Refuse,     Refuse,      Refuse,     Refuse,     Refuse,    Refuse,     Refuse,    Refuse,    Refuse,       Waive,        Refuse,         Refuse]),
    (E::OperatorForce,       [Refuse,     Refuse,      Refuse,     Refuse,     Refuse,    Refuse,     Refuse,    Refuse,    Close,        Close,        Refuse,         Refuse]),
    (E::MoneyReturned,       [Ignore,     Unpaid,      Unpaid,     Unpaid,     Unpaid,    Ask,        Ignore,    Ignore,    Next,         Next,         Unpaid,         Ignore]),
    (E::MoneyReturnedInPart, [Ignore,     Ask,         Ask,        Ask,        Ask,       Ignore,     Ignore,    Ignore,    Ignore,       Ask,          Ask,            Ignore]),
    (E::SecondCharge,        [Ignore,     Ask,         Ask,        Ask,        Ask,       Ask,        Ask,       Ask,       Ask,          Ask,          Ask,            Ignore]),
    (E::SecondChargeReturned,[Ignore,     Ignore,      Ignore,     Ignore,     Ignore,    Ignore,     Ignore,    Ignore,    Ignore,       Answered,     Ignore,         Ignore]),
    (E::AmountMismatch,      [Ignore,     Ask,         Ask,        Ask,        Ask,       Ask,        Ask,       Ask,       Ask,          Ask,          Ask,            Ignore]),
    (E::PaymentDisputed,     [Ignore,     Ask,         Ask,        Ask,        Ask,       Ask,        Ask,       Ask,       Ask,          Ask,          Ask,            Ignore]),
    (E::DisputeWon,          [Ignore,     Ignore,      Ignore,     Ignore,     Ignore,    Ignore,     Ignore,    Ignore,    Ignore,       Answered,     Ignore,         Ignore]),
    (E::DisputeLost,         [Ignore,     Ask,         Ask,        Ask,        Ask,       Ask,        Ask,       Ask,       Ask,          Ask,          Ask,            Ignore]),
    (E::ParcelDelayed,       [Ignore,     Ignore,      Ignore,     Early,      Early,     Ask,        Ignore,    Ignore,    Ignore,       Ask,          Ignore,         Ignore]),
    (E::ParcelLost,          [Ignore,     Ignore,      Ignore,     Early,      Early,     Ask,        Ask,       Ignore,    Ignore,       Ask,          Ignore,         Ignore]),
    (E::ParcelDamaged,       [Ignore,     Ignore,      Ignore,     Early,      Early,     Ask,        Ask,       Ignore,    Ignore,       Ask,          Ignore,         Ignore]),
    (E::ParcelReturned,      [Ignore,     Ignore,      Ignore,     Early,      Early,     Ask,        Ask,       Ignore,    Ignore,       Ask,          Ignore,         Ignore]),
    (E::HoldPlaced,          [PlaceHold,  PlaceHold,   PlaceHold,  Refuse,     Refuse,    Refuse,     Refuse,    Refuse,    Refuse,       PlaceHold,    PlaceHold,      PlaceHold]),
    (E::HoldReleased,        [LiftHold,   LiftHold,    LiftHold,   LiftHold,   LiftHold,  LiftHold,   LiftHold,  LiftHold,  LiftHold,     LiftHold,     GoOn,           LiftHold]),
    (E::StockArrived,        [Ignore,     Ignore,      Ignore,     Ignore,     Ignore,    Ignore,     Ignore,    Ignore,    Ignore,       Ignore,       Ignore,         ReserveAgain]),
    (E::StockTimedOut,       [Ignore,     Ignore,      Ignore,     Ignore,     Ignore,    Ignore,     Ignore,    Ignore,    Ignore,       Ignore,       Ignore,         Undo]),
];

/// What `state` does about `event`.
#[must_use]
pub const fn rule(state: SagaState, event: EventKind) -> Rule {
    TABLE[event as usize].1[state as usize]
}

impl Rule {
    /// The states that a saga may enter by this rule; a rule that only records may also leave the state as it is.
    /// Empty if the rule changes nothing.
    #[must_use]
    pub const fn targets(self) -> &'static [SagaState] {
        match self {
            Reserve => &[SagaState::Created],
            Lack => &[SagaState::AwaitingStock, SagaState::Compensating, SagaState::Failed],
            ReserveAgain => &[SagaState::Created],
            Pay => &[SagaState::InventoryReserved, SagaState::OnHold],
            Await => &[SagaState::PaymentProcessing],
            Secure => &[SagaState::Authorised, SagaState::OnHold],
            Ship => &[SagaState::Paid, SagaState::OnHold],
            Collect => &[SagaState::Paid],
            Settle => &[SagaState::Completed],
            Lapse => &[SagaState::Compensating, SagaState::Failed],
            Owe => &[SagaState::NeedsAttention],
            Clock => &[SagaState::Authorised, SagaState::Paid],
            GoOn => &[SagaState::InventoryReserved, SagaState::Authorised, SagaState::Paid],
            Track | Poll => &[SagaState::Shipped],
            Forward => &[SagaState::Shipped, SagaState::NeedsAttention],
            Complete => &[SagaState::Completed],
            Undo | Note | Urge | Unpaid | CallOff => &[SagaState::Compensating, SagaState::Failed],
            Next => &[SagaState::Compensating, SagaState::Failed, SagaState::NeedsAttention],
            // An order goes on from where it stood, with what has become known since.
            Again | Waive | Answered => &[
                SagaState::Created,
                SagaState::InventoryReserved,
                SagaState::PaymentProcessing,
                SagaState::Authorised,
                SagaState::Paid,
                SagaState::Shipped,
                SagaState::Completed,
                SagaState::Failed,
                SagaState::Compensating,
                SagaState::OnHold,
            ],
            Arrive => &[SagaState::Shipped, SagaState::Completed],
            Reopen => &[SagaState::Compensating],
            Park | Ask => &[SagaState::NeedsAttention],
            Close => &[SagaState::Failed, SagaState::Completed],
            Recapture | PlaceHold | LiftHold | Ignore | Early | EarlyIfUnasked | Refuse => &[],
        }
    }
}

const _: () = {
    let mut row = 0;
    while row < TABLE.len() {
        assert!(TABLE[row].0 as usize == row, "the table lists the events in the order of their declaration");
        row += 1;
    }
    let mut column = 0;
    while column < STATES.len() {
        assert!(
            STATES[column] as usize == column,
            "the table lists the states in the order of their declaration"
        );
        column += 1;
    }
};
