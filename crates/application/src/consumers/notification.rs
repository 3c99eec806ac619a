//! Turns events of orders into notifications, one per channel, in the transaction that takes the event. It exists
//! only if a channel is configured; otherwise no queue subscribes and nothing is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bus::{Consumer, Envelope, Fault, Message, MessageId, Work};
use domain::{Order, OrderId, OrderStatus, Shipment};
use uuid::Uuid;

use crate::context::Context;
use crate::messages::{
    NotificationDispatchRequested, OrderCancelledEvent, OrderDeliveredEvent, OrderShippedEvent,
    OrderShippingRequested,
};
use crate::order_details::OrderDetails;
use crate::ports::{AnyUnit, Channel, Notification, NotificationKind};

/// Events that customers care about.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
pub enum CustomerNews {
    /// Shipping is requested as soon as the order is paid, or its money authorised; from then on the order is certain.
    Confirmed(OrderShippingRequested),
    /// The carrier has the parcel.
    Shipped(OrderShippedEvent),
    /// The customer has the parcel.
    Delivered(OrderDeliveredEvent),
    /// The order is cancelled.
    Cancelled(OrderCancelledEvent),
}

impl CustomerNews {
    const fn order_id(&self) -> Uuid {
        match self {
            Self::Confirmed(message) => message.order_id,
            Self::Shipped(message) => message.order_id,
            Self::Delivered(message) => message.order_id,
            Self::Cancelled(message) => message.order_id,
        }
    }

    const fn notification_kind(&self) -> NotificationKind {
        match self {
            Self::Confirmed(_) => NotificationKind::OrderConfirmed,
            Self::Shipped(_) => NotificationKind::OrderShipped,
            Self::Delivered(_) => NotificationKind::OrderDelivered,
            Self::Cancelled(_) => NotificationKind::OrderCancelled,
        }
    }

    /// Carrier, tracking number and reason, if the event has them.
    fn details(&self) -> (Option<String>, Option<String>, Option<String>) {
        match self {
            Self::Shipped(message) => {
                (Some(message.carrier.clone()), Some(message.tracking_number.clone()), None)
            }
            Self::Cancelled(message) => (None, None, Some(message.reason.clone())),
            Self::Confirmed(_) | Self::Delivered(_) => (None, None, None),
        }
    }
}

/// Consumes [`CustomerNews`].
pub struct NotificationConsumer {
    channels: Arc<[Channel]>,
    context: Arc<Context>,
}

impl NotificationConsumer {
    /// A consumer that requests every notification for each of these channels.
    #[must_use]
    pub const fn new(channels: Arc<[Channel]>, context: Arc<Context>) -> Self {
        Self { channels, context }
    }
}

#[async_trait]
impl Consumer<AnyUnit> for NotificationConsumer {
    const QUEUE: &'static str = "notification";
    type Message = CustomerNews;

    async fn handle(&self, unit: &mut AnyUnit, batch: &mut [Work<CustomerNews>]) -> Result<(), Fault> {
        let now = self.context.clock.now();
        let mut ids: Vec<OrderId> = batch.iter().map(|work| OrderId(work.message.order_id())).collect();
        ids.sort_unstable();
        ids.dedup();
        let orders = unit.orders().get_orders_with_items(&ids).await?;
        let orders: BTreeMap<Uuid, &Order> = orders.iter().map(|order| (order.id().0, order)).collect();
        let emails: BTreeMap<OrderId, String> = emails(unit.orders().details(&ids).await?);
        let mut messages = Vec::with_capacity(batch.len() * self.channels.len());
        for work in batch.iter() {
            let Some(order) = orders.get(&work.message.order_id()) else { continue };
            let email = emails.get(&order.id()).cloned();
            let notification = Notification { email, ..notification(&work.message, order, work.envelope()) };
            for (ordinal, channel) in (0..).zip(self.channels.iter()) {
                let request = NotificationDispatchRequested {
                    order_id: order.id().0,
                    channel: channel.to_string(),
                    notification: notification.clone(),
                };
                messages.push(request.caused_by(work.envelope(), ordinal, now));
            }
        }
        unit.publish(messages).await
    }
}

/// The mail addresses that orders name, out of what they say.
pub(crate) fn emails(details: Vec<(OrderId, String)>) -> BTreeMap<OrderId, String> {
    let email = |(id, stored): (OrderId, String)| {
        let details = OrderDetails::from_stored(&stored).ok()?;
        Some((id, details.contact?.email?))
    };
    details.into_iter().filter_map(email).collect()
}

/// Derives from order and kind alone: an event that comes twice, in whatever message, is the same notification.
pub(super) fn notification_id(order_id: OrderId, kind: NotificationKind) -> Uuid {
    MessageId(order_id.0).child(kind.as_str(), 0).0
}

/// The notification about where an order stands; none before it is certain.
pub(crate) fn where_it_stands(order: &Order, shipment: Option<&Shipment>) -> Option<Notification> {
    let kind = match order.status() {
        OrderStatus::Authorised | OrderStatus::Paid => NotificationKind::OrderConfirmed,
        OrderStatus::Shipped => NotificationKind::OrderShipped,
        OrderStatus::Delivered => NotificationKind::OrderDelivered,
        OrderStatus::Cancelled => NotificationKind::OrderCancelled,
        OrderStatus::Pending | OrderStatus::Validated | OrderStatus::PaymentProcessing => return None,
    };
    let parcel = shipment.filter(|_| kind == NotificationKind::OrderShipped);
    Some(Notification {
        id: notification_id(order.id(), kind),
        kind,
        order_id: order.id().0,
        customer_id: order.customer_id().to_string(),
        email: None,
        total: order.total().into(),
        at: order.snapshot().updated_at,
        carrier: parcel.and_then(|parcel| parcel.carrier.clone()),
        tracking_number: parcel.and_then(|parcel| parcel.tracking_number.clone()),
        reason: order.cancellation().map(|cancellation| cancellation.reason.as_str().to_owned()),
    })
}

fn notification(news: &CustomerNews, order: &Order, envelope: &Envelope) -> Notification {
    let kind = news.notification_kind();
    let (carrier, tracking_number, reason) = news.details();
    Notification {
        id: notification_id(order.id(), kind),
        kind,
        order_id: order.id().0,
        customer_id: order.customer_id().to_string(),
        email: None,
        total: order.total().into(),
        at: envelope.sent_at,
        carrier,
        tracking_number,
        reason,
    }
}
