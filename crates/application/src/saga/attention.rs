//! Why an order waits for a person. The texts are only here, so that API, command line and runbook say the same.

use super::named::named;

/// An event from outside that only a person can judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attention {
    /// Part of the money was refunded elsewhere, and the parcel has not left.
    PartlyRefunded,
    /// All the money was refunded elsewhere, and the parcel is on its way.
    RefundedUnderWay,
    /// The order was charged twice.
    SecondCharge,
    /// The gateway reports another amount or currency than was requested.
    AmountMismatch,
    /// The customer's bank disputes the charge.
    Disputed,
    /// The dispute was lost: the money is gone.
    DisputeLost,
    /// Something keeps the carrier from delivering.
    ParcelException,
    /// The carrier has lost the parcel.
    ParcelLost,
    /// The parcel is damaged.
    ParcelDamaged,
    /// The parcel is on its way back, or is back.
    ParcelReturned,
    /// The gateway reported a capture, and on refund says that it holds no money.
    GatewayContradicts,
    /// The parcel was delivered although the order was cancelled.
    DeliveredThoughCancelled,
    /// The authorised money could not be captured.
    CaptureFailed,
    /// The authorisation ends soon, and the money is not captured.
    AuthorisationEnding,
}

/// All the reasons why an order waits for a person. Each is answered by itself: the order goes on when none is left.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attentions(u16);

impl Attentions {
    /// One reason.
    #[must_use]
    pub const fn only(attention: Attention) -> Self {
        Self(1 << attention as u16)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this is one of them.
    #[must_use]
    pub const fn include(self, attention: Attention) -> bool {
        self.0 & Self::only(attention).0 != 0
    }

    /// Adds a reason.
    pub const fn add(&mut self, attention: Attention) {
        self.0 |= Self::only(attention).0;
    }

    /// Removes a reason.
    pub const fn remove(&mut self, attention: Attention) {
        self.0 &= !Self::only(attention).0;
    }

    /// Each of them, in the order of their declaration.
    pub fn each(self) -> impl Iterator<Item = Attention> {
        Attention::ALL.iter().copied().filter(move |attention| self.include(*attention))
    }

    /// Whether one of them is so.
    #[must_use]
    pub fn any(self, is_so: fn(Attention) -> bool) -> bool {
        self.each().any(is_so)
    }

    /// Their names, with commas between; none if there are none.
    #[must_use]
    pub fn to_text(self) -> Option<String> {
        let names: Vec<&str> = self.each().map(Attention::as_str).collect();
        (!names.is_empty()).then(|| names.join(","))
    }
}

impl std::fmt::Debug for Attentions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.each()).finish()
    }
}

impl std::str::FromStr for Attentions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').try_fold(Self::default(), |mut all, name| {
            all.add(name.parse()?);
            Ok(all)
        })
    }
}

named!(Attention:
    PartlyRefunded = "partly_refunded",
    RefundedUnderWay = "refunded_under_way",
    SecondCharge = "second_charge",
    AmountMismatch = "amount_mismatch",
    Disputed = "disputed",
    DisputeLost = "dispute_lost",
    ParcelException = "parcel_exception",
    ParcelLost = "parcel_lost",
    ParcelDamaged = "parcel_damaged",
    ParcelReturned = "parcel_returned",
    GatewayContradicts = "gateway_contradicts",
    DeliveredThoughCancelled = "delivered_though_cancelled",
    CaptureFailed = "capture_failed",
    AuthorisationEnding = "authorisation_ending",
);

impl Attention {
    /// Whether the order stands in its place, as opposed to a stuck compensation step.
    #[must_use]
    pub const fn stands_still(self) -> bool {
        match self {
            Self::PartlyRefunded
            | Self::RefundedUnderWay
            | Self::SecondCharge
            | Self::AmountMismatch
            | Self::Disputed
            | Self::DisputeLost
            | Self::ParcelException
            | Self::ParcelLost
            | Self::ParcelDamaged
            | Self::ParcelReturned
            | Self::DeliveredThoughCancelled
            | Self::CaptureFailed
            | Self::AuthorisationEnding => true,
            Self::GatewayContradicts => false,
        }
    }

    /// Whether it concerns the capture of authorised money.
    #[must_use]
    pub const fn is_about_capture(self) -> bool {
        matches!(self, Self::CaptureFailed | Self::AuthorisationEnding)
    }

    /// Whether it concerns the parcel.
    #[must_use]
    pub const fn is_about_parcel(self) -> bool {
        match self {
            Self::ParcelException | Self::ParcelLost | Self::ParcelDamaged | Self::ParcelReturned => true,
            Self::PartlyRefunded
            | Self::RefundedUnderWay
            | Self::SecondCharge
            | Self::AmountMismatch
            | Self::Disputed
            | Self::DisputeLost
            | Self::DeliveredThoughCancelled
            | Self::GatewayContradicts
            | Self::CaptureFailed
            | Self::AuthorisationEnding => false,
        }
    }

    /// Whether a later event of the gateway ends it, and nothing can be asked for meanwhile: the order then goes on by itself.
    #[must_use]
    pub const fn ends_by_itself(self) -> bool {
        matches!(self, Self::SecondCharge | Self::Disputed)
    }

    /// What `retry` would do about an order that stands still for this.
    pub(super) const fn retry(self) -> &'static str {
        match self {
            Self::SecondCharge => {
                "is refused: nothing can be asked for again; the order goes on by itself once the gateway tells that the \
                 second charge was given back"
            }
            Self::Disputed => {
                "is refused: nothing can be asked for again; the order goes on by itself once the gateway tells that the \
                 dispute was won"
            }
            Self::ParcelException | Self::ParcelLost | Self::ParcelDamaged | Self::ParcelReturned => {
                "asks the carrier where the parcel is and waits on for its delivery"
            }
            Self::CaptureFailed => "asks the gateway for the capture again",
            Self::AuthorisationEnding => "captures the money now, before the parcel is with the carrier",
            Self::PartlyRefunded
            | Self::RefundedUnderWay
            | Self::AmountMismatch
            | Self::DisputeLost
            | Self::DeliveredThoughCancelled
            | Self::GatewayContradicts => {
                "does the same as skip: it goes on where the order stood, and there is nothing to ask the gateway again"
            }
        }
    }

    /// What `skip` would do about an order that stands still for this.
    pub(super) const fn skip(self) -> &'static str {
        match self {
            Self::SecondCharge => {
                "goes on where the order stood; the second charge is then yours to give back, and `check --against-provider` \
                 tells of it until it is"
            }
            Self::Disputed => "goes on where the order stood, without waiting for the end of the dispute",
            Self::DisputeLost => {
                "goes on without the money: an order whose parcel has not left is cancelled, and nothing is paid back again"
            }
            Self::CaptureFailed => {
                "goes on where the order stood; if its parcel has left, what the customer owes is then yours to collect"
            }
            Self::PartlyRefunded
            | Self::RefundedUnderWay
            | Self::AmountMismatch
            | Self::ParcelException
            | Self::ParcelLost
            | Self::ParcelDamaged
            | Self::ParcelReturned
            | Self::DeliveredThoughCancelled
            | Self::AuthorisationEnding
            | Self::GatewayContradicts => "takes things as they are and goes on where the order stood",
        }
    }

    /// The reason as text.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::PartlyRefunded => {
                "part of the money was given back at the gateway before the parcel left; send it all the same, or cancel \
                 the order"
            }
            Self::RefundedUnderWay => {
                "all the money was given back at the gateway while the parcel is on its way; have it sent back, or leave it"
            }
            Self::SecondCharge => {
                "the gateway has charged this order twice; give the second charge back at the gateway, its name is in the \
                 history"
            }
            Self::AmountMismatch => {
                "the gateway tells of another amount or currency than was asked for; both are in the history"
            }
            Self::Disputed => "the customer's bank disputes the charge; answer the dispute at the gateway",
            Self::DisputeLost => "the dispute was lost and the money is gone",
            Self::ParcelException => {
                "the carrier cannot deliver the parcel; ask the carrier, or the customer"
            }
            Self::ParcelLost => "the carrier has lost the parcel; pay back, or send another",
            Self::ParcelDamaged => "the parcel is damaged; pay back, or send another",
            Self::ParcelReturned => {
                "the parcel comes back; book what has arrived as goods received, and pay back or send it again"
            }
            Self::DeliveredThoughCancelled => {
                "the parcel was delivered although the order was cancelled, so goods and money are both gone; ask the customer"
            }
            Self::CaptureFailed => {
                "the money was authorised and could not be captured; capture it at the gateway, which is booked here, or try again"
            }
            Self::AuthorisationEnding => {
                "the authorisation ends soon and the money is not captured; capture it now, or cancel the order"
            }
            Self::GatewayContradicts => {
                "the gateway told of money and, asked to give it back, says that it holds none; look at the charge there"
            }
        }
    }
}
