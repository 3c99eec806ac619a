//! The transport as the bus sees it: two connections, since a broker that is short of memory stops listening to those that
//! publish, and acknowledgements must still get through.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use bus::{
    ANSWER, Answer, Clock, DEAD_LETTER_NOTICE, DeadLetter, Envelope, Fault, Feed, IdSource, Mark, Topology,
    Transport, Unsent, mark, without_mark,
};
use lapin::uri::AMQPUri;
use tokio::sync::watch;
use uuid::Uuid;

use super::culprits::Culprits;
use super::declaration::Declaration;
use super::depths::{self, QueueDepth};
use super::feed::RabbitMqFeed;
use super::held::Held;
use super::limits::{PREFETCH_BATCHES, PREFETCH_MAX};
use super::link::Link;
use super::post::{Demand, Post};
use super::publisher::Publisher;
use super::renewals::Renewals;
use super::settings::{RabbitMqSettings, SettingsError};
use super::shared::Shared;
use super::troubles::Troubles;
use super::turns::Turns;
use super::wire::{Codec, Naming};

/// Carries messages over RabbitMQ. Cheap to clone; the connections close with the last clone and feed.
#[derive(Clone)]
pub struct RabbitMqTransport {
    shared: Arc<Shared>,
    publisher: Arc<Publisher>,
}

impl RabbitMqTransport {
    /// A transport that connects when it is first used. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(
        settings: &RabbitMqSettings,
        topology: Topology,
        clock: Arc<dyn Clock>,
        ids: &Arc<dyn IdSource>,
    ) -> Result<Self, SettingsError> {
        let addresses = settings.check()?;
        let naming = Naming::new(settings.namespace.clone(), settings.program.clone());
        let prefix = settings.queue_prefix.clone();
        let topology = topology.renamed(|queue| format!("{prefix}{queue}"));
        let codec = Codec::new(naming.clone(), base(&addresses[0]), &settings.host, settings.reading);
        let declaration =
            Arc::new(Declaration::new(topology, naming, settings.queue_kind, settings.delivery_limit));
        let link = |purpose: &str| {
            let name = format!("{} ({purpose})", settings.connection_name);
            let declaration = Arc::clone(&declaration);
            Link::new(addresses.clone(), name, settings, declaration, Arc::clone(ids))
        };
        let returns = Arc::new(watch::Sender::new(0));
        let publisher = Publisher::new(link("publishes"), settings.confirm_limit, Arc::clone(&returns));
        let publisher = Arc::new(publisher);
        let prefetch = settings.batch_max.saturating_mul(PREFETCH_BATCHES);
        let shared = Arc::new(Shared {
            consuming: Arc::new(link("consumes")),
            culprits: Culprits::default(),
            troubles: Troubles::default(),
            declaration,
            prefix,
            publisher: Arc::clone(&publisher),
            codec,
            clock,
            prefetch: u16::try_from(prefetch).unwrap_or(PREFETCH_MAX),
            answer_limit: settings.confirm_limit,
            held: Held::default(),
            renewals: Renewals::default(),
            returns,
            generations: AtomicU64::new(0),
            turns: Turns::default(),
        });
        Ok(Self { shared, publisher })
    }

    /// Connects and declares the topology now, so that a start fails at once and says why.
    ///
    /// # Errors
    /// [`bus::Verdict::Retry`] while no broker answers; [`bus::Verdict::GiveUp`] when none lets us in, or one has a queue or
    /// exchange of the same name with other arguments.
    pub async fn declare(&self) -> Result<(), Fault> {
        self.publisher.warm_up().await
    }

    /// A transport to the broker at this address, with the usual settings and the system's time and ids, and everything
    /// declared.
    ///
    /// # Errors
    /// As for [`Self::declare`]; [`bus::Verdict::GiveUp`] too for an address that is none.
    pub async fn connect(address: &str, topology: Topology) -> Result<Self, Fault> {
        let (clock, ids) = bus::system();
        let settings = RabbitMqSettings::at(vec![address.to_owned()]);
        let transport = Self::new(&settings, topology, clock, &ids);
        let transport = transport.map_err(|error| Fault::give_up("broker.connect", error))?;
        transport.declare().await?;
        Ok(transport)
    }

    /// What the broker says of each queue. Only looks.
    ///
    /// # Errors
    /// As for [`Self::declare`]; [`bus::Verdict::Retry`] too if a queue is gone. One that another connection holds for itself counts as
    /// one without messages and readers.
    pub async fn queue_depths(&self) -> Result<Vec<QueueDepth>, Fault> {
        let queues = self.shared.declaration.topology().all_queues();
        let depths = depths::of(self.publisher.link(), &queues).await?;
        let with_held = |depth: QueueDepth| {
            let (held, held_for) = self.shared.held.of(&depth.queue);
            let on_its_way = u32::from(self.shared.renewals.is_recent(&depth.queue));
            let queue = self.shared.bare(&depth.queue).to_owned();
            QueueDepth { queue, consumers: depth.consumers.max(on_its_way), held, held_for, ..depth }
        };
        Ok(depths.into_iter().map(with_held).collect())
    }

    /// What its parts share, and the way to the broker.
    pub(super) fn parts(&self) -> (Arc<Shared>, &Link) {
        (Arc::clone(&self.shared), self.publisher.link())
    }

    /// Says that the virtual host is for this database and no other, now and whenever a connection is made anew.
    ///
    /// # Errors
    /// [`bus::Verdict::GiveUp`] if it belongs to another one; else as for [`Self::declare`].
    pub async fn claim(&self, database: Uuid) -> Result<(), Fault> {
        self.shared.declaration.belong_to(database);
        self.publisher.declare_again().await
    }

    /// What the broker has otherwise than it should be, and queues and exchanges that cannot be used, found while everything else goes on.
    #[must_use]
    pub fn unfit(&self) -> Vec<String> {
        let shared = &self.shared;
        let (culprits, troubles) = (shared.culprits.told(), shared.troubles.told());
        [shared.declaration.unfit(), self.publisher.held(), culprits, troubles].concat()
    }

    /// Publishes MassTransit's `Fault<T>` for each of these, for whoever is interested. Publishing one twice is a repeat: its
    /// id derives from the message, its queue and its death.
    ///
    /// # Errors
    /// As for [`Transport::send`].
    pub async fn publish_faults(&self, dead: &[DeadLetter]) -> Result<(), Unsent> {
        let posts = dead.iter().map(|dead| self.fault(dead)).collect::<Result<Vec<_>, Fault>>()?;
        self.publisher.send(&posts).await
    }

    fn fault(&self, dead: &DeadLetter) -> Result<Post, Fault> {
        let codec = &self.shared.codec;
        let parcel = codec.encode_fault(dead).map_err(|error| Fault::give_up("fault.encode", error))?;
        let asker = codec.asker(&dead.envelope);
        let (demand, exchange) = match asker.fault_to.or(asker.answer_to) {
            Some(asking) => (Demand::Answer, asking),
            None => {
                let demand = Demand::Fault { all: Naming::all_faults_exchange() };
                (demand, codec.naming().fault_exchange(&dead.envelope.kind))
            }
        };
        Ok(Post::of(parcel, demand, exchange, ""))
    }

    fn answer(&self, envelope: &Envelope) -> Result<Post, Fault> {
        let answer = Answer::told_by(envelope)?;
        let parcel = self.shared.codec.encode_answer(&answer);
        let parcel = parcel.map_err(|error| Fault::give_up("answer.encode", error))?;
        Ok(Post::of(parcel, Demand::Answer, answer.to, ""))
    }

    /// What travels for an envelope: the message; or, for the news of a dead letter, MassTransit's form of it; or the answer in it.
    fn post(&self, envelope: &Envelope) -> Result<Post, Fault> {
        if &*envelope.kind == ANSWER {
            return self.answer(envelope);
        }
        if &*envelope.kind == DEAD_LETTER_NOTICE {
            return self.fault(&DeadLetter::told_by(envelope)?);
        }
        let codec = &self.shared.codec;
        let (mark, kind) = mark(&envelope.kind);
        let topology = self.shared.declaration.topology();
        let named = |queue: &str| self.shared.named(queue);
        let (is_wanted, exchange, routing_key) = match mark {
            // What comes again goes through the exchange of its queue: other listeners, bound to the exchange of its kind, have had it.
            Some(Mark::OnlyFor(queue)) if topology.kinds(&named(queue)).any(|wanted| wanted == kind) => {
                (true, named(queue), String::new())
            }
            Some(Mark::HandledBy(queue)) => {
                let done = named(queue);
                let is_wanted = topology.queues(kind).any(|wanting| **wanting != *done);
                (is_wanted, codec.naming().exchange(kind), done)
            }
            Some(Mark::OnlyFor(_)) | None => {
                let is_wanted = topology.queues(kind).next().is_some();
                (is_wanted, codec.naming().exchange(kind), String::new())
            }
        };
        let demand = if is_wanted { Demand::Wanted } else { Demand::Optional };
        let parcel = codec.encode_to(&exchange, &without_mark(envelope)).map_err(|error| {
            Fault::give_up("message.encode", format!("message {} of kind {kind}: {error}", envelope.id))
        })?;
        Ok(Post::of(parcel, demand, exchange, &routing_key))
    }
}

#[async_trait]
impl Transport for RabbitMqTransport {
    async fn subscribe(&self, queue: &str) -> Result<Box<dyn Feed>, Fault> {
        let queues = self.shared.declaration.topology().all_queues();
        let named = self.shared.named(queue);
        let known = queues.into_iter().find(|known| **known == *named).ok_or_else(|| {
            Fault::give_up("transport.subscribe", format!("the topology has no queue '{queue}'"))
        })?;
        Ok(Box::new(RabbitMqFeed::new(Arc::clone(&self.shared), known)))
    }

    async fn send(&self, envelopes: &[Envelope]) -> Result<(), Unsent> {
        if envelopes.is_empty() {
            return Ok(());
        }
        let mut posts = Vec::with_capacity(envelopes.len());
        for envelope in envelopes {
            posts.push(self.post(envelope)?);
        }
        self.publisher.send(&posts).await
    }
}

/// The virtual host as MassTransit writes it in addresses: without a password, and without the port that goes without saying.
fn base(uri: &AMQPUri) -> String {
    let authority = &uri.authority;
    let port = match authority.port {
        5672 => String::new(),
        port => format!(":{port}"),
    };
    let vhost = match uri.vhost.as_str() {
        "/" => String::new(),
        vhost => format!("/{vhost}"),
    };
    format!("rabbitmq://{}{port}{vhost}", authority.host)
}
