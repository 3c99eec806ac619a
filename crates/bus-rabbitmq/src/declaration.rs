//! The topology as the broker is to have it: an exchange for each message type, bound to the exchange of each queue that wants
//! it by way of a filter, bound to the queue; and beside each queue one for what it could not take. Declaring it twice changes nothing.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bus::{Fault, Topology};
use lapin::options::{ExchangeBindOptions, ExchangeDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};
use tokio::time::timeout;
use uuid::Uuid;

use super::attempt::Connected;
use super::limits::{DECLARED_AT_ONCE_MAX, LOOKS_MAX, QUEUE_DECLARE_LIMIT, SPARE_CHANNELS};
use super::refusal::{self, Refusal};
use super::settings::QueueKind;
use super::steps::{
    DECLARE, ask, bind_exchange, bind_queue, declare_exchange, declare_queue, each, find_exchange,
    is_forbidden, missing, name, open, refused, text, unbind_exchange,
};
use super::wire::Naming;

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
    is_settled: AtomicBool,
    mendings: AtomicU64,
    unfit: Mutex<Vec<String>>,
}

impl Declaration {
    pub(super) fn new(
        topology: Topology,
        naming: Naming,
        queue_kind: QueueKind,
        delivery_limit: u32,
    ) -> Self {
        Self {
            topology,
            naming,
            queue_kind,
            delivery_limit,
            database: OnceLock::new(),
            was_whole: AtomicBool::new(false),
            is_settled: AtomicBool::new(false),
            mendings: AtomicU64::new(0),
            unfit: Mutex::default(),
        }
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

    /// How often nothing was amiss with the queues after something had been.
    pub(super) fn mendings(&self) -> u64 {
        self.mendings.load(Ordering::Acquire)
    }

    /// Whether the last declaration left everything as it should be, bindings included.
    pub(super) fn is_settled(&self) -> bool {
        self.is_settled.load(Ordering::Acquire)
    }

    /// Declares everything, as much of it at once as does not need the rest, so that the way to a broker far away is gone a dozen
    /// times and not a hundred. A refusal hits whatever is under way; one by one it hits what is to blame. Whoever may not declare
    /// is content if everything is there. Once all of it was there, what is amiss with one queue stops no other.
    pub(super) async fn declare(&self, connected: &Connected) -> Result<(), Fault> {
        let was_whole = self.was_whole.load(Ordering::Acquire);
        if was_whole && !self.unfit().is_empty() {
            return self.declare_around(connected).await;
        }
        let mut declared = self.declare_by(DECLARED_AT_ONCE_MAX, connected).await;
        if declared.is_err() && connected.is_up() {
            declared = self.declare_by(1, connected).await;
        }
        let may_configure = !declared.as_ref().is_err_and(is_forbidden);
        if !may_configure && connected.is_up() {
            declared = self.find(connected).await;
        }
        match declared {
            Err(_) if was_whole && connected.is_up() => return self.declare_around(connected).await,
            declared => declared?,
        }
        self.was_whole.store(true, Ordering::Release);
        self.note(Vec::new(), may_configure);
        Ok(())
    }

    /// Declares what can be declared, and notes the rest.
    async fn declare_around(&self, connected: &Connected) -> Result<(), Fault> {
        let unfit = self.declare_each(connected).await?;
        let is_settled = unfit.is_empty();
        self.note(unfit, is_settled);
        Ok(())
    }

    /// Says what changed, once.
    fn note(&self, unfit: Vec<String>, is_settled: bool) {
        let mut known = self.unfit.lock().unwrap_or_else(PoisonError::into_inner);
        for fault in unfit.iter().filter(|fault| !known.contains(fault)) {
            tracing::error!(fault, "something is amiss with a queue at the broker; the others go on");
        }
        if unfit.is_empty() && !known.is_empty() {
            self.mendings.fetch_add(1, Ordering::AcqRel);
            tracing::info!("every queue at the broker is as it should be again");
        }
        *known = unfit;
        self.is_settled.store(is_settled, Ordering::Release);
    }

    /// Declares one queue after the other and passes over those with which something is amiss; returns what that is. Whose virtual
    /// host it is, is not passed over.
    async fn declare_each(&self, connected: &Connected) -> Result<Vec<String>, Fault> {
        match self.claim(&open(connected).await?).await {
            Err(fault) if is_forbidden(&fault) => self.find_claim(&open(connected).await?).await?,
            claimed => claimed?,
        }
        let (mut unfit, mut unused) = (Vec::new(), None);
        for queue in &self.topology.all_queues() {
            let channel = match unused.take() {
                Some(channel) => channel,
                None => open(connected).await?,
            };
            let declared = match within(self.declare_one(&channel, queue)).await {
                Err(fault) if is_forbidden(&fault) => {
                    within(self.find_queue(&open(connected).await?, queue)).await
                }
                declared => declared.map(|()| unused = Some(channel)),
            };
            match declared {
                Err(fault) if !connected.is_up() => return Err(fault),
                declared => unfit.extend(declared.err().map(|fault| fault.to_string())),
            }
        }
        Ok(unfit)
    }

    async fn declare_one(&self, channel: &Channel, queue: &str) -> Result<(), Fault> {
        self.declare_error_queue(channel, queue).await?;
        self.declare_queue(channel, queue).await?;
        self.declare_inbox(channel, queue).await?;
        let kinds = self.topology.kinds(queue);
        each(DECLARED_AT_ONCE_MAX, kinds.map(|kind| self.declare_kind(channel, queue, kind))).await
    }

    /// Looks whether everything is there, for a user who may not configure. Bindings cannot be looked at.
    async fn find(&self, connected: &Connected) -> Result<(), Fault> {
        let channel = &open(connected).await?;
        self.find_claim(channel).await?;
        for queue in self.topology.all_queues() {
            self.find_queue(channel, &queue).await?;
        }
        Ok(())
    }

    async fn find_claim(&self, channel: &Channel) -> Result<(), Fault> {
        let Some(database) = self.database.get() else { return Ok(()) };
        let own = &Naming::database_exchange_of(*database);
        find_exchange(channel, own).await.map_err(|_| self.belongs_to_another(*database, own))
    }

    async fn find_queue(&self, channel: &Channel, queue: &str) -> Result<(), Fault> {
        let error_queue = Naming::error_queue(queue);
        for name in [&*error_queue, queue] {
            ask(channel, name).await.map_err(|fault| missing("queue", name, &fault))?;
        }
        find_exchange(channel, &Naming::inbox_exchange(queue)).await?;
        for kind in self.topology.kinds(queue) {
            find_exchange(channel, &self.naming.exchange(kind)).await?;
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
    async fn declare_by(&self, at_once: usize, connected: &Connected) -> Result<(), Fault> {
        let channel = &open(connected).await?;
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

/// Waits no longer for one queue than the others can bear.
async fn within(declaring: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
    timeout(QUEUE_DECLARE_LIMIT, declaring).await.unwrap_or_else(|_| {
        let text = format!("the broker did not declare a queue within {QUEUE_DECLARE_LIMIT:?}");
        Err(Fault::retry(DECLARE, text))
    })
}
