//! Sends one notification through one channel, with retries for about three days. If that fails, or can never work,
//! it becomes a dead letter that an operator can redrive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bus::{EffectConsumer, Envelope, Fault, Vetted, Work};
use domain::{Order, OrderId, OrderStatus};
use uuid::Uuid;

use super::notification::notification_id;
use super::standing::UNKNOWN_ORDER;
use crate::context::Context;
use crate::messages::NotificationDispatchRequested;
use crate::ports::{
    AnyUnit, HistoryEntry, Notification, NotificationKind, NotificationService, Said, Untold,
};

/// Pauses between attempts, as Standard Webhooks recommends them: three days in all.
const PAUSES: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3_600),
    Duration::from_secs(5 * 3_600),
    Duration::from_secs(10 * 3_600),
    Duration::from_secs(14 * 3_600),
    Duration::from_secs(20 * 3_600),
    Duration::from_secs(24 * 3_600),
];

/// Longest pause that a receiver may request.
const ASKED_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Consumes [`NotificationDispatchRequested`].
pub struct NotificationDispatchConsumer {
    service: Arc<dyn NotificationService>,
    context: Arc<Context>,
}

type Told = Result<Said, Untold>;

impl NotificationDispatchConsumer {
    /// Notifications under way at once.
    pub const AT_ONCE_MAX: usize = 16;

    /// A consumer that sends through this service.
    #[must_use]
    pub fn new(service: Arc<dyn NotificationService>, context: Arc<Context>) -> Self {
        Self { service, context }
    }
}

#[async_trait]
impl EffectConsumer<AnyUnit> for NotificationDispatchConsumer {
    const QUEUE: &'static str = "notification-dispatch";
    type Message = NotificationDispatchRequested;
    type Answer = Told;

    /// A message alone is not enough to tell a customer something: it is compared with its order.
    async fn vet(
        &self,
        unit: &mut AnyUnit,
        requests: &[&NotificationDispatchRequested],
    ) -> Result<Vec<Vetted>, Fault> {
        let ids: BTreeSet<OrderId> = requests.iter().map(|request| OrderId(request.order_id)).collect();
        let ids: Vec<OrderId> = ids.into_iter().collect();
        let orders = unit.orders().get_orders_with_items(&ids).await?;
        let orders: BTreeMap<Uuid, &Order> = orders.iter().map(|order| (order.id().0, order)).collect();
        let say = |request: &&NotificationDispatchRequested| match orders.get(&request.order_id) {
            Some(order) => vetted(&request.notification, order),
            None => Vetted::Foreign(UNKNOWN_ORDER.to_owned()),
        };
        Ok(requests.iter().map(say).collect())
    }

    async fn perform(&self, message: &NotificationDispatchRequested, _: &Envelope) -> Result<Told, Fault> {
        Ok(match message.channel.parse() {
            Ok(channel) => self.service.tell(&message.notification, &channel).await,
            Err(why) => Err(Untold::Never { why }),
        })
    }

    async fn handle(
        &self,
        unit: &mut AnyUnit,
        batch: &mut [Work<NotificationDispatchRequested, Told>],
    ) -> Result<(), Fault> {
        let now = self.context.clock.now();
        let mut entries = Vec::new();
        for work in batch.iter_mut() {
            let attempt = work.envelope().attempt;
            let channel = work.message.channel.clone();
            let kind = work.message.notification.kind.as_str();
            let detail = match work.answer.clone() {
                Ok(Said::Told) => Some(format!("{kind} by {channel}")),
                Ok(Said::Unwanted) => Some(format!("{kind} not by {channel}, which wants no more")),
                Err(Untold::Never { why }) => {
                    work.dead_letter(why.clone());
                    Some(format!("{kind} not by {channel}: {why}"))
                }
                Err(Untold::Later { why, after }) => match pause(attempt, after) {
                    Some(pause) => {
                        work.redeliver(now, pause, why);
                        None
                    }
                    None => {
                        work.dead_letter(format!(
                            "not told in {} attempts: {why}",
                            attempt.saturating_add(1)
                        ));
                        Some(format!("{kind} not by {channel}: {why}"))
                    }
                },
            };
            let order_id = OrderId(work.message.order_id);
            let entry = |detail| HistoryEntry::without_step(order_id, now, "Notification", detail);
            entries.extend(detail.map(entry));
        }
        unit.history().append(&entries).await
    }
}

/// Whether this order has sent such a notification, and it is or was true.
fn vetted(notification: &Notification, order: &Order) -> Vetted {
    let kind = notification.kind;
    let is_of_order = notification.id == notification_id(order.id(), kind)
        && notification.order_id == order.id().0
        && notification.customer_id == order.customer_id().as_str()
        && notification.total == order.total().into();
    if !is_of_order {
        return Vetted::Foreign("the notification is not one that this order has sent".to_owned());
    }
    let status = order.status();
    let is_true = match kind {
        NotificationKind::OrderConfirmed => {
            use OrderStatus::{Authorised, Cancelled, Delivered, Paid, Shipped};
            matches!(status, Authorised | Paid | Shipped | Delivered | Cancelled)
        }
        NotificationKind::OrderShipped => matches!(status, OrderStatus::Shipped | OrderStatus::Delivered),
        NotificationKind::OrderDelivered => status == OrderStatus::Delivered,
        NotificationKind::OrderCancelled => status == OrderStatus::Cancelled,
    };
    if is_true {
        Vetted::Wanted
    } else {
        Vetted::Foreign(format!("the order is {status}, and its customer would be told {}", kind.as_str()))
    }
}

/// The pause after this many failed attempts; none after the last.
fn pause(attempt: u32, asked: Option<Duration>) -> Option<Duration> {
    let pause = *PAUSES.get(usize::try_from(attempt).ok()?)?;
    Some(asked.map_or(pause, |asked| pause.max(asked.min(ASKED_MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_over_three_days_and_then_end() {
        let pauses: Vec<Duration> = (0..100).map_while(|attempt| pause(attempt, None)).collect();
        assert!(pauses.is_sorted() && pauses.len() == PAUSES.len());
        let days = pauses.iter().sum::<Duration>().as_secs_f64() / 86_400.0;
        assert!((3.0..4.0).contains(&days), "{days}");
        assert_eq!(pause(0, Some(Duration::from_secs(60))), Some(Duration::from_secs(60)));
        assert_eq!(pause(2, Some(Duration::from_secs(60))), Some(PAUSES[2]));
        assert_eq!(pause(0, Some(Duration::MAX)), Some(ASKED_MAX));
        assert_eq!(pause(9, Some(Duration::ZERO)), None);
    }
}
