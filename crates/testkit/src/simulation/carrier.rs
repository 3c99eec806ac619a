//! The carrier of the simulation: the truth about parcels, by key. A parcel can be called back until it is handed over, and
//! arrives some time after that, whatever anybody believes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use application::ports::{
    BookingOutcome, BookingRequest, NewsKind, ParcelItem, ParcelTrouble, ProviderNews, ShipmentCancelOutcome,
    ShippingProvider, TrackingOutcome, Unanswered,
};
use async_trait::async_trait;
use domain::{HoldPoint, OrderId};
use jiff::Timestamp;

use super::destinations::Destinations;
use super::errands::Errands;
use super::fate::{Call, Carriage, Consent, Trouble};
use super::holds::Holds;
use super::mail::Mail;
use super::provider_line::{Line, pause};
use super::script::facts_of;

/// Where a parcel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parcel {
    /// The carrier will come for it.
    Booked,
    /// In the van; no way back.
    HandedOver,
    /// With the customer.
    Delivered,
    /// Refused for good.
    Refused,
    /// Called off, or never to be booked.
    Closed,
}

impl Parcel {
    /// Whether a parcel exists and is not called off.
    #[must_use]
    pub(super) const fn is_under_way(self) -> bool {
        matches!(self, Self::Booked | Self::HandedOver | Self::Delivered)
    }
}

const CARRIER: &str = "Simulated Parcels";

type Parcels = Mutex<BTreeMap<String, Parcel>>;

/// The carrier.
pub(super) struct SimulatedCarrier {
    parcels: Arc<Parcels>,
    line: Line,
    mail: Arc<Mail>,
    destinations: Destinations,
    holds: Holds,
}

fn open(parcels: &Parcels) -> MutexGuard<'_, BTreeMap<String, Parcel>> {
    parcels.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimulatedCarrier {
    pub(super) fn new(line: Line, mail: Arc<Mail>, destinations: Destinations, holds: Holds) -> Self {
        Self { parcels: Arc::default(), line, mail, destinations, holds }
    }

    /// Everything that it knows, by key.
    pub(super) fn parcels(&self) -> BTreeMap<String, Parcel> {
        open(&self.parcels).clone()
    }
}

/// A parcel on the road.
struct Journey {
    parcels: Arc<Parcels>,
    mail: Arc<Mail>,
    key: String,
    order_id: Option<OrderId>,
    carriage: Carriage,
    letters: Vec<std::time::Duration>,
    trouble: Option<Trouble>,
}

impl Journey {
    async fn travel(self) {
        pause(self.carriage.handover).await;
        if !self.moves(Parcel::Booked, Parcel::HandedOver) {
            return;
        }
        self.tell_of_trouble();
        pause(self.carriage.transit).await;
        if self.moves(Parcel::HandedOver, Parcel::Delivered)
            && let Some(order_id) = self.order_id
        {
            let kind = NewsKind::ShipmentDelivered { tracking_number: tracking_number(&self.key) };
            self.mail.post(&format!("{}-delivered", self.key), order_id, &kind, &self.letters);
        }
    }

    fn tell_of_trouble(&self) {
        let (Some(trouble), Some(order_id)) = (self.trouble, self.order_id) else { return };
        let tracking_number = tracking_number(&self.key);
        let event_id = format!("{}-{trouble:?}", self.key);
        let at = Timestamp::UNIX_EPOCH;
        let news = if trouble == Trouble::Foreign {
            let kind = NewsKind::ShipmentDelivered { tracking_number: format!("not-{tracking_number}") };
            ProviderNews {
                idempotency_key: format!("not-{}", self.key),
                ..ProviderNews::honest(&event_id, order_id, kind, at)
            }
        } else {
            let kind = NewsKind::ShipmentTroubled { trouble: ParcelTrouble::Exception, tracking_number };
            ProviderNews::honest(&event_id, order_id, kind, at)
        };
        self.mail.send(news, std::time::Duration::ZERO);
    }

    fn moves(&self, from: Parcel, to: Parcel) -> bool {
        match open(&self.parcels).get_mut(&self.key) {
            Some(parcel) if *parcel == from => {
                *parcel = to;
                true
            }
            Some(_) | None => false,
        }
    }
}

fn tracking_number(key: &str) -> String {
    format!("track-{key}")
}

fn book(journey: Journey, consent: Consent, errands: &Errands) -> BookingOutcome {
    let known = open(&journey.parcels).get(&journey.key).copied();
    let parcel = known.unwrap_or(match consent {
        Consent::Yes => Parcel::Booked,
        Consent::No => Parcel::Refused,
    });
    let outcome = match parcel {
        Parcel::Booked | Parcel::HandedOver | Parcel::Delivered => BookingOutcome::Booked {
            tracking_number: tracking_number(&journey.key),
            carrier: CARRIER.to_owned(),
        },
        Parcel::Refused => BookingOutcome::Refused { code: "address_unknown".to_owned() },
        Parcel::Closed => BookingOutcome::Closed,
    };
    if known.is_none() {
        open(&journey.parcels).insert(journey.key.clone(), parcel);
        if parcel == Parcel::Booked {
            errands.run(journey.travel());
        }
    }
    outcome
}

#[async_trait]
impl ShippingProvider for SimulatedCarrier {
    async fn create_shipment(&self, request: &BookingRequest) -> Result<BookingOutcome, Unanswered> {
        // The message becomes a dead letter, which the verdict finds.
        let order_id = request.reference.parse().expect("the reference is the order's id");
        assert!(!self.holds.keep_from(order_id, HoldPoint::Shipping), "an order on hold is shipped");
        let told = request.address.as_ref();
        assert!(self.destinations.allow(order_id, told), "the order does not go to {told:?}");
        assert_eq!(request.items.is_empty(), told.is_none(), "a parcel with an address has contents");
        for ParcelItem { sku, shipping, .. } in &request.items {
            let number = sku.as_str().trim_start_matches("P-").parse().expect("products are numbered");
            assert_eq!(
                *shipping,
                facts_of(number),
                "the carrier was told other facts of {sku} than are known"
            );
        }
        let fate = &self.line.fate;
        let journey = Journey {
            parcels: Arc::clone(&self.parcels),
            mail: Arc::clone(&self.mail),
            key: request.key.clone(),
            order_id: request.reference.parse().ok(),
            carriage: fate.carriage(),
            letters: fate.letters(),
            trouble: fate.trouble(Call::Book, &request.key).map(|(trouble, _)| trouble),
        };
        let (consent, errands) = (fate.consent(Call::Book, &request.key), self.line.errands.clone());
        self.line.call(Call::Book, &request.key, move || book(journey, consent, &errands)).await
    }

    async fn look_up(&self, key: &str) -> Result<TrackingOutcome, Unanswered> {
        let (parcels, asked) = (Arc::clone(&self.parcels), key.to_owned());
        let act = move || {
            let (tracking_number, carrier) = (tracking_number(&asked), CARRIER.to_owned());
            match open(&parcels).get(&asked) {
                None => TrackingOutcome::UnknownKey,
                Some(Parcel::Booked | Parcel::HandedOver) => {
                    TrackingOutcome::Booked { tracking_number, carrier }
                }
                Some(Parcel::Delivered) => TrackingOutcome::Delivered { tracking_number, carrier },
                Some(Parcel::Refused | Parcel::Closed) => TrackingOutcome::Cancelled,
            }
        };
        self.line.call(Call::LookUpParcel, key, act).await
    }

    async fn cancel(&self, key: &str) -> Result<ShipmentCancelOutcome, Unanswered> {
        let (parcels, asked) = (Arc::clone(&self.parcels), key.to_owned());
        let act = move || {
            let mut parcels = open(&parcels);
            let parcel = parcels.entry(asked).or_insert(Parcel::Closed);
            match parcel {
                Parcel::HandedOver | Parcel::Delivered => ShipmentCancelOutcome::AlreadyHandedOver,
                Parcel::Booked | Parcel::Refused | Parcel::Closed => {
                    *parcel = Parcel::Closed;
                    ShipmentCancelOutcome::Cancelled
                }
            }
        };
        self.line.call(Call::CancelParcel, key, act).await
    }
}
