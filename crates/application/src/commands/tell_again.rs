//! Tells the customer of an order once more where it stands, through every channel. A notification keeps its id, so a receiver that
//! has it already detects the repeat.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Fault, Message, MessageId};
use domain::OrderId;

use super::Command;
use crate::consumers::{emails, where_it_stands};
use crate::context::Context;
use crate::messages::{NotificationDispatchRequested, correlation};
use crate::ports::{AuditEntry, Channel, Notification, NotificationKind, UnitOfWork};

/// Tell the customer of this order again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TellAgainCommand {
    /// The order.
    pub order_id: OrderId,
    /// The channels that are configured.
    pub channels: Arc<[Channel]>,
    /// Who asks for it.
    pub actor: String,
    /// Their note.
    pub note: String,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TellAgainReply {
    /// It is sent.
    Asked {
        /// What is told.
        kind: NotificationKind,
        /// Through how many channels.
        channels: usize,
    },
    /// Not possible.
    Refused {
        /// Why not.
        why: String,
    },
    /// No such order.
    NotFound,
}

#[async_trait]
impl Command for TellAgainCommand {
    type Reply = TellAgainReply;

    const NAME: &'static str = "TellAgainCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<TellAgainReply, Fault> {
        let refused = |why: String| Ok(TellAgainReply::Refused { why });
        let Some(order) = unit.orders().get_orders_with_items(&[self.order_id]).await?.pop() else {
            return Ok(TellAgainReply::NotFound);
        };
        if self.channels.is_empty() {
            return refused("no channel for notifications is configured (notifications.ways)".to_owned());
        }
        let shipment = unit.shipments().get(&[self.order_id]).await?.pop();
        let Some(notification) = where_it_stands(&order, shipment.as_ref()) else {
            return refused(format!(
                "the order is {}, and its customer was told nothing yet",
                order.status()
            ));
        };
        let details = unit.orders().details(&[self.order_id]).await?;
        let notification = Notification { email: emails(details).remove(&self.order_id), ..notification };
        let now = context.clock.now();
        let message = |channel: &Channel| {
            let request = NotificationDispatchRequested {
                order_id: self.order_id.0,
                channel: channel.to_string(),
                notification: notification.clone(),
            };
            request.first(MessageId(context.ids.next(now)), correlation(self.order_id), now)
        };
        unit.publish(self.channels.iter().map(message).collect()).await?;
        let entry = AuditEntry {
            at: now,
            actor: self.actor.clone(),
            action: format!("orders tell-again {}", notification.kind.as_str()),
            subject: self.order_id.to_string(),
            note: self.note.clone(),
        };
        unit.audit().record(&[entry]).await?;
        Ok(TellAgainReply::Asked { kind: notification.kind, channels: self.channels.len() })
    }
}
