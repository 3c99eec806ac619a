//! The parcel of one order, with a status of its own beneath the headline status. Verbs record what the carrier said.
//! Its reports may come late or twice and must never move a parcel backwards.

use crate::{BrokenInvariant, Change, Move, OrderId, Rejection, ShipmentStatus, invariant::check_all};

/// The parcel of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// Whose parcel.
    pub order_id: OrderId,
    /// The idempotency key: the same for every attempt, so that the provider books once.
    pub key: String,
    /// Where the parcel is.
    pub status: ShipmentStatus,
    /// The carrier's name for the parcel.
    pub tracking_number: Option<String>,
    /// Who carries it.
    pub carrier: Option<String>,
}

impl Shipment {
    /// Requests a parcel.
    pub fn request(order_id: OrderId) -> Self {
        Self {
            order_id,
            key: format!("ship-{order_id}"),
            status: ShipmentStatus::Requested,
            tracking_number: None,
            carrier: None,
        }
    }

    /// Records that an answer was lost. If a later answer is known already, nothing changes.
    pub fn note_unknown(&mut self) -> Result<Change, Rejection> {
        self.advance(ShipmentStatus::Unknown)
    }

    /// Records the booking. The same parcel again is a repeat; another parcel is one too many.
    pub fn book(&mut self, tracking_number: &str, carrier: &str) -> Result<Change, Rejection> {
        match &self.tracking_number {
            Some(known) if known == tracking_number => Ok(Change::NoChange),
            Some(known) => Err(Rejection::DuplicateShipment {
                order_id: self.order_id,
                first: known.clone(),
                second: tracking_number.to_owned(),
            }),
            None => self.take_booking(tracking_number, carrier),
        }
    }

    /// Records that the parcel was handed over.
    pub fn ship(&mut self) -> Result<Change, Rejection> {
        self.advance(ShipmentStatus::Shipped)
    }

    /// Records that the parcel arrived. A later report that it is on its way changes nothing.
    pub fn deliver(&mut self) -> Result<Change, Rejection> {
        self.advance(ShipmentStatus::Delivered)
    }

    /// Records that the parcel was cancelled before it was handed over.
    pub fn cancel(&mut self) -> Result<Change, Rejection> {
        self.advance(ShipmentStatus::Cancelled)
    }

    /// Records that the provider cannot carry it.
    pub fn fail(&mut self) -> Result<Change, Rejection> {
        self.advance(ShipmentStatus::Failed)
    }

    /// Records that the parcel came back.
    pub fn mark_returned(&mut self) -> Result<Change, Rejection> {
        self.advance(ShipmentStatus::Returned)
    }

    /// Checks the invariants.
    pub fn check(&self) -> Result<(), BrokenInvariant> {
        check_all(
            || format!("shipment of order {}", self.order_id),
            &[
                (!self.key.is_empty(), "a shipment has a key"),
                (
                    self.status != ShipmentStatus::Booked || self.tracking_number.is_some(),
                    "a booking has a number",
                ),
                (self.tracking_number.is_some() == self.carrier.is_some(), "a number comes with its carrier"),
            ],
        )
    }

    /// A tracking number that arrives after the report of the handover is kept, and the status stays.
    fn take_booking(&mut self, tracking_number: &str, carrier: &str) -> Result<Change, Rejection> {
        let _ = self.advance(ShipmentStatus::Booked)?;
        self.tracking_number = Some(tracking_number.to_owned());
        self.carrier = Some(carrier.to_owned());
        Ok(Change::Applied)
    }

    fn advance(&mut self, to: ShipmentStatus) -> Result<Change, Rejection> {
        match self.status.may_become(to) {
            Move::NoOp => Ok(Change::NoChange),
            Move::Illegal => {
                Err(Rejection::IllegalShipmentMove { order_id: self.order_id, from: self.status, to })
            }
            Move::Legal => {
                self.status = to;
                Ok(Change::Applied)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const ORDER: OrderId = OrderId(Uuid::from_u128(7));

    /// Anything that a carrier's report, or its loss, can record.
    #[derive(Debug, Clone, Copy)]
    enum News {
        Lost,
        Booked(&'static str),
        Shipped,
        Delivered,
        Cancelled,
        Failed,
        Returned,
    }

    fn news() -> impl Strategy<Value = News> {
        use News::{Booked, Cancelled, Delivered, Failed, Lost, Returned, Shipped};
        prop::sample::select(vec![
            Lost,
            Booked("T-1"),
            Booked("T-2"),
            Shipped,
            Delivered,
            Cancelled,
            Failed,
            Returned,
        ])
    }

    fn tell(shipment: &mut Shipment, news: News) -> Result<Change, Rejection> {
        match news {
            News::Lost => shipment.note_unknown(),
            News::Booked(number) => shipment.book(number, "DHL"),
            News::Shipped => shipment.ship(),
            News::Delivered => shipment.deliver(),
            News::Cancelled => shipment.cancel(),
            News::Failed => shipment.fail(),
            News::Returned => shipment.mark_returned(),
        }
    }

    proptest! {
        #[test]
        fn a_parcel_handed_over_never_goes_back_to_before(told in prop::collection::vec(news(), 0..40)) {
            use ShipmentStatus::{Delivered, Returned, Shipped};
            let mut shipment = Shipment::request(ORDER);
            for news in told {
                let before = shipment.clone();
                match tell(&mut shipment, news) {
                    Ok(Change::Applied) => {}
                    Ok(Change::NoChange) | Err(_) => prop_assert_eq!(&shipment, &before),
                }
                prop_assert_eq!(shipment.check(), Ok(()));
                let after = shipment.status;
                match before.status {
                    Returned => prop_assert_eq!(after, Returned),
                    Delivered => prop_assert!([Delivered, Returned].contains(&after)),
                    Shipped => prop_assert!([Shipped, Delivered, Returned].contains(&after)),
                    ShipmentStatus::NotRequested
                    | ShipmentStatus::Requested
                    | ShipmentStatus::Unknown
                    | ShipmentStatus::Booked
                    | ShipmentStatus::Cancelled
                    | ShipmentStatus::Failed => {}
                }
            }
        }

        #[test]
        fn the_same_news_twice_is_news_once(told in prop::collection::vec(news(), 0..40)) {
            let mut shipment = Shipment::request(ORDER);
            for news in told {
                if tell(&mut shipment, news).is_ok() {
                    prop_assert_eq!(tell(&mut shipment, news), Ok(Change::NoChange));
                }
            }
        }
    }

    #[test]
    fn a_delivery_heard_of_before_its_handover_stays_a_delivery() {
        let mut shipment = Shipment::request(ORDER);
        assert_eq!(shipment.deliver(), Ok(Change::Applied));
        assert_eq!(shipment.ship(), Ok(Change::NoChange));
        assert_eq!(shipment.book("T-1", "DHL"), Ok(Change::Applied));
        assert_eq!(shipment.status, ShipmentStatus::Delivered);
        assert_eq!(shipment.tracking_number.as_deref(), Some("T-1"));
    }

    #[test]
    fn a_second_parcel_is_named_so_that_it_can_be_cancelled() {
        let mut shipment = Shipment::request(ORDER);
        assert_eq!(shipment.book("T-1", "DHL"), Ok(Change::Applied));
        let (first, second) = ("T-1".to_owned(), "T-2".to_owned());
        let duplicate = Rejection::DuplicateShipment { order_id: ORDER, first, second };
        assert_eq!(shipment.book("T-2", "DHL"), Err(duplicate));
    }

    #[test]
    fn a_booking_that_arrives_after_the_cancellation_is_known_and_can_be_cancelled() {
        let mut shipment = Shipment::request(ORDER);
        assert_eq!(shipment.cancel(), Ok(Change::Applied));
        assert_eq!(shipment.book("T-1", "DHL"), Ok(Change::Applied));
        assert_eq!(shipment.status, ShipmentStatus::Booked);
        assert_eq!(shipment.cancel(), Ok(Change::Applied));
    }

    #[test]
    fn a_parcel_handed_over_can_be_neither_cancelled_nor_failed() {
        let mut shipment = Shipment::request(ORDER);
        assert_eq!(shipment.ship(), Ok(Change::Applied));
        assert!(matches!(shipment.cancel(), Err(Rejection::IllegalShipmentMove { .. })));
        assert!(matches!(shipment.fail(), Err(Rejection::IllegalShipmentMove { .. })));
    }

    #[test]
    fn no_move_of_the_table_is_both_legal_and_past() {
        for &to in ShipmentStatus::ALL {
            let (legal_from, past) = to.moves();
            assert!(legal_from.iter().all(|from| *from != to && !past.contains(from)), "{to}");
        }
    }
}
