//! Takes what providers tell by webhook: each event once, in any order, and only what is news becomes a message.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bus::{Admission, Envelope, Fault, Message, MessageId};
use domain::{Change, Money, OrderId, Payment};
use jiff::Timestamp;

use super::Command;
use crate::messages::{PaymentFailed, PaymentProcessed, PaymentResult, ShippingCompleted, correlation};
use crate::pipeline::Context;
use crate::ports::UnitOfWork;

/// What a provider has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewsKind {
    /// The gateway has the money.
    PaymentCaptured {
        /// How much.
        amount: Money,
        /// The gateway's name for the charge.
        reference: String,
    },
    /// The gateway refuses for good.
    PaymentDeclined {
        /// Its reason.
        code: String,
    },
    /// The customer has the parcel.
    ShipmentDelivered {
        /// The carrier's name for the parcel.
        tracking_number: String,
    },
    /// Something that changes nothing here: noted as seen.
    Other,
}

/// One event of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderNews {
    /// The provider's id of the event; seen twice, it counts once.
    pub event_id: String,
    /// The order that it is about.
    pub order_id: OrderId,
    /// What it tells.
    pub kind: NewsKind,
}

impl ProviderNews {
    /// Under which it is noted as seen. The order comes first: providers give out random ids, and among a million of them
    /// almost every one would fall on a page of its own.
    fn inbox_id(&self) -> String {
        format!("{}/{}", self.order_id.0.simple(), self.event_id)
    }
}

/// Take these events of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeProviderNewsCommand {
    /// The provider, the namespace of its event ids.
    pub source: String,
    /// The events.
    pub news: Vec<ProviderNews>,
}

#[async_trait]
impl Command for TakeProviderNewsCommand {
    /// How many were new.
    type Reply = usize;

    const NAME: &'static str = "TakeProviderNewsCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<usize, Fault> {
        let now = context.clock.now();
        let ids: Vec<String> = self.news.iter().map(ProviderNews::inbox_id).collect();
        let admissions = unit.admit(&self.source, &ids, now).await?;
        let fresh: Vec<&ProviderNews> = self
            .news
            .iter()
            .zip(admissions)
            .filter(|(_, seen)| *seen == Admission::New)
            .map(|(news, _)| news)
            .collect();
        let mut messages = payment_news(unit, &fresh, context, now).await?;
        messages.extend(fresh.iter().filter_map(|news| delivery(news, context, now)));
        unit.publish(messages).await?;
        Ok(fresh.len())
    }
}

/// Brings the payment rows up to the news; what the rows knew already is no news to the saga.
async fn payment_news(
    unit: &mut dyn UnitOfWork,
    fresh: &[&ProviderNews],
    context: &Context,
    now: Timestamp,
) -> Result<Vec<Envelope>, Fault> {
    let about_money = |news: &&&ProviderNews| {
        matches!(news.kind, NewsKind::PaymentCaptured { .. } | NewsKind::PaymentDeclined { .. })
    };
    let ids: Vec<OrderId> = fresh.iter().filter(about_money).map(|news| news.order_id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = unit.payments().get(&ids).await?;
    let mut rows: BTreeMap<OrderId, Payment> = rows.into_iter().map(|row| (row.order_id, row)).collect();
    let mut changed: BTreeMap<OrderId, Payment> = BTreeMap::new();
    let mut messages = Vec::new();
    for news in fresh {
        if let Some(payment) = rows.get_mut(&news.order_id)
            && let Some(result) = note(payment, news)
        {
            changed.insert(news.order_id, payment.clone());
            messages.push(first(&result, news.order_id, context, now));
        }
    }
    let changed: Vec<Payment> = changed.into_values().collect();
    unit.payments().update(&changed, now).await?;
    Ok(messages)
}

fn note(payment: &mut Payment, news: &ProviderNews) -> Option<PaymentResult> {
    let order_id = news.order_id.0;
    let (noted, result) = match &news.kind {
        NewsKind::PaymentCaptured { amount, reference } => (
            payment.capture(*amount, reference),
            PaymentResult::Processed(PaymentProcessed {
                order_id,
                amount: (*amount).into(),
                provider_reference: reference.clone(),
            }),
        ),
        NewsKind::PaymentDeclined { code } => {
            (payment.decline(code), PaymentResult::Failed(PaymentFailed { order_id, code: code.clone() }))
        }
        NewsKind::ShipmentDelivered { .. } | NewsKind::Other => return None,
    };
    match noted {
        Ok(Change::Applied) => Some(result),
        Ok(Change::NoChange) => None,
        Err(rejection) => {
            tracing::warn!(order_id = %news.order_id, %rejection, "a webhook does not fit what is known");
            None
        }
    }
}

fn delivery(news: &ProviderNews, context: &Context, now: Timestamp) -> Option<Envelope> {
    let NewsKind::ShipmentDelivered { tracking_number } = &news.kind else { return None };
    let message = ShippingCompleted { order_id: news.order_id.0, tracking_number: tracking_number.clone() };
    Some(first(&message, news.order_id, context, now))
}

fn first<M: Message>(message: &M, order_id: OrderId, context: &Context, now: Timestamp) -> Envelope {
    message.first(MessageId(context.ids.next(now)), correlation(order_id), now)
}
