//! What happens to parcels on their way, at somebody's word instead of the timetable's. Each is announced as anything else is.

use super::{Shipment, ShipmentView, Shipments, Slot, Standing, Trouble};
use crate::events::{Event, EventKind};
use crate::problem::Problem;

impl Shipments {
    /// Has something go wrong with a parcel that was not called back.
    pub(crate) fn trouble(
        &mut self,
        key: &str,
        trouble: Trouble,
        now_micros: i64,
    ) -> (Result<ShipmentView, Problem>, Option<Event>) {
        self.happen(key, now_micros, |shipment| match shipment.standing {
            Standing::Booked | Standing::InTransit => {
                if trouble.ends_the_journey() {
                    shipment.standing = Standing::InTransit;
                }
                shipment.trouble = Some(trouble);
                shipment.troubles += 1;
                Some(trouble.kind())
            }
            Standing::Rejected | Standing::Delivered | Standing::Cancelled => None,
        })
    }

    /// Delivers a parcel now, whatever was wrong with it.
    pub(crate) fn arrive(
        &mut self,
        key: &str,
        now_micros: i64,
    ) -> (Result<ShipmentView, Problem>, Option<Event>) {
        let (answer, event) = self.happen(key, now_micros, |shipment| match shipment.standing {
            Standing::Booked | Standing::InTransit => {
                shipment.standing = Standing::Delivered;
                shipment.trouble = None;
                Some(EventKind::ShipmentDelivered)
            }
            Standing::Rejected | Standing::Delivered | Standing::Cancelled => None,
        });
        self.counts.delivered += u64::from(event.is_some());
        (answer, event)
    }

    fn happen(
        &mut self,
        key: &str,
        now_micros: i64,
        act: impl FnOnce(&mut Shipment) -> Option<EventKind>,
    ) -> (Result<ShipmentView, Problem>, Option<Event>) {
        let dice = self.dice;
        let Some(Slot::Shipment(shipment)) = self.book.get_mut(key) else {
            return (Err(Problem::UnknownKey), None);
        };
        let Some(kind) = act(shipment) else { return (Err(Problem::NotPossible), None) };
        let event = shipment.event(dice, &key.into(), kind, now_micros);
        (Ok(shipment.view(dice, key)), Some(event))
    }
}

impl Trouble {
    /// What is announced of it.
    pub(super) const fn kind(self) -> EventKind {
        match self {
            Self::Exception => EventKind::ShipmentException,
            Self::Returned => EventKind::ShipmentReturned,
            Self::Lost => EventKind::ShipmentLost,
            Self::Damaged => EventKind::ShipmentDamaged,
        }
    }

    /// Whether the timetable moves the parcel no more.
    pub(super) const fn ends_the_journey(self) -> bool {
        match self {
            Self::Exception => false,
            Self::Returned | Self::Lost | Self::Damaged => true,
        }
    }

    /// As a status on the wire.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Exception => "exception",
            Self::Returned => "returned",
            Self::Lost => "lost",
            Self::Damaged => "damaged",
        }
    }
}
