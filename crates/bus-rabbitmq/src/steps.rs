//! The single steps of a declaration, and what a refusal of each of them means.

use bus::Fault;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use lapin::options::{
    ExchangeBindOptions, ExchangeDeclareOptions, ExchangeUnbindOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind, Queue};

use super::attempt::Connected;
use super::limits::NAME_BYTES_MAX;
use super::refusal::{self, Refusal};

pub(super) const DECLARE: &str = "topology.declare";

/// A channel to declare on. Whatever stands in the way concerns the connection and says nothing about the topology.
pub(super) async fn open(connected: &Connected) -> Result<Channel, Fault> {
    connected.open_channel().await.map_err(|error| Fault::retry(DECLARE, error))
}

pub(super) async fn find_exchange(channel: &Channel, exchange: &str) -> Result<(), Fault> {
    let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let arguments = FieldTable::default();
    let found = channel.exchange_declare(name(exchange)?, ExchangeKind::Fanout, options, arguments).await;
    found.map_err(|error| missing("exchange", exchange, &error))
}

/// Whether an exchange is there, for a user who may not declare it.
pub(super) async fn has_exchange(channel: &Channel, exchange: &str) -> Result<bool, Fault> {
    let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let arguments = FieldTable::default();
    match channel.exchange_declare(name(exchange)?, ExchangeKind::Fanout, options, arguments).await {
        Ok(()) => Ok(true),
        Err(error) if refusal::read(&error) == Refusal::Unknown => Ok(false),
        Err(error) => Err(refusal::fault(DECLARE, error)),
    }
}

pub(super) fn missing(what: &str, name: &str, error: &dyn std::error::Error) -> Fault {
    let text = format!(
        "the {what} '{name}' is not there, and the user lacks a right that making it takes (configure, write or read); grant it, or have it declared by somebody who may (docs/interop.md): {error}"
    );
    Fault::give_up(DECLARE, text)
}

/// Who reads a queue, by number; none if there is no such queue.
pub(super) async fn readers(channel: &Channel, queue: &str) -> Result<Option<u32>, Fault> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    match channel.queue_declare(name(queue)?, options, FieldTable::default()).await {
        Ok(seen) => Ok(Some(seen.consumer_count())),
        Err(error) if refusal::read(&error) == Refusal::Unknown => Ok(None),
        Err(error) => Err(refusal::fault(DECLARE, error)),
    }
}

/// What the broker says of a queue, which must be there.
pub(super) async fn ask(channel: &Channel, queue: &str) -> Result<Queue, Fault> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let asking = channel.queue_declare(name(queue)?, options, FieldTable::default());
    asking.await.map_err(|error| refusal::fault(DECLARE, error))
}

/// Waits for all, so many at a time, or for the first fault. The broker takes them in the order in which they were put to it.
pub(super) async fn each<D>(at_once: usize, declaring: impl Iterator<Item = D>) -> Result<(), Fault>
where
    D: Future<Output = Result<(), Fault>>,
{
    stream::iter(declaring.collect::<Vec<_>>()).buffered(at_once).try_collect().await
}

/// Declares an exchange as MassTransit does: fanout, durable.
pub(super) async fn declare_exchange(channel: &Channel, exchange: &str) -> Result<(), Fault> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let declared =
        channel.exchange_declare(name(exchange)?, ExchangeKind::Fanout, options, FieldTable::default());
    declared.await.map_err(|error| refused("exchange", exchange, &error))
}

/// Has what comes to `source` no longer go to `destination`, if it did.
pub(super) async fn unbind_exchange(channel: &Channel, destination: &str, source: &str) -> Result<(), Fault> {
    let (to, from) = (name(destination)?, name(source)?);
    let options = ExchangeUnbindOptions::default();
    let unbound = channel.exchange_unbind(to, from, ShortString::default(), options, FieldTable::default());
    unbound.await.map_err(|error| refused("exchange", destination, &error))
}

/// Has what comes to `source` go to `destination` too.
pub(super) async fn bind_exchange(channel: &Channel, destination: &str, source: &str) -> Result<(), Fault> {
    let (to, from) = (name(destination)?, name(source)?);
    let options = ExchangeBindOptions::default();
    let bound = channel.exchange_bind(to, from, ShortString::default(), options, FieldTable::default());
    bound.await.map_err(|error| refused("exchange", destination, &error))
}

pub(super) async fn declare_queue(
    channel: &Channel,
    queue: &str,
    arguments: FieldTable,
) -> Result<(), Fault> {
    let declared = channel.queue_declare(name(queue)?, QueueDeclareOptions::durable(), arguments);
    declared.await.map(drop).map_err(|error| refused("queue", queue, &error))
}

/// Queue and exchange of the same name.
pub(super) async fn bind_queue(channel: &Channel, both: &str) -> Result<(), Fault> {
    let (queue, exchange) = (name(both)?, name(both)?);
    let options = QueueBindOptions::default();
    let bound = channel.queue_bind(queue, exchange, ShortString::default(), options, FieldTable::default());
    bound.await.map_err(|error| refused("queue", both, &error))
}

/// A name as AMQP takes it.
pub(super) fn name(text: &str) -> Result<ShortString, Fault> {
    if text.len() > NAME_BYTES_MAX {
        let problem = format!("the name '{text}' has {} bytes; a name may have {NAME_BYTES_MAX}", text.len());
        return Err(Fault::give_up(DECLARE, problem));
    }
    Ok(ShortString::from(text))
}

pub(super) fn refused(what: &str, name: &str, error: &lapin::Error) -> Fault {
    match refusal::read(error) {
        Refusal::Unfit if refusal::is_locked(error) => Fault::give_up(
            DECLARE,
            format!(
                "another connection holds the {what} '{name}' for itself alone (exclusively); end that connection: {error}"
            ),
        ),
        Refusal::Unfit => Fault::give_up(
            DECLARE,
            format!(
                "the broker has the {what} '{name}' with other arguments, or a limit of its virtual host does not let it be made; delete it there once it is empty, set queue kind and delivery limit as it has them, or raise the limit: {error}"
            ),
        ),
        Refusal::Forbidden => Fault::give_up(
            DECLARE,
            Forbidden(format!(
                "the user lacks a right on the {what} '{name}', or on what it leads to; grant configure, write and read (docs/interop.md, 'Rights'): {error}"
            )),
        ),
        Refusal::Away | Refusal::Unknown => {
            Fault::retry(DECLARE, format!("declaring the {what} '{name}': {error}"))
        }
    }
}

/// A right that is missing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Forbidden(String);

pub(super) fn is_forbidden(fault: &Fault) -> bool {
    std::error::Error::source(fault).is_some_and(<dyn std::error::Error>::is::<Forbidden>)
}

pub(super) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.as_bytes().to_vec().into())
}
