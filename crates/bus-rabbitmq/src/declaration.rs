//! The topology as the broker is to have it: an exchange for each message type, bound to the exchange of each queue that wants
//! it by way of a filter, bound to the queue; and beside each queue one for what it could not take. Declaring it twice changes nothing.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bus::{Fault, Topology, Verdict};
use futures_util::future::{try_join, try_join_all};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use lapin::options::{
    ExchangeBindOptions, ExchangeDeclareOptions, ExchangeUnbindOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ExchangeKind, Queue};
use uuid::Uuid;

use super::limits::{DECLARED_AT_ONCE_MAX, LOOKS_MAX, NAME_BYTES_MAX, SPARE_CHANNELS};
use super::refusal::{self, Refusal};
use super::settings::QueueKind;
use super::wire::Naming;

/// A queue as the broker sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// Its name.
    pub queue: String,
    /// Messages that are ready.
    pub messages: u32,
    /// Who reads it.
    pub consumers: u32,
    /// Where the broker puts what the queue could not take.
    pub error_queue: String,
    /// Messages that lie there.
    pub set_aside: u32,
    /// Messages that this process was given and has not acknowledged.
    pub held: usize,
    /// For how long the oldest of them.
    pub held_for: Duration,
}

/// What is to be declared.
#[derive(Debug)]
pub(super) struct Declaration {
    topology: Topology,
    naming: Naming,
    queue_kind: QueueKind,
    delivery_limit: u32,
    /// Whose virtual host it is, once that is known.
    database: OnceLock<Uuid>,
    /// Whether all of it was there once. From then on what is amiss somewhere stops nothing else.
    was_whole: AtomicBool,
    unfit: Mutex<Vec<String>>,
}

impl Declaration {
    pub(super) fn new(
        topology: Topology,
        naming: Naming,
        queue_kind: QueueKind,
        delivery_limit: u32,
    ) -> Self {
        let (database, was_whole, unfit) = (OnceLock::new(), AtomicBool::new(false), Mutex::default());
        Self { topology, naming, queue_kind, delivery_limit, database, was_whole, unfit }
    }

    /// Which queues want what.
    pub(super) const fn topology(&self) -> &Topology {
        &self.topology
    }

    /// From now on the virtual host is to be this database's.
    pub(super) fn belong_to(&self, database: Uuid) {
        let _ = self.database.set(database);
    }

    /// Channels that one connection needs at once.
    pub(super) fn channels(&self) -> usize {
        self.topology.all_queues().len() + SPARE_CHANNELS
    }

    /// What was found amiss the last time, while everything else went on.
    pub(super) fn unfit(&self) -> Vec<String> {
        self.unfit.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Declares everything, as much of it at once as does not need the rest, so that the way to a broker far away is gone a dozen
    /// times and not a hundred. A refusal hits whatever is under way; one by one it hits what is to blame. Whoever may not declare
    /// is content if everything is there. Once all of it was there, one thing that is not stops nothing else.
    pub(super) async fn declare(&self, connection: &Connection) -> Result<(), Fault> {
        let is_up = || connection.status().connected();
        let declared = match self.declare_by(DECLARED_AT_ONCE_MAX, connection).await {
            Err(_) if is_up() => self.declare_by(1, connection).await,
            declared => declared,
        };
        let declared = match declared {
            Err(fault) if is_forbidden(&fault) && is_up() => self.find(connection).await,
            declared => declared,
        };
        let unfit = match declared {
            Ok(()) => Vec::new(),
            Err(fault) if fault.verdict == Verdict::GiveUp && is_up() && self.was_whole() => {
                self.declare_each(connection).await?
            }
            Err(fault) => return Err(fault),
        };
        self.was_whole.store(true, Ordering::Release);
        *self.unfit.lock().unwrap_or_else(PoisonError::into_inner) = unfit;
        Ok(())
    }

    fn was_whole(&self) -> bool {
        self.was_whole.load(Ordering::Acquire)
    }

    /// Declares one thing after the other and passes over what the broker has otherwise; returns what that is. Whose virtual
    /// host it is, is not passed over.
    async fn declare_each(&self, connection: &Connection) -> Result<Vec<String>, Fault> {
        self.claim(&open(connection).await?).await?;
        let mut unfit = Vec::new();
        let queues = self.topology.all_queues();
        for queue in &queues {
            let channel = open(connection).await?;
            let declaring = async {
                self.declare_error_queue(&channel, queue).await?;
                self.declare_queue(&channel, queue).await?;
                self.declare_inbox(&channel, queue).await?;
                for kind in self.topology.kinds(queue) {
                    self.declare_kind(&channel, queue, kind).await?;
                }
                Ok::<(), Fault>(())
            };
            match declaring.await {
                Err(fault) if fault.verdict == Verdict::GiveUp => {
                    tracing::error!(queue = &**queue, %fault, "the broker has a queue otherwise; the others go on");
                    unfit.push(fault.to_string());
                }
                declared => declared?,
            }
        }
        Ok(unfit)
    }

    /// Looks whether everything is there, for a user who may not configure. Bindings cannot be looked at.
    async fn find(&self, connection: &Connection) -> Result<(), Fault> {
        let channel = &open(connection).await?;
        if let Some(database) = self.database.get() {
            let own = &Naming::database_exchange_of(*database);
            find_exchange(channel, own).await.map_err(|_| self.belongs_to_another(*database, own))?;
        }
        for queue in self.topology.all_queues() {
            let error_queue = Naming::error_queue(&queue);
            for name in [&*error_queue, &*queue] {
                ask(channel, name).await.map_err(|fault| missing("queue", name, &fault))?;
            }
            find_exchange(channel, &Naming::inbox_exchange(&queue)).await?;
            for kind in self.topology.kinds(&queue) {
                find_exchange(channel, &self.naming.exchange(kind)).await?;
            }
        }
        Ok(())
    }

    /// Says whose virtual host it is. The broker refuses an exchange that is there with another alternative, which is how a
    /// second database is found out.
    async fn claim(&self, channel: &Channel) -> Result<(), Fault> {
        let Some(database) = self.database.get() else { return Ok(()) };
        let (marker, own) = (self.naming.database_exchange(), Naming::database_exchange_of(*database));
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let mut arguments = FieldTable::default();
        arguments.insert(ShortString::from("alternate-exchange"), text(&own));
        let claimed =
            channel.exchange_declare(name(&marker)?, ExchangeKind::Fanout, options, arguments).await;
        match claimed {
            Ok(()) => declare_exchange(channel, &own).await,
            Err(error) if refusal::read(&error) == Refusal::Unfit => {
                Err(self.belongs_to_another(*database, &error))
            }
            Err(error) => Err(refused("exchange", &marker, &error)),
        }
    }

    fn belongs_to_another(&self, database: Uuid, said: &dyn fmt::Display) -> Fault {
        let marker = self.naming.database_exchange();
        let text = format!(
            "the virtual host belongs to another database; this worker's is {database}, and the two would handle each other's messages. Give each database a virtual host of its own; if the other is gone for good, delete the exchange '{marker}' there: {said}"
        );
        Fault::give_up(DECLARE, text)
    }

    /// Declares `at_once` things at a time, over a channel of its own, since a refusal closes the channel.
    async fn declare_by(&self, at_once: usize, connection: &Connection) -> Result<(), Fault> {
        let channel = &open(connection).await?;
        self.claim(channel).await?;
        let queues = self.topology.all_queues();
        each(at_once, queues.iter().map(|queue| self.declare_error_queue(channel, queue))).await?;
        each(at_once, queues.iter().map(|queue| self.declare_queue(channel, queue))).await?;
        each(at_once, queues.iter().map(|queue| self.declare_inbox(channel, queue))).await?;
        let subscriptions = self.subscriptions(&queues);
        each(at_once, subscriptions.iter().map(|(queue, kind)| self.declare_kind(channel, queue, kind))).await
    }

    /// Every queue with every kind that it wants.
    fn subscriptions<'a>(&self, queues: &'a [Arc<str>]) -> Vec<(&'a str, &'static str)> {
        let wanted = queues.iter().map(|queue| (&**queue, self.topology.kinds(queue)));
        wanted.flat_map(|(queue, kinds)| kinds.map(move |kind| (queue, kind))).collect()
    }

    /// Has a queue get what is published as a kind.
    async fn declare_kind(&self, channel: &Channel, queue: &str, kind: &str) -> Result<(), Fault> {
        let exchange = self.naming.exchange(kind);
        declare_exchange(channel, &exchange).await?;
        bind_exchange(channel, &Naming::inbox_exchange(queue), &exchange).await?;
        // As earlier versions had it.
        unbind_exchange(channel, queue, &exchange).await
    }

    /// Declares the exchange through which a queue hears of kinds: all goes on to the queue but for what bears the queue's own name
    /// as its routing key, which is news of what the queue's consumer has done already. That leads to an exchange that leads
    /// nowhere; everything else finds no binding here and so takes the alternative.
    async fn declare_inbox(&self, channel: &Channel, queue: &str) -> Result<(), Fault> {
        let inbox = &Naming::inbox_exchange(queue);
        let nowhere = &self.naming.nowhere_exchange();
        declare_exchange(channel, nowhere).await?;
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let mut arguments = FieldTable::default();
        arguments.insert(ShortString::from("alternate-exchange"), text(queue));
        let declared = channel.exchange_declare(name(inbox)?, ExchangeKind::Direct, options, arguments);
        declared.await.map_err(|error| refused("exchange", inbox, &error))?;
        let (to, from, key) = (name(nowhere)?, name(inbox)?, name(queue)?);
        let bound =
            channel.exchange_bind(to, from, key, ExchangeBindOptions::default(), FieldTable::default());
        bound.await.map_err(|error| refused("exchange", inbox, &error))
    }

    /// Asks for each queue without declaring any. All are asked at once, so that it takes one way to the broker and back.
    pub(super) async fn depths(&self, channel: &Channel) -> Result<Vec<QueueDepth>, Fault> {
        let queues = self.topology.all_queues();
        try_join_all(queues.iter().map(|queue| depth(channel, queue))).await
    }

    async fn declare_error_queue(&self, channel: &Channel, queue: &str) -> Result<(), Fault> {
        let name = Naming::error_queue(queue);
        declare_exchange(channel, &name).await?;
        declare_queue(channel, &name, self.error_arguments()).await?;
        bind_queue(channel, &name).await
    }

    fn error_arguments(&self) -> FieldTable {
        let mut arguments = FieldTable::default();
        self.add_type(&mut arguments);
        if self.queue_kind == QueueKind::Quorum {
            arguments.insert(ShortString::from("x-delivery-limit"), AMQPValue::LongLongInt(LOOKS_MAX));
        }
        arguments
    }

    async fn declare_queue(&self, channel: &Channel, queue: &str) -> Result<(), Fault> {
        declare_exchange(channel, queue).await?;
        declare_queue(channel, queue, self.arguments(queue)).await?;
        bind_queue(channel, queue).await
    }

    fn arguments(&self, queue: &str) -> FieldTable {
        let mut arguments = FieldTable::default();
        self.add_type(&mut arguments);
        let mut set = |name: &str, value| {
            arguments.insert(ShortString::from(name), value);
        };
        set("x-dead-letter-exchange", text(&Naming::error_queue(queue)));
        if self.queue_kind == QueueKind::Quorum {
            set("x-delivery-limit", AMQPValue::LongLongInt(i64::from(self.delivery_limit)));
            // Without both, a message on its way to the error queue is lost with the node that moves it.
            set("x-dead-letter-strategy", text("at-least-once"));
            set("x-overflow", text("reject-publish"));
        }
        arguments
    }

    fn add_type(&self, arguments: &mut FieldTable) {
        let kind = match self.queue_kind {
            QueueKind::Quorum => "quorum",
            QueueKind::Classic => "classic",
        };
        arguments.insert(ShortString::from("x-queue-type"), text(kind));
    }
}

const DECLARE: &str = "topology.declare";

async fn depth(channel: &Channel, queue: &str) -> Result<QueueDepth, Fault> {
    let error_queue = Naming::error_queue(queue);
    let (seen, aside) = try_join(ask(channel, queue), ask(channel, &error_queue)).await?;
    let (messages, consumers, set_aside) =
        (seen.message_count(), seen.consumer_count(), aside.message_count());
    Ok(QueueDepth {
        queue: queue.to_owned(),
        messages,
        consumers,
        error_queue,
        set_aside,
        held: 0,
        held_for: Duration::ZERO,
    })
}

async fn open(connection: &Connection) -> Result<Channel, Fault> {
    connection.create_channel().await.map_err(|error| refusal::fault(DECLARE, error))
}

async fn find_exchange(channel: &Channel, exchange: &str) -> Result<(), Fault> {
    let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let arguments = FieldTable::default();
    let found = channel.exchange_declare(name(exchange)?, ExchangeKind::Fanout, options, arguments).await;
    found.map_err(|error| missing("exchange", exchange, &error))
}

fn missing(what: &str, name: &str, error: &dyn std::error::Error) -> Fault {
    let text = format!(
        "the {what} '{name}' is not there, and the user may not configure it; grant that, or have it declared by somebody who may (docs/interop.md): {error}"
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
async fn ask(channel: &Channel, queue: &str) -> Result<Queue, Fault> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let asking = channel.queue_declare(name(queue)?, options, FieldTable::default());
    asking.await.map_err(|error| refusal::fault(DECLARE, error))
}

/// Waits for all, so many at a time, or for the first fault. The broker takes them in the order in which they were put to it.
async fn each<D>(at_once: usize, declaring: impl Iterator<Item = D>) -> Result<(), Fault>
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
async fn unbind_exchange(channel: &Channel, destination: &str, source: &str) -> Result<(), Fault> {
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

async fn declare_queue(channel: &Channel, queue: &str, arguments: FieldTable) -> Result<(), Fault> {
    let declared = channel.queue_declare(name(queue)?, QueueDeclareOptions::durable(), arguments);
    declared.await.map(drop).map_err(|error| refused("queue", queue, &error))
}

/// Queue and exchange of the same name.
async fn bind_queue(channel: &Channel, both: &str) -> Result<(), Fault> {
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

fn refused(what: &str, name: &str, error: &lapin::Error) -> Fault {
    match refusal::read(error) {
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

fn is_forbidden(fault: &Fault) -> bool {
    std::error::Error::source(fault).is_some_and(<dyn std::error::Error>::is::<Forbidden>)
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.as_bytes().to_vec().into())
}
