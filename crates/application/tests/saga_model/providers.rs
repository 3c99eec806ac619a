//! The truth about money and parcels, as honest providers keep it: by key, for ever. They may be slow, mute or repetitive,
//! but never contradict themselves. Nothing here knows what the saga believes.

/// What the gateway knows of the order's one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Charge {
    Unheard,
    Authorised,
    Captured,
    Declined,
    Refunded,
    Closed,
}

/// The gateway's own reason to say yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Whim {
    Yes,
    No,
}

/// What somebody did at the gateway that we did not ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ByHand {
    Nothing,
    Refunded,
}

/// Whether a closed key stays closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Honesty {
    KeepsItsWord,
    ForgetsClosedKeys,
}

/// The gateway, with the number of times it took money, up to two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Gateway {
    pub(crate) charge: Charge,
    pub(crate) captures: u8,
    /// Whether somebody gave the money back without being asked by us.
    pub(crate) by_hand: ByHand,
    honesty: Honesty,
}

impl Gateway {
    pub(crate) const fn new(honesty: Honesty) -> Self {
        Self { charge: Charge::Unheard, captures: 0, by_hand: ByHand::Nothing, honesty }
    }

    pub(crate) fn charge(&mut self, whim: Whim) -> Charge {
        let forgets = self.honesty == Honesty::ForgetsClosedKeys && self.charge == Charge::Closed;
        if self.charge == Charge::Unheard || forgets {
            self.charge = match whim {
                Whim::Yes => Charge::Captured,
                Whim::No => Charge::Declined,
            };
            self.captures = (self.captures + u8::from(whim == Whim::Yes)).min(2);
        }
        self.charge
    }

    /// Authorises, to be captured later.
    pub(crate) fn authorise(&mut self, whim: Whim) -> Charge {
        let forgets = self.honesty == Honesty::ForgetsClosedKeys && self.charge == Charge::Closed;
        if self.charge == Charge::Unheard || forgets {
            self.charge = match whim {
                Whim::Yes => Charge::Authorised,
                Whim::No => Charge::Declined,
            };
        }
        self.charge
    }

    /// Captures what is authorised. One that it will not capture is gone.
    pub(crate) fn capture(&mut self, whim: Whim) -> Charge {
        if self.charge == Charge::Authorised {
            self.charge = match whim {
                Whim::Yes => Charge::Captured,
                Whim::No => Charge::Closed,
            };
            self.captures = (self.captures + u8::from(whim == Whim::Yes)).min(2);
        }
        self.charge
    }

    /// An authorisation ends, or somebody gives it up.
    pub(crate) fn lapse(&mut self) {
        self.charge = Charge::Closed;
    }

    /// Voids or refunds, and closes the key.
    pub(crate) fn cancel(&mut self) -> Charge {
        self.charge = match self.charge {
            Charge::Captured | Charge::Refunded => Charge::Refunded,
            Charge::Unheard | Charge::Authorised | Charge::Declined | Charge::Closed => Charge::Closed,
        };
        self.charge
    }

    /// Somebody gives the money back at the gateway's own page.
    pub(crate) fn refund_by_hand(&mut self) {
        self.charge = Charge::Refunded;
        self.by_hand = ByHand::Refunded;
    }

    pub(crate) const fn holds_money(&self) -> bool {
        matches!(self.charge, Charge::Captured)
    }
}

/// What the carrier knows of the order's one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Carrier {
    Unheard,
    Refused,
    Booked,
    HandedOver,
    Delivered,
    Closed,
}

impl Carrier {
    pub(crate) fn book(&mut self, whim: Whim) -> Self {
        if *self == Self::Unheard {
            *self = match whim {
                Whim::Yes => Self::Booked,
                Whim::No => Self::Refused,
            };
        }
        *self
    }

    /// Calls the parcel off, unless it has left the house.
    pub(crate) fn cancel(&mut self) -> Self {
        if matches!(self, Self::Unheard | Self::Refused | Self::Booked) {
            *self = Self::Closed;
        }
        *self
    }

    pub(crate) const fn is_under_way(self) -> bool {
        matches!(self, Self::Booked | Self::HandedOver | Self::Delivered)
    }
}
