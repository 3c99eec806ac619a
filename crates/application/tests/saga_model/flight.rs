//! Everything between two actors: messages, answers in the hands of a consumer, and timers. Sets, not queues: what is in
//! flight may arrive in any order, and whoever delivers decides whether one more copy stays behind.

use application::saga::timers;

/// Something that may arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Item {
    OrderCreated,
    Reserve,
    Charge,
    ChargeCaptured,
    ChargeAuthorised,
    ChargeRefused,
    PaymentProcessed,
    PaymentAuthorised,
    PaymentFailed,
    Capture,
    CaptureCaptured,
    CaptureRefused,
    Book,
    BookBooked,
    BookRefused,
    Track,
    Delivered,
    Recall,
    RecallCancelled,
    RecallKept,
    Refund,
    RefundVoided,
    RefundRefunded,
    OrderTimeout,
    PaymentTimeout,
    ShippingTimeout,
    PollDue,
    CaptureTimeout,
    AuthorisationEnds,
    UndoTimeout,
    StockTimeout,
    MoneyReturned,
    Disputed,
    ParcelDelayed,
}

pub(crate) const ITEMS: [Item; 34] = [
    Item::OrderCreated,
    Item::Reserve,
    Item::Charge,
    Item::ChargeCaptured,
    Item::ChargeAuthorised,
    Item::ChargeRefused,
    Item::PaymentProcessed,
    Item::PaymentAuthorised,
    Item::PaymentFailed,
    Item::Capture,
    Item::CaptureCaptured,
    Item::CaptureRefused,
    Item::Book,
    Item::BookBooked,
    Item::BookRefused,
    Item::Track,
    Item::Delivered,
    Item::Recall,
    Item::RecallCancelled,
    Item::RecallKept,
    Item::Refund,
    Item::RefundVoided,
    Item::RefundRefunded,
    Item::OrderTimeout,
    Item::PaymentTimeout,
    Item::ShippingTimeout,
    Item::PollDue,
    Item::CaptureTimeout,
    Item::AuthorisationEnds,
    Item::UndoTimeout,
    Item::StockTimeout,
    Item::MoneyReturned,
    Item::Disputed,
    Item::ParcelDelayed,
];

/// What is in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Flight(u64);

impl Flight {
    pub(crate) const fn has(self, item: Item) -> bool {
        self.0 & (1 << item as u64) != 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn add(&mut self, item: Item) {
        self.0 |= 1 << item as u64;
    }

    pub(crate) fn take(&mut self, item: Item) {
        self.0 &= !(1 << item as u64);
    }
}

/// The saga's timers by name, in the order of the bits below, each with the message that it turns into.
pub(crate) const TIMERS: [(&str, Item); 8] = [
    (timers::ORDER, Item::OrderTimeout),
    (timers::PAYMENT, Item::PaymentTimeout),
    (timers::SHIPPING, Item::ShippingTimeout),
    (timers::DELIVERY_POLL, Item::PollDue),
    (timers::CAPTURE, Item::CaptureTimeout),
    (timers::AUTHORISATION, Item::AuthorisationEnds),
    (timers::UNDO, Item::UndoTimeout),
    (timers::STOCK, Item::StockTimeout),
];

/// Timers that are set. One that is set anew or cancelled takes back what it fired before: its consumer looks whether a firing
/// still stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Timers(u8);

impl Timers {
    pub(crate) fn set(&mut self, name: &str, flight: &mut Flight) {
        self.cancel(name, flight);
        self.0 |= 1 << place(name);
    }

    pub(crate) fn cancel(&mut self, name: &str, flight: &mut Flight) {
        self.0 &= !(1 << place(name));
        flight.take(TIMERS[place(name)].1);
    }

    pub(crate) fn is_set(self, name: &str) -> bool {
        self.0 & (1 << place(name)) != 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Takes a timer out and turns it into a message.
    pub(crate) fn fire(&mut self, name: &str, flight: &mut Flight) {
        self.cancel(name, flight);
        flight.add(TIMERS[place(name)].1);
    }
}

fn place(name: &str) -> usize {
    let place = TIMERS.iter().position(|(known, _)| *known == name);
    place.expect("the saga sets only timers that it names")
}
