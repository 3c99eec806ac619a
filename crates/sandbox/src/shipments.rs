//! The books of the shipping side: shipments by idempotency key, and every rule about them. Time passes only when
//! the timetable says so: a parcel is handed over and delivered by a call, never by looking at a clock.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use crate::dice::{Dice, Question};
use crate::events::{Event, EventData, EventKind, ShipmentData};
use crate::faults::Verdict;
use crate::history::{Full, History};
use crate::problem::Problem;
use crate::stats::ShippingStats;

const CARRIER: &str = "Sandbox Parcel";

pub(crate) struct Shipments {
    book: History<Slot>,
    live_by_reference: HashMap<Arc<str>, u32>,
    counts: ShippingStats,
    dice: Dice,
}

/// What a client asks for when it books.
#[derive(Debug, Clone)]
pub(crate) struct BookingAsk {
    pub(crate) reference: Arc<str>,
    /// Tells whether a repeated key comes with the same body.
    pub(crate) body_hash: u64,
}

enum Slot {
    Shipment(Shipment),
    Tombstone,
}

struct Shipment {
    reference: Arc<str>,
    body_hash: u64,
    standing: Standing,
    trouble: Option<Trouble>,
    /// How often something went wrong with it.
    troubles: usize,
}

/// What keeps a parcel from its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trouble {
    /// Nobody was there, or the like; it is tried again.
    Exception,
    /// It goes back to its sender.
    Returned,
    Lost,
    Damaged,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    Booked,
    Rejected,
    InTransit,
    Delivered,
    Cancelled,
}

/// A shipment as the client sees it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ShipmentView {
    id: String,
    reference: Arc<str>,
    tracking_number: String,
    carrier: &'static str,
    status: Standing,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<Trouble>,
}

/// A shipment as it is listed for reconciliation.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ShipmentRow {
    key: Arc<str>,
    #[serde(flatten)]
    shipment: ShipmentView,
}

/// The answer to a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum RecallOutcome {
    Cancelled,
}

/// A shipment that now has a journey ahead of it, by its ordinal in the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Departure(pub(crate) u64);

impl Shipments {
    pub(crate) fn new(dice: Dice, keys_max: usize) -> Self {
        Self {
            book: History::new(keys_max),
            live_by_reference: HashMap::new(),
            counts: ShippingStats::default(),
            dice,
        }
    }

    /// Books once per key: a repeat gets the first answer. Only a booking just made has a departure.
    pub(crate) fn book(
        &mut self,
        key: &str,
        ask: &BookingAsk,
        verdict: Verdict,
    ) -> (Result<ShipmentView, Problem>, Option<Departure>) {
        if let Some(slot) = self.book.get(key) {
            return (self.repeated(key, slot, ask), None);
        }
        if self.make_room().is_err() {
            return (Err(Problem::HistoryFull), None);
        }
        match verdict {
            Verdict::Accept => self.accept(key, ask),
            Verdict::Refuse => (Err(self.reject(key, ask)), None),
        }
    }

    /// Closes the key for good; impossible once the parcel was handed over. Repeats get the same answer.
    pub(crate) fn cancel(&mut self, key: &str) -> Result<RecallOutcome, Problem> {
        let Some(slot) = self.book.get_mut(key) else { return self.bury(key) };
        let Slot::Shipment(shipment) = slot else { return Ok(RecallOutcome::Cancelled) };
        match shipment.standing {
            Standing::InTransit | Standing::Delivered => Err(Problem::AlreadyHandedOver),
            Standing::Cancelled => Ok(RecallOutcome::Cancelled),
            Standing::Rejected => {
                shipment.standing = Standing::Cancelled;
                Ok(RecallOutcome::Cancelled)
            }
            Standing::Booked => {
                shipment.standing = Standing::Cancelled;
                let reference = Arc::clone(&shipment.reference);
                self.counts.cancelled += 1;
                self.end_life(&reference);
                Ok(RecallOutcome::Cancelled)
            }
        }
    }

    pub(crate) fn look_up(&self, key: &str) -> Result<ShipmentView, Problem> {
        match self.book.get(key) {
            Some(Slot::Shipment(shipment)) => Ok(shipment.view(self.dice, key)),
            Some(Slot::Tombstone) | None => Err(Problem::UnknownKey),
        }
    }

    /// Hands a booked parcel over; none if it was cancelled meanwhile.
    pub(crate) fn hand_over(&mut self, departure: Departure, now_micros: i64) -> Option<Event> {
        let event = self.advance(
            departure,
            Standing::Booked,
            Standing::InTransit,
            EventKind::ShipmentInTransit,
            now_micros,
        )?;
        self.counts.handed_over += 1;
        Some(event)
    }

    /// Delivers a parcel in transit.
    pub(crate) fn deliver(&mut self, departure: Departure, now_micros: i64) -> Option<Event> {
        let event = self.advance(
            departure,
            Standing::InTransit,
            Standing::Delivered,
            EventKind::ShipmentDelivered,
            now_micros,
        )?;
        self.counts.delivered += 1;
        Some(event)
    }

    /// Shipments after the given ordinal and the ordinal to go on from; tombstones are left out.
    pub(crate) fn page(&self, after: u64, limit: usize) -> (Vec<ShipmentRow>, Option<u64>) {
        let mut rows = Vec::new();
        let mut last = after;
        for (ordinal, entry) in self.book.after(after) {
            if rows.len() == limit {
                return (rows, Some(last));
            }
            last = ordinal;
            if let Slot::Shipment(shipment) = &entry.value {
                let shipment = shipment.view(self.dice, &entry.key);
                rows.push(ShipmentRow { key: Arc::clone(&entry.key), shipment });
            }
        }
        (rows, None)
    }

    pub(crate) fn stats(&self) -> ShippingStats {
        self.counts.clone()
    }

    fn repeated(&self, key: &str, slot: &Slot, ask: &BookingAsk) -> Result<ShipmentView, Problem> {
        let Slot::Shipment(shipment) = slot else { return Err(Problem::KeyClosed) };
        if shipment.body_hash != ask.body_hash {
            return Err(Problem::KeyReused);
        }
        match shipment.standing {
            Standing::Cancelled => Err(Problem::KeyClosed),
            Standing::Rejected => Err(Problem::AddressRejected),
            Standing::Booked | Standing::InTransit | Standing::Delivered => {
                Ok(ShipmentView { status: Standing::Booked, ..shipment.view(self.dice, key) })
            }
        }
    }

    fn accept(&mut self, key: &str, ask: &BookingAsk) -> (Result<ShipmentView, Problem>, Option<Departure>) {
        let shipment = Shipment::new(ask, Standing::Booked);
        let view = shipment.view(self.dice, key);
        self.counts.booked += 1;
        let live = self.live_by_reference.entry(Arc::clone(&ask.reference)).or_default();
        *live += 1;
        self.counts.references_shipped_twice += u64::from(*live == 2);
        let ordinal = self.book.add(key, Slot::Shipment(shipment));
        (Ok(view), Some(Departure(ordinal)))
    }

    fn reject(&mut self, key: &str, ask: &BookingAsk) -> Problem {
        self.counts.rejected += 1;
        self.book.add(key, Slot::Shipment(Shipment::new(ask, Standing::Rejected)));
        Problem::AddressRejected
    }

    fn bury(&mut self, key: &str) -> Result<RecallOutcome, Problem> {
        self.make_room().map_err(|Full| Problem::HistoryFull)?;
        self.book.add(key, Slot::Tombstone);
        self.counts.tombstones += 1;
        Ok(RecallOutcome::Cancelled)
    }

    fn advance(
        &mut self,
        departure: Departure,
        from: Standing,
        to: Standing,
        kind: EventKind,
        now_micros: i64,
    ) -> Option<Event> {
        let dice = self.dice;
        let entry = self.book.at_mut(departure.0)?;
        let Slot::Shipment(shipment) = &mut entry.value else { return None };
        if shipment.standing != from || shipment.trouble.is_some_and(Trouble::ends_the_journey) {
            return None;
        }
        shipment.standing = to;
        Some(shipment.event(dice, &entry.key, kind, now_micros))
    }

    fn make_room(&mut self) -> Result<(), Full> {
        if let Some(Slot::Shipment(forgotten)) = self.book.make_room(Slot::is_finished)?
            && forgotten.standing == Standing::Delivered
        {
            self.end_life(&forgotten.reference);
        }
        Ok(())
    }

    fn end_life(&mut self, reference: &str) {
        if let Some(live) = self.live_by_reference.get_mut(reference) {
            *live -= 1;
            if *live == 0 {
                self.live_by_reference.remove(reference);
            }
        }
    }
}

impl Slot {
    fn is_finished(&self) -> bool {
        match self {
            Self::Tombstone => true,
            Self::Shipment(shipment) => match shipment.standing {
                Standing::Booked | Standing::InTransit => false,
                Standing::Rejected | Standing::Delivered | Standing::Cancelled => true,
            },
        }
    }
}

impl Shipment {
    fn new(ask: &BookingAsk, standing: Standing) -> Self {
        Self {
            reference: Arc::clone(&ask.reference),
            body_hash: ask.body_hash,
            standing,
            trouble: None,
            troubles: 0,
        }
    }

    fn view(&self, dice: Dice, key: &str) -> ShipmentView {
        let id = dice.id(Question::ShipmentId, key, 0);
        ShipmentView {
            id: format!("sh_{id:032x}"),
            reference: Arc::clone(&self.reference),
            tracking_number: tracking_number(id),
            carrier: CARRIER,
            status: self.standing,
            trouble: self.trouble,
        }
    }

    fn event(&self, dice: Dice, key: &Arc<str>, kind: EventKind, now_micros: i64) -> Event {
        let ShipmentView { id, tracking_number, .. } = self.view(dice, key);
        let data = ShipmentData {
            reference: Arc::clone(&self.reference),
            idempotency_key: Arc::clone(key),
            shipment_id: id,
            tracking_number,
            status: match self.trouble {
                Some(trouble) if trouble.kind() == kind => trouble.as_str(),
                Some(_) | None => self.standing.as_str(),
            },
        };
        let id = dice.id(Question::EventId, key, kind.ordinal(self.troubles));
        Event { id: format!("evt_{id:032x}"), kind, created_at: now_micros, data: EventData::Shipment(data) }
    }
}

impl Standing {
    fn as_str(self) -> &'static str {
        match self {
            Self::Booked => "booked",
            Self::Rejected => "rejected",
            Self::InTransit => "in_transit",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
        }
    }
}

fn tracking_number(id: u128) -> String {
    format!("SBX{:016X}", (id >> 64) as u64)
}

mod by_hand;

#[cfg(test)]
mod tests;
