//! One list of what a process consumes. Which queue gets which messages, what is handled inline and which endpoints run
//! all follow from it, so a consumer cannot be in one of them and be missing from another.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::chain::{Link, LinkTo};
use crate::handler::{Each, Whole};
use crate::handling::{Effectful, Plain, Receiver};
use crate::pausable::run_unless_paused;
use crate::{
    Chain, Clock, Consumer, CorrelationId, EffectConsumer, Endpoint, EndpointPolicy, Fault, Handler,
    IdSource, Message, MessageId, OutboxStore, PauseBoard, Relay, Store, Supervisor, TimerService, Topology,
    Transport, Unit, Work, system,
};

/// What all endpoints of a process share.
pub struct Host<U: Unit + ?Sized> {
    /// Units of work.
    pub store: Arc<dyn Store<U>>,
    /// Messages.
    pub transport: Arc<dyn Transport>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids and jitter.
    pub ids: Arc<dyn IdSource>,
    /// How endpoints treat their messages.
    pub policy: EndpointPolicy,
    /// Which queues are paused. By default none is; a [`crate::PauseService`] reads what persons have paused.
    pub pauses: PauseBoard,
}

impl<U: Unit + ?Sized + 'static> Host<U> {
    /// A host with the system's time and ids, and endpoints that treat their messages as is usual.
    #[must_use]
    pub fn new(store: Arc<dyn Store<U>>, transport: Arc<dyn Transport>) -> Self {
        let (clock, ids) = system();
        let (policy, pauses) = (EndpointPolicy::default(), PauseBoard::default());
        Self { store, transport, clock, ids, policy, pauses }
    }

    /// A relay from this outbox to the host's transport.
    #[must_use]
    pub fn relay(&self, outbox: Arc<dyn OutboxStore>) -> Relay {
        Relay::new(outbox, Arc::clone(&self.transport), Arc::clone(&self.clock), Arc::clone(&self.ids))
    }

    /// Publishes a message that begins a conversation about `correlation_id`, in a unit of its own.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn publish<M: Message>(
        &self,
        correlation_id: CorrelationId,
        message: &M,
    ) -> Result<MessageId, Fault> {
        let now = self.clock.now();
        let id = MessageId(self.ids.next(now));
        let mut unit = self.store.begin().await?;
        unit.publish(vec![message.first(id, correlation_id, now)]).await?;
        unit.commit().await?;
        Ok(id)
    }
}

/// The list of what a process consumes, each under the queue that it reads. `P` is what consumers are made from.
///
/// The list exists before any store or provider does, because they need its [`topology`](Self::topology).
pub struct Registry<U: Unit + ?Sized, P = ()> {
    entries: Vec<Entry<U, P>>,
    private: Vec<&'static str>,
}

struct Entry<U: Unit + ?Sized, P> {
    queue: &'static str,
    kinds: &'static [&'static str],
    effects_max: Option<usize>,
    endpoint: MakeEndpoint<U, P>,
    link: Option<MakeLink<U, P>>,
}

type MakeEndpoint<U, P> = Box<dyn Fn(&P, &Host<U>, EndpointPolicy) -> Endpoint<U> + Send + Sync>;
type MakeLink<U, P> = Box<dyn Fn(&P) -> Box<dyn Link<U>> + Send + Sync>;

impl<U: Unit + ?Sized + 'static, P: 'static> Default for Registry<U, P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<U: Unit + ?Sized + 'static, P: 'static> Registry<U, P> {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new(), private: Vec::new() }
    }

    /// Adds a consumer.
    ///
    /// # Panics
    /// Like every method that adds: if the list has its queue already.
    #[must_use]
    pub fn consumer<C: Consumer<U>>(self, make: impl Fn(&P) -> C + Send + Sync + 'static) -> Self {
        self.add::<Plain<C>>(C::QUEUE, move |parts| Plain(Arc::new(make(parts))))
    }

    /// Adds a consumer whose messages are handled in the unit of work that publishes them. Messages from elsewhere come
    /// through its queue.
    #[must_use]
    pub fn inline<C: Consumer<U>>(self, make: impl Fn(&P) -> C + Clone + Send + Sync + 'static) -> Self {
        self.inline_as(make.clone(), make)
    }

    /// The same, with another consumer for messages of the same unit than for those from the queue: the unit has written
    /// what the message says, while a message from the queue is a claim.
    #[must_use]
    pub fn inline_as<C: Consumer<U>>(
        self,
        in_unit: impl Fn(&P) -> C + Send + Sync + 'static,
        from_queue: impl Fn(&P) -> C + Send + Sync + 'static,
    ) -> Self {
        let mut list = self.consumer(from_queue);
        if let Some(entry) = list.entries.last_mut() {
            entry.link = Some(Box::new(move |parts| Box::new(LinkTo(Plain(Arc::new(in_unit(parts)))))));
        }
        list
    }

    /// Adds a consumer that calls the outside.
    #[must_use]
    pub fn effects<C: EffectConsumer<U>>(self, make: impl Fn(&P) -> C + Send + Sync + 'static) -> Self {
        self.add::<Effectful<C>>(C::QUEUE, move |parts| Effectful(Arc::new(make(parts))))
    }

    /// The same, with a number of effects at once of its own instead of the one of the [`Host`]'s policy.
    #[must_use]
    pub fn effects_at_most<C: EffectConsumer<U>>(
        self,
        effects_max: usize,
        make: impl Fn(&P) -> C + Send + Sync + 'static,
    ) -> Self {
        let mut list = self.effects(make);
        if let Some(entry) = list.entries.last_mut() {
            entry.effects_max = Some(effects_max);
        }
        list
    }

    /// Adds a function that handles one message at a time, all messages of a batch in one transaction.
    #[must_use]
    pub fn handler<M, F>(self, queue: &'static str, handler: F) -> Self
    where
        M: Message,
        F: for<'a> Handler<'a, U, &'a mut Work<M>>,
    {
        let handler = Arc::new(handler);
        self.add::<Each<F, M>>(queue, move |_| Each {
            queue,
            handler: Arc::clone(&handler),
            message: PhantomData,
        })
    }

    /// Adds a function that handles a batch at once, for speed: it can read and write by sets.
    #[must_use]
    pub fn batch_handler<M, F>(self, queue: &'static str, handler: F) -> Self
    where
        M: Message,
        F: for<'a> Handler<'a, U, &'a mut [Work<M>]>,
    {
        let handler = Arc::new(handler);
        self.add::<Whole<F, M>>(queue, move |_| Whole {
            queue,
            handler: Arc::clone(&handler),
            message: PhantomData,
        })
    }

    fn add<R: Receiver<U>>(
        mut self,
        queue: &'static str,
        make: impl Fn(&P) -> R + Send + Sync + 'static,
    ) -> Self {
        let is_new = self.entries.iter().all(|entry| entry.queue != queue);
        assert!(is_new, "two consumers read the queue '{queue}'; give one of them another queue");
        let endpoint: MakeEndpoint<U, P> = Box::new(move |parts, host, policy| {
            let (store, clock, ids) =
                (Arc::clone(&host.store), Arc::clone(&host.clock), Arc::clone(&host.ids));
            Endpoint::receiving(make(parts), store, clock, ids, policy)
        });
        self.entries.push(Entry { queue, kinds: R::Message::KINDS, effects_max: None, endpoint, link: None });
        self
    }

    /// Keeps kinds private; see [`Topology::keep_private`].
    #[must_use]
    pub fn keep_private(mut self, kinds: &[&'static str]) -> Self {
        self.private.extend(kinds);
        self
    }

    /// The same list with nothing inline: every message goes through its queue.
    #[must_use]
    pub fn by_queue(mut self) -> Self {
        self.entries.iter_mut().for_each(|entry| entry.link = None);
        self
    }

    /// The same list for consumers made from more; `part` names what these are made from.
    #[must_use]
    pub fn within<Q: 'static>(self, part: fn(&Q) -> &P) -> Registry<U, Q> {
        let outer = |entry: Entry<U, P>| {
            let (endpoint, queue, kinds) = (entry.endpoint, entry.queue, entry.kinds);
            let link = entry.link.map(|link| -> MakeLink<U, Q> { Box::new(move |whole| link(part(whole))) });
            let endpoint: MakeEndpoint<U, Q> =
                Box::new(move |whole, host, policy| endpoint(part(whole), host, policy));
            Entry { queue, kinds, effects_max: entry.effects_max, endpoint, link }
        };
        Registry { entries: self.entries.into_iter().map(outer).collect(), private: self.private }
    }

    /// Which queue gets which kinds.
    #[must_use]
    pub fn topology(&self) -> Topology {
        let subscribe =
            |topology: Topology, entry: &Entry<U, P>| topology.subscribe(entry.queue, entry.kinds);
        self.entries.iter().fold(Topology::default(), subscribe).keep_private(&self.private)
    }

    /// What is handled inline, for endpoints and for units of work that do not come from a queue. A message for a paused queue
    /// goes there.
    #[must_use]
    pub fn chain(&self, parts: &P, clock: Arc<dyn Clock>, pauses: &PauseBoard) -> Arc<Chain<U>> {
        let mut chain = Chain::new(clock).heeding(pauses.clone());
        for entry in &self.entries {
            if let Some(link) = &entry.link {
                chain = chain.with_link(entry.queue, link(parts));
            }
        }
        Arc::new(chain)
    }

    /// An endpoint for every queue.
    #[must_use]
    pub fn endpoints(&self, parts: &P, host: &Host<U>) -> Vec<Endpoint<U>> {
        let endpoint = |entry: &Entry<U, P>| {
            let effects_max = entry.effects_max.unwrap_or(host.policy.effects_max);
            let policy = EndpointPolicy { effects_max, ..host.policy };
            (entry.endpoint)(parts, host, policy).following(self.chain(
                parts,
                Arc::clone(&host.clock),
                &host.pauses,
            ))
        };
        self.entries.iter().map(endpoint).collect()
    }

    /// Starts every endpoint, each under the name of its queue, and the timers as `timers`.
    pub fn start(&self, parts: &P, host: &Host<U>, supervisor: &mut Supervisor) {
        self.start_endpoints(parts, host, supervisor);
        TimerService::new(Arc::clone(&host.store), Arc::clone(&host.clock)).start("timers", supervisor);
    }

    /// Starts every endpoint, each under the name of its queue. Without a [`TimerService`] beside them no timer fires and
    /// no delayed message comes back.
    pub fn start_endpoints(&self, parts: &P, host: &Host<U>, supervisor: &mut Supervisor) {
        for endpoint in self.endpoints(parts, host) {
            let (queue, endpoint) = (endpoint.queue(), Arc::new(endpoint));
            let (transport, pauses) = (Arc::clone(&host.transport), host.pauses.clone());
            supervisor.run(queue, move |stop| {
                let (endpoint, transport, pauses) =
                    (Arc::clone(&endpoint), Arc::clone(&transport), pauses.clone());
                async move { run_unless_paused(&endpoint, transport.as_ref(), &pauses, &stop).await }
            });
        }
    }
}
