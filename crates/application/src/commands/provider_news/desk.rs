//! Works through a batch of events: the rows that they concern, and everything to write in the end.

use std::collections::BTreeMap;

use bus::{Envelope, Fault, Message, MessageId};
use domain::{OrderId, Payment, Shipment};
use jiff::Timestamp;

use super::{NewsFate, order_of};
use crate::context::Context;
use crate::messages::{correlation, fact};
use crate::ports::{HistoryEntry, Mismatch, NewsKind, Provider, ProviderNews, UnitOfWork, UnmatchedEvent};

/// The timeline's name for a provider's event.
pub(super) const TOLD: &str = "ProviderEvent";

/// One batch of one provider.
pub(in crate::commands) struct Desk<'a> {
    provider: Provider,
    context: &'a Context,
    now: Timestamp,
    payments: BTreeMap<OrderId, Row<Payment>>,
    shipments: BTreeMap<OrderId, Row<Shipment>>,
    messages: Vec<Envelope>,
    history: Vec<HistoryEntry>,
    unmatched: Vec<UnmatchedEvent>,
}

/// A row, and whether it must be stored.
struct Row<T> {
    row: T,
    stands: Stands,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    AsRead,
    Changed,
}

impl<'a> Desk<'a> {
    /// Reads the rows that these events concern.
    pub(in crate::commands) async fn open(
        unit: &mut dyn UnitOfWork,
        provider: Provider,
        fresh: &[&ProviderNews],
        context: &'a Context,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let ours = |news: &&&ProviderNews| news.kind.told_by() == Some(provider);
        let mut ids: Vec<OrderId> = fresh.iter().filter(ours).filter_map(|news| order_of(news)).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut desk = Self {
            provider,
            context,
            now,
            payments: BTreeMap::new(),
            shipments: BTreeMap::new(),
            messages: Vec::new(),
            history: Vec::new(),
            unmatched: Vec::new(),
        };
        if ids.is_empty() {
            return Ok(desk);
        }
        match provider {
            Provider::Payments => {
                let rows = unit.payments().get(&ids).await?;
                desk.payments = rows.into_iter().map(|row| (row.order_id, Row::read(row))).collect();
            }
            Provider::Shipping => {
                let rows = unit.shipments().get(&ids).await?;
                desk.shipments = rows.into_iter().map(|row| (row.order_id, Row::read(row))).collect();
            }
        }
        Ok(desk)
    }

    /// Takes one event: into its order, or into the list of unmatched events.
    pub(super) fn take(&mut self, news: &ProviderNews) -> NewsFate {
        let Err(mismatch) = self.match_up(news) else { return NewsFate::Taken };
        let (event, kind, reason) = (&news.event_id, &news.type_name, mismatch.as_str());
        tracing::warn!(event, kind, reason, "an event of a provider belongs to no order");
        let provider = self.provider;
        self.unmatched.push(UnmatchedEvent { provider, news: news.clone(), mismatch });
        NewsFate::Unmatched(mismatch)
    }

    /// Takes one event into its order.
    ///
    /// # Errors
    /// Why it belongs to none; nothing is changed then.
    pub(in crate::commands) fn match_up(&mut self, news: &ProviderNews) -> Result<(), Mismatch> {
        match news.kind {
            NewsKind::Unknown { .. } => return Err(Mismatch::UnknownKind),
            NewsKind::Malformed { .. } => return Err(Mismatch::Malformed),
            NewsKind::PaymentCaptured { .. }
            | NewsKind::PaymentDeclined { .. }
            | NewsKind::PaymentLapsed { .. }
            | NewsKind::PaymentRefunded { .. }
            | NewsKind::PaymentDisputed { .. }
            | NewsKind::ShipmentInTransit { .. }
            | NewsKind::ShipmentDelivered { .. }
            | NewsKind::ShipmentTroubled { .. } => {}
        }
        if news.kind.told_by() != Some(self.provider) {
            return Err(Mismatch::WrongProvider);
        }
        let order_id = order_of(news).ok_or(Mismatch::UnreadableReference)?;
        match self.provider {
            Provider::Payments => self.take_money_news(order_id, news),
            Provider::Shipping => self.take_parcel_news(order_id, news),
        }
    }

    /// The payment of this order, if the event's key is its key.
    pub(super) fn payment(&self, order_id: OrderId, news: &ProviderNews) -> Result<Payment, Mismatch> {
        let payment = &self.payments.get(&order_id).ok_or(Mismatch::UnknownOrder)?.row;
        if payment.key == news.idempotency_key { Ok(payment.clone()) } else { Err(Mismatch::AnotherKey) }
    }

    pub(super) fn put_payment(&mut self, payment: Payment) {
        self.payments.insert(payment.order_id, Row { row: payment, stands: Stands::Changed });
    }

    /// The shipment of this order, if the event is about its parcel: by tracking number, by key, or by both if the
    /// event has both.
    pub(super) fn shipment(
        &self,
        order_id: OrderId,
        tracking_number: &str,
        news: &ProviderNews,
    ) -> Result<Shipment, Mismatch> {
        let shipment = &self.shipments.get(&order_id).ok_or(Mismatch::UnknownOrder)?.row;
        let names_key = !news.idempotency_key.is_empty();
        if names_key && shipment.key != news.idempotency_key {
            return Err(Mismatch::AnotherKey);
        }
        let is_ours = shipment.tracking_number.as_deref().map_or(names_key, |known| known == tracking_number);
        if is_ours { Ok(shipment.clone()) } else { Err(Mismatch::AnotherParcel) }
    }

    pub(super) fn put_shipment(&mut self, shipment: Shipment) {
        self.shipments.insert(shipment.order_id, Row { row: shipment, stands: Stands::Changed });
    }

    /// Puts the event into the order's timeline.
    pub(super) fn tell(&mut self, order_id: OrderId, news: &ProviderNews) {
        self.tell_more(order_id, news.in_words());
    }

    /// The same, with further text.
    pub(super) fn tell_more(&mut self, order_id: OrderId, detail: String) {
        self.history.push(HistoryEntry::without_step(order_id, self.now, TOLD, detail));
    }

    /// Publishes a message for the saga that tells of this.
    pub(super) fn send<M: Message>(&mut self, order_id: OrderId, message: &M, what: &str) {
        let id = MessageId(self.context.ids.next(self.now));
        self.messages.push(fact(message.first(id, correlation(order_id), self.now), order_id, what));
    }

    /// Stores everything.
    pub(in crate::commands) async fn close(self, unit: &mut dyn UnitOfWork) -> Result<(), Fault> {
        let (payments, shipments) = (changed(self.payments), changed(self.shipments));
        if !payments.is_empty() {
            unit.payments().update(&payments, self.now).await?;
        }
        if !shipments.is_empty() {
            unit.shipments().update(&shipments, self.now).await?;
        }
        if !self.history.is_empty() {
            unit.history().append(&self.history).await?;
        }
        if !self.unmatched.is_empty() {
            unit.unmatched().keep(&self.unmatched, self.now).await?;
        }
        if !self.messages.is_empty() {
            unit.publish(self.messages).await?;
        }
        Ok(())
    }
}

impl<T> Row<T> {
    const fn read(row: T) -> Self {
        Self { row, stands: Stands::AsRead }
    }
}

fn changed<T>(rows: BTreeMap<OrderId, Row<T>>) -> Vec<T> {
    rows.into_values().filter(|row| row.stands == Stands::Changed).map(|row| row.row).collect()
}
