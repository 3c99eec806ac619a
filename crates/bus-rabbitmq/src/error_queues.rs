//! What lies in the error queues: looked at, put back, discarded. A message is got, and given back with its channel unless it was
//! acknowledged; it is acknowledged only after the broker has confirmed its copy in the queue that it came from.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bus::{AsideCause, ErrorQueue, ErrorQueues, Fault, SetAside, TakenErrors};
use futures_util::FutureExt;
use futures_util::future::join_all;
use jiff::Timestamp;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions, ConfirmSelectOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::time::timeout;
use uuid::Uuid;

use super::depths::QueueDepth;
use super::link::Opened;
use super::properties;
use super::refusal;
use super::shared::Shared;
use super::steps::name as amqp_name;
use super::transport::RabbitMqTransport;
use super::turns::Turn;
use super::wire::{EXPIRED, Naming, WireError};

/// Messages that are got at a time, however few are wanted. What is given back lies behind what was given back before, so a
/// look at fewer would change their order.
const WINDOW: usize = 200;

const LOOK: &str = "error_queues.look";
const PUT_BACK: &str = "error_queues.put_back";
const DISCARD: &str = "error_queues.discard";

/// All that was not acknowledged goes back.
const BACK: BasicNackOptions = BasicNackOptions { multiple: true, requeue: true };

/// Headers that the broker writes about earlier deliveries. They count a message's past, and change with every look.
const OF_THE_BROKER: [&str; 2] = ["x-delivery-count", "x-acquired-count"];

/// How headers begin that say why the broker moved a message.
const DEATHS: [&str; 3] = ["x-death", "x-first-death-", "x-last-death-"];

/// Said of what its sender gave so long and no longer.
const LATE: &str = "its time had passed";

#[async_trait]
impl ErrorQueues for RabbitMqTransport {
    async fn list_error_queues(&self) -> Result<Vec<ErrorQueue>, Fault> {
        let depths = self.queue_depths().await?.into_iter();
        let queue = |depth: QueueDepth| ErrorQueue {
            name: depth.error_queue,
            queue: depth.queue,
            messages: depth.set_aside.into(),
        };
        Ok(depths.map(queue).collect())
    }

    async fn look_at_errors(&self, name: &str, max: usize) -> Result<Vec<SetAside>, Fault> {
        let got = Got::first(self, name, max).await?;
        let seen = got.seen.clone();
        got.give_back().await;
        Ok(seen)
    }

    async fn take_errors(
        &self,
        name: &str,
        count: usize,
        mark: Uuid,
    ) -> Result<Option<Box<dyn TakenErrors>>, Fault> {
        let got = Got::first(self, name, count).await?;
        if got.seen.len() == count && got.seen.last().is_some_and(|last| last.mark == mark) {
            return Ok(Some(Box::new(got)));
        }
        got.give_back().await;
        Ok(None)
    }
}

/// Messages that were got and not acknowledged.
struct Got {
    shared: Arc<Shared>,
    opened: Opened,
    _turn: Turn,
    queue: Arc<str>,
    /// All that were got.
    deliveries: Vec<Delivery>,
    /// The first of them, as many as were wanted.
    seen: Vec<SetAside>,
}

impl Got {
    async fn first(transport: &RabbitMqTransport, name: &str, max: usize) -> Result<Self, Fault> {
        let (shared, link) = transport.parts();
        let queues = shared.declaration.topology().all_queues();
        let queue = queues.into_iter().find(|queue| Naming::error_queue(queue) == name);
        let queue =
            queue.ok_or_else(|| Fault::give_up(LOOK, format!("no error queue is called '{name}'")))?;
        let (turn, opened) = shared.turns.take(link, name).await?;
        let mut got = Self { shared, opened, _turn: turn, queue, deliveries: Vec::new(), seen: Vec::new() };
        let limit = got.shared.answer_limit.saturating_mul(2);
        let getting = async {
            while got.deliveries.len() < max.max(WINDOW) {
                let options = BasicGetOptions { no_ack: false };
                match got.opened.channel.basic_get(amqp_name(name)?, options).await {
                    Ok(Some(message)) => got.add(message.delivery, max),
                    Ok(None) => break,
                    Err(error) => return Err(refusal::fault(LOOK, error)),
                }
            }
            Ok(())
        };
        timeout(limit, getting).await.map_err(|_| late(LOOK, name))??;
        Ok(got)
    }

    fn add(&mut self, delivery: Delivery, max: usize) {
        if self.seen.len() < max {
            let before = self.seen.last().map_or(Uuid::nil(), |seen| seen.mark);
            self.seen.push(self.shown(&delivery, before));
        }
        self.deliveries.push(delivery);
    }

    fn shown(&self, delivery: &Delivery, before: Uuid) -> SetAside {
        let (reason, died_at) = death(delivery.properties.headers().as_ref());
        let parcel = properties::parcel(&delivery.properties, delivery.data.clone());
        let kinds: Vec<&'static str> = self.shared.declaration.topology().kinds(&self.queue).collect();
        let read = self.shared.codec.decode(&parcel, &kinds, self.shared.clock.now());
        let cause = cause(delivery.properties.headers().as_ref(), read.as_ref().err());
        let (kind, unread) = match read {
            Ok(envelope) => (Some(envelope.kind.to_string()), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let told = parcel.headers.get("MT-Fault-Message").cloned();
        // What the headers say is often what reading it says again.
        let unread = unread.filter(|unread| told.as_ref() != Some(unread));
        let reason = [Some(reason), told, unread].into_iter().flatten().filter(|text| !text.is_empty());
        let headers: BTreeMap<String, String> =
            parcel.headers.into_iter().filter(|(name, _)| !is_changing(name)).collect();
        let mark = mark(before, parcel.message_id.as_deref(), &headers, &parcel.body);
        SetAside {
            mark,
            message_id: parcel.message_id,
            kind,
            cause,
            reason: reason.collect::<Vec<_>>().join(": "),
            sent_at: parcel.timestamp,
            died_at,
            content_type: parcel.content_type,
            headers,
            body: parcel.body.into(),
        }
    }

    /// They lie in the queue again when this is done, in their old order.
    async fn give_back(self) {
        // What cannot be said goes back with the connection.
        let _ = close(&self.opened.channel).await;
    }

    async fn publish(&self, delivery: &Delivery) -> Result<(), Fault> {
        let channel = &self.opened.channel;
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let (exchange, queue) = (ShortString::default(), amqp_name(&self.queue)?);
        let properties = afresh(&delivery.properties, self.shared.codec.naming().put_back_header());
        let published = channel.basic_publish(exchange, queue, options, &delivery.data, properties);
        let confirmed = async { published.await?.await };
        match confirmed.await.map_err(|error| refusal::fault(PUT_BACK, error))? {
            Confirmation::Ack(None) => {}
            Confirmation::Ack(Some(_)) | Confirmation::Nack(_) | Confirmation::NotRequested => {
                return Err(Fault::retry(PUT_BACK, format!("the queue '{}' did not take it", self.queue)));
            }
        }
        let acknowledged = channel.basic_ack(delivery.delivery_tag, BasicAckOptions { multiple: false });
        acknowledged.await.map_err(|error| refusal::fault(PUT_BACK, error))
    }

    async fn publish_all(&self) -> Result<(), Fault> {
        let confirms = self.opened.channel.confirm_select(ConfirmSelectOptions::default());
        confirms.await.map_err(|error| refusal::fault(PUT_BACK, error))?;
        let wanted = self.deliveries.iter().take(self.seen.len());
        let published = join_all(wanted.map(|delivery| self.publish(delivery))).await;
        let total = published.len();
        let failed: Vec<Fault> = published.into_iter().filter_map(Result::err).collect();
        match failed.first() {
            None => Ok(()),
            Some(first) => {
                let done = total - failed.len();
                Err(Fault::retry(PUT_BACK, format!("{done} of {total} are known to have arrived: {first}")))
            }
        }
    }
}

#[async_trait]
impl TakenErrors for Got {
    fn messages(&self) -> &[SetAside] {
        &self.seen
    }

    async fn put_back(self: Box<Self>) -> Result<(), Fault> {
        let limit = self.shared.answer_limit.saturating_mul(2);
        let put = timeout(limit, self.publish_all()).await;
        // What cannot be said goes back with the connection.
        let _ = close(&self.opened.channel).await;
        put.map_err(|_| late(PUT_BACK, &self.queue))?
    }

    async fn discard(self: Box<Self>) -> Result<(), Fault> {
        if let Some(last) = self.seen.len().checked_sub(1).and_then(|last| self.deliveries.get(last)) {
            let up_to = BasicAckOptions { multiple: true };
            let acknowledged = self.opened.channel.basic_ack(last.delivery_tag, up_to).await;
            acknowledged.map_err(|error| refusal::fault(DISCARD, error))?;
        }
        // An acknowledgement has no answer. The broker answers a channel that closes after all that was said on it.
        close(&self.opened.channel).await.map_err(|error| refusal::fault(DISCARD, error))
    }
}

impl Drop for Got {
    fn drop(&mut self) {
        if self.opened.is_up() {
            let _ = self.opened.channel.basic_nack(0, BACK).now_or_never();
        }
    }
}

/// Gives back what was not acknowledged, in its old order, and waits until the broker has heard it. What a channel leaves behind
/// that just closes comes back in another order.
async fn close(channel: &Channel) -> lapin::Result<()> {
    channel.basic_nack(0, BACK).await?;
    channel.close(lapin::protocol::constants::REPLY_SUCCESS, "done".into()).await
}

fn late(operation: &'static str, name: &str) -> Fault {
    Fault::retry(operation, format!("the broker did not answer in time about '{name}'"))
}

fn is_changing(name: &str) -> bool {
    OF_THE_BROKER.contains(&name)
}

/// Named by what stays the same however often it is looked at.
fn mark(before: Uuid, id: Option<&str>, headers: &BTreeMap<String, String>, body: &[u8]) -> Uuid {
    let mut contents = Vec::with_capacity(body.len() + 64);
    let mut add = |part: &[u8]| {
        contents.extend((part.len() as u64).to_be_bytes());
        contents.extend(part);
    };
    add(id.unwrap_or_default().as_bytes());
    for (name, value) in headers {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    add(body);
    SetAside::mark_behind(before, &contents)
}

/// The same message without its past: it is delivered afresh, and marked as put back, so that it is handled however late it is.
fn afresh(properties: &BasicProperties, mark: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        let is_past =
            is_changing(name.as_str()) || DEATHS.iter().any(|death| name.as_str().starts_with(death));
        if !is_past {
            headers.insert(name.clone(), value.clone());
        }
    }
    headers.insert(mark.into(), AMQPValue::LongString("1".into()));
    // Two: it survives a restart of the broker, however it was sent.
    properties.clone().with_headers(headers).with_delivery_mode(2)
}

/// What the broker says of the latest death, which is the first in its list.
fn latest_death(headers: Option<&FieldTable>) -> Option<&FieldTable> {
    match headers?.inner().get("x-death") {
        Some(AMQPValue::FieldArray(deaths)) => match deaths.as_slice().first() {
            Some(AMQPValue::FieldTable(death)) => Some(death),
            _ => None,
        },
        _ => None,
    }
}

fn long_text(table: &FieldTable, name: &str) -> Option<String> {
    match table.inner().get(name) {
        Some(AMQPValue::LongString(text)) => Some(text.to_string()),
        _ => None,
    }
}

/// Why a message was set aside, in one word. What its headers say goes before what reading it says now.
fn cause(headers: Option<&FieldTable>, unread: Option<&WireError>) -> AsideCause {
    let died_of = latest_death(headers).and_then(|death| long_text(death, "reason"));
    let told = headers.and_then(|headers| long_text(headers, "MT-Reason"));
    match (died_of.as_deref(), told.as_deref(), unread) {
        (Some("expired"), _, _) | (None, Some(EXPIRED), _) => AsideCause::Expired,
        (Some("delivery_limit"), _, _) => AsideCause::DeliveredTooOften,
        (Some("maxlen"), _, _) => AsideCause::QueueFull,
        (_, _, Some(WireError::NoKind { .. })) => AsideCause::UnknownType,
        (_, _, Some(_)) | (Some("rejected"), _, None) | (None, Some(_), None) => AsideCause::Unreadable,
        (Some(_) | None, _, None) => AsideCause::Unknown,
    }
}

/// Why a message was set aside, and when: by the broker, or by whoever wrote the headers that MassTransit knows. The latest death
/// is the first in the list.
fn death(headers: Option<&FieldTable>) -> (String, Option<Timestamp>) {
    let header = |name: &str| headers.and_then(|headers| headers.inner().get(name));
    let deaths = header("x-death");
    if let (None, Some(AMQPValue::LongString(_))) = (deaths, header("MT-Reason")) {
        let died_at = match header("MT-Fault-Timestamp") {
            Some(AMQPValue::LongString(at)) => at.to_string().parse().ok(),
            _ => None,
        };
        let words = match header("MT-Reason") {
            Some(AMQPValue::LongString(word)) if word.as_bytes() == EXPIRED.as_bytes() => LATE,
            _ => "it could not be handled",
        };
        return (words.to_owned(), died_at);
    }
    let Some(AMQPValue::FieldArray(deaths)) = deaths else {
        return ("it was put there by hand or by another program".to_owned(), None);
    };
    let Some(AMQPValue::FieldTable(death)) = deaths.as_slice().first() else {
        return ("the broker does not say why".to_owned(), None);
    };
    let reason = match death.inner().get("reason") {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        _ => String::new(),
    };
    let words = match reason.as_str() {
        "rejected" => "it could not be read",
        "delivery_limit" => "it was delivered too often without being finished",
        "expired" => LATE,
        "maxlen" => "the queue was full",
        _ => "the broker does not say why",
    };
    let died_at = match death.inner().get("time") {
        Some(AMQPValue::Timestamp(at)) => {
            i64::try_from(*at).ok().and_then(|at| Timestamp::from_second(at).ok())
        }
        _ => None,
    };
    (words.to_owned(), died_at)
}
