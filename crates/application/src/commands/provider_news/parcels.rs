//! Events about an order's parcel. A late event moves no parcel backwards, and is still recorded in the timeline.

use domain::{Change, OrderId, Shipment};

use super::desk::Desk;
use crate::messages::{ParcelNews, ParcelReported, ShippingCompleted};
use crate::ports::{Mismatch, NewsKind, ParcelTrouble, ProviderNews};

impl Desk<'_> {
    pub(super) fn take_parcel_news(
        &mut self,
        order_id: OrderId,
        news: &ProviderNews,
    ) -> Result<(), Mismatch> {
        match &news.kind {
            NewsKind::ShipmentInTransit { tracking_number } => {
                let shipment = self.shipment(order_id, tracking_number, news)?;
                self.tell(shipment.order_id, news);
            }
            NewsKind::ShipmentDelivered { tracking_number } => {
                let shipment = self.shipment(order_id, tracking_number, news)?;
                self.delivered(shipment, tracking_number, news);
            }
            NewsKind::ShipmentTroubled { trouble, tracking_number } => {
                let shipment = self.shipment(order_id, tracking_number, news)?;
                self.troubled(shipment, *trouble, news);
            }
            NewsKind::PaymentCaptured { .. }
            | NewsKind::PaymentDeclined { .. }
            | NewsKind::PaymentLapsed { .. }
            | NewsKind::PaymentRefunded { .. }
            | NewsKind::PaymentDisputed { .. } => return Err(Mismatch::WrongProvider),
            NewsKind::Unknown { .. } | NewsKind::Malformed { .. } => return Err(Mismatch::Malformed),
        }
        Ok(())
    }

    fn delivered(&mut self, mut shipment: Shipment, tracking_number: &str, news: &ProviderNews) {
        let order_id = shipment.order_id;
        match shipment.deliver() {
            Ok(Change::Applied) => {
                let completed =
                    ShippingCompleted { order_id: order_id.0, tracking_number: tracking_number.to_owned() };
                // The saga writes the timeline entry.
                self.send(order_id, &ParcelNews::Completed(completed), tracking_number);
                self.put_shipment(shipment);
            }
            // The timeline has this delivery already.
            Ok(Change::NoChange) => {}
            Err(rejection) => self.tell_more(order_id, format!("{}; {rejection}", news.in_words())),
        }
    }

    fn troubled(&mut self, mut shipment: Shipment, trouble: ParcelTrouble, news: &ProviderNews) {
        let order_id = shipment.order_id;
        shipment.troubles.add(trouble);
        self.put_shipment(shipment);
        self.tell(order_id, news);
        let report = ParcelReported { order_id: order_id.0, trouble, detail: news.in_words() };
        self.send(order_id, &ParcelNews::Reported(report), &news.event_id);
    }
}
