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
    ChargeRefused,
    PaymentProcessed,
    PaymentFailed,
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
    StalePoll,
    UndoTimeout,
    StaleUndo,
    MoneyReturned,
    Disputed,
    ParcelDelayed,
}

pub(crate) const ITEMS: [Item; 28] = [
    Item::OrderCreated,
    Item::Reserve,
    Item::Charge,
    Item::ChargeCaptured,
    Item::ChargeRefused,
    Item::PaymentProcessed,
    Item::PaymentFailed,
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
    Item::StalePoll,
    Item::UndoTimeout,
    Item::StaleUndo,
    Item::MoneyReturned,
    Item::Disputed,
    Item::ParcelDelayed,
];

/// What is in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Flight(u32);

impl Flight {
    pub(crate) const fn has(self, item: Item) -> bool {
        self.0 & (1 << item as u32) != 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn add(&mut self, item: Item) {
        self.0 |= 1 << item as u32;
    }

    pub(crate) fn take(&mut self, item: Item) {
        self.0 &= !(1 << item as u32);
    }

    /// A newer timer was set: what fired before is of an old generation now.
    fn age(&mut self) {
        for (fresh, stale) in [(Item::PollDue, Item::StalePoll), (Item::UndoTimeout, Item::StaleUndo)] {
            if self.has(fresh) {
                self.take(fresh);
                self.add(stale);
            }
        }
    }
}

/// The saga's timers by name, in the order of the bits below.
pub(crate) const NAMES: [&str; 5] =
    [timers::ORDER, timers::PAYMENT, timers::SHIPPING, timers::DELIVERY_POLL, timers::UNDO];

/// Timers that are set, and which of them was set last: only that one is of the latest generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Timers {
    set: u8,
    latest: Option<u8>,
}

impl Timers {
    pub(crate) fn set(&mut self, name: &str, flight: &mut Flight) {
        let place = place(name);
        self.set |= 1 << place;
        self.latest = Some(place);
        flight.age();
    }

    pub(crate) fn cancel(&mut self, name: &str) {
        self.set &= !(1 << place(name));
    }

    pub(crate) fn is_set(self, name: &str) -> bool {
        self.set & (1 << place(name)) != 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.set == 0
    }

    /// Takes a timer out and turns it into a message.
    pub(crate) fn fire(&mut self, name: &str, flight: &mut Flight) {
        self.cancel(name);
        let fresh = self.latest == Some(place(name));
        flight.add(match (name, fresh) {
            (timers::ORDER, _) => Item::OrderTimeout,
            (timers::PAYMENT, _) => Item::PaymentTimeout,
            (timers::SHIPPING, _) => Item::ShippingTimeout,
            (timers::DELIVERY_POLL, true) => Item::PollDue,
            (timers::DELIVERY_POLL, false) => Item::StalePoll,
            (_, true) => Item::UndoTimeout,
            (_, false) => Item::StaleUndo,
        });
    }
}

fn place(name: &str) -> u8 {
    let place =
        NAMES.iter().position(|known| *known == name).expect("the saga sets only timers that it names");
    u8::try_from(place).expect("five names")
}
