//! The topology as the broker is to have it: an exchange for each message type, bound to the exchange of each queue that wants
//! it by way of a filter, bound to the queue; and beside each queue one for what it could not take. Declaring it twice changes nothing.

use bus::{Fault, Topology, Verdict};
use lapin::options::{
    ExchangeBindOptions, ExchangeDeclareOptions, ExchangeUnbindOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ExchangeKind};

use super::limits::NAME_BYTES_MAX;
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
}

/// What is to be declared.
#[derive(Debug)]
pub(super) struct Declaration {
    topology: Topology,
    naming: Naming,
    queue_kind: QueueKind,
    delivery_limit: u32,
}

impl Declaration {
    pub(super) const fn new(
        topology: Topology,
        naming: Naming,
        queue_kind: QueueKind,
        delivery_limit: u32,
    ) -> Self {
        Self { topology, naming, queue_kind, delivery_limit }
    }

    /// Which queues want what.
    pub(super) const fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Declares everything over a channel of its own, since a refusal closes the channel.
    pub(super) async fn declare(&self, connection: &Connection) -> Result<(), Fault> {
        let channel = connection.create_channel().await.map_err(|error| refusal::fault(DECLARE, error))?;
        for queue in self.topology.all_queues() {
            self.declare_error_queue(&channel, &queue).await?;
            self.declare_queue(&channel, &queue).await?;
            let inbox = Naming::inbox_exchange(&queue);
            declare_inbox(&channel, &inbox, &queue).await?;
            for kind in self.topology.kinds(&queue) {
                let exchange = self.naming.exchange(kind);
                declare_exchange(&channel, &exchange).await?;
                bind_exchange(&channel, &inbox, &exchange).await?;
                // As earlier versions had it.
                unbind_exchange(&channel, &queue, &exchange).await?;
            }
        }
        Ok(())
    }

    /// Asks for each queue without declaring any.
    pub(super) async fn depths(&self, channel: &Channel) -> Result<Vec<QueueDepth>, Fault> {
        let mut depths = Vec::new();
        for queue in self.topology.all_queues() {
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            let asking = channel.queue_declare(name(&queue)?, options, FieldTable::default());
            let seen = asking.await.map_err(|error| refusal::fault(DECLARE, error))?;
            let (messages, consumers) = (seen.message_count(), seen.consumer_count());
            depths.push(QueueDepth { queue: queue.to_string(), messages, consumers });
        }
        Ok(depths)
    }

    async fn declare_error_queue(&self, channel: &Channel, queue: &str) -> Result<(), Fault> {
        let name = Naming::error_queue(queue);
        declare_exchange(channel, &name).await?;
        let mut arguments = FieldTable::default();
        self.add_type(&mut arguments);
        declare_queue(channel, &name, arguments).await?;
        bind_queue(channel, &name).await
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

/// Declares an exchange as MassTransit does: fanout, durable.
pub(super) async fn declare_exchange(channel: &Channel, exchange: &str) -> Result<(), Fault> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let declared =
        channel.exchange_declare(name(exchange)?, ExchangeKind::Fanout, options, FieldTable::default());
    declared.await.map_err(|error| refused("exchange", exchange, &error))
}

/// Declares the exchange through which a queue hears of kinds: all goes on to the queue but for what bears the queue's own name
/// as its routing key, which is news of what the queue's consumer has done already. That leads to an exchange that leads
/// nowhere; everything else finds no binding here and so takes the alternative.
async fn declare_inbox(channel: &Channel, inbox: &str, queue: &str) -> Result<(), Fault> {
    let nowhere = Naming::nowhere_exchange();
    declare_exchange(channel, nowhere).await?;
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let mut arguments = FieldTable::default();
    arguments.insert(ShortString::from("alternate-exchange"), text(queue));
    let declared = channel.exchange_declare(name(inbox)?, ExchangeKind::Direct, options, arguments);
    declared.await.map_err(|error| refused("exchange", inbox, &error))?;
    let (to, from, key) = (name(nowhere)?, name(inbox)?, name(queue)?);
    let bound = channel.exchange_bind(to, from, key, ExchangeBindOptions::default(), FieldTable::default());
    bound.await.map_err(|error| refused("exchange", inbox, &error))
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
    let (verdict, advice) = match refusal::read(error) {
        Refusal::Unfit => (
            Verdict::GiveUp,
            format!(
                "the broker has the {what} '{name}' with other arguments; delete it there once it is empty, or set queue kind and delivery limit as it has them"
            ),
        ),
        Refusal::Forbidden => {
            (Verdict::GiveUp, format!("the user may not configure the {what} '{name}'; grant it"))
        }
        Refusal::Away | Refusal::Unknown => (Verdict::Retry, format!("declaring the {what} '{name}'")),
    };
    Fault::new(DECLARE, verdict, format!("{advice}: {error}"))
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.as_bytes().to_vec().into())
}
