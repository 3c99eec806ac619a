//! The pipeline as a whole: what every handler shares, which queue wants which message, and how all of it is started.
//! The same start serves the real worker and the simulation.

use std::sync::Arc;
use std::time::Duration;

use bus::{
    Chain, Clock, Consumer, Endpoint, EndpointPolicy, IdSource, Message, Patience, RetryPolicy, Store,
    Supervisor, TimerService, Topology, Transport,
};

use crate::consumers::{
    InventoryReservationConsumer, NotificationConsumer, NotificationDispatchConsumer, OrderCreatedConsumer,
    OrderTimeoutConsumer, PaymentConsumer, PaymentProcessedConsumer, PaymentRefundConsumer,
    ShipmentCancellationConsumer, ShipmentTrackingConsumer, ShippingCompletedConsumer, ShippingConsumer,
};
use crate::messages::{
    InventoryReservationRequested, NotificationDispatchRequested, OrderShippingRequested, ParcelReported,
    PaymentProcessingRequested, PaymentRefundRequested, PaymentReported, ShipmentCancellationRequested,
    ShipmentTrackingRequested, ShippingCompleted,
};
use crate::ports::{AnyUnit, Channel, NotificationService, PaymentGateway, ShippingProvider};
use crate::saga::{STAGE_LIMITS, StageLimits};

/// What can be set about the pipeline.
#[derive(Clone, Copy, Debug)]
pub struct PipelineSettings {
    /// How long each stage may take.
    pub limits: StageLimits,
    /// Attempts at a charge, and at a booking, after the first.
    pub call_retry: RetryPolicy,
    /// Longest pause between questions about a charge or booking of unknown outcome, once the attempts are used up, until the
    /// stage times out.
    pub look_up_interval: Duration,
    /// Pauses while a provider cannot be asked at all: it is away, or throttles.
    pub away: Patience,
    /// Attempts at an undoing after the first, before a person is asked.
    pub undo_retry: RetryPolicy,
    /// Calls under way at once, per kind.
    pub calls_at_once_max: usize,
    /// Messages in one transaction.
    pub batch_max: usize,
    /// How messages between consumers without effects travel.
    pub hand_over: HandOver,
}

/// How a message gets to a consumer that only reads and writes the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOver {
    /// It is handled in the unit of work that publishes it.
    InUnit,
    /// It goes through its queue.
    ByQueue,
}

impl Default for PipelineSettings {
    fn default() -> Self {
        Self {
            limits: STAGE_LIMITS,
            call_retry: RetryPolicy::exponential(3, Duration::from_millis(200), Duration::from_secs(10)),
            look_up_interval: Duration::from_secs(15),
            away: Patience { first: Duration::from_millis(500), longest: Duration::from_secs(15) },
            undo_retry: RetryPolicy::exponential(6, Duration::from_millis(500), Duration::from_secs(60)),
            calls_at_once_max: bus::limits::PERFORM_MAX,
            batch_max: bus::limits::BATCH_MAX,
            hand_over: HandOver::InUnit,
        }
    }
}

/// What every consumer and command handler may use.
pub struct Context {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids and jitter.
    pub ids: Arc<dyn IdSource>,
    /// Settings.
    pub settings: PipelineSettings,
}

/// The outside, as the pipeline sees it.
pub struct Parts {
    /// Units of work.
    pub store: Arc<dyn Store<AnyUnit>>,
    /// Messages.
    pub transport: Arc<dyn Transport>,
    /// Payments.
    pub gateway: Arc<dyn PaymentGateway>,
    /// Shipments.
    pub shipping: Arc<dyn ShippingProvider>,
    /// Whom to tell, if anybody.
    pub notifications: Option<Notifications>,
    /// Time, ids, settings.
    pub context: Arc<Context>,
}

/// Whom to tell what becomes of orders.
#[derive(Clone)]
pub struct Notifications {
    /// By what ways.
    pub channels: Arc<[Channel]>,
    /// Who tells.
    pub service: Arc<dyn NotificationService>,
}

/// Whether anybody is told what becomes of orders. If not, no queue wants the news and none of it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Nobody is.
    Nobody,
    /// Somebody is.
    Somebody,
}

/// Which queue wants which kinds, those of notifications included.
#[must_use]
pub fn topology_telling(telling: Telling) -> Topology {
    match telling {
        Telling::Nobody => topology(),
        Telling::Somebody => topology()
            .subscribe(
                NotificationConsumer::QUEUE,
                <NotificationConsumer as Consumer<AnyUnit>>::Message::KINDS,
            )
            .subscribe(
                NotificationDispatchConsumer::QUEUE,
                <NotificationDispatchConsumer as Consumer<AnyUnit>>::Message::KINDS,
            ),
    }
}

/// Which queue wants which kinds.
#[must_use]
pub fn topology() -> Topology {
    fn of<C: Consumer<AnyUnit>>(topology: Topology, queue: &str) -> Topology {
        topology.subscribe(queue, C::Message::KINDS)
    }
    let topology = Topology::default();
    let topology = of::<OrderCreatedConsumer>(topology, OrderCreatedConsumer::QUEUE);
    let topology = of::<InventoryReservationConsumer>(topology, InventoryReservationConsumer::QUEUE);
    let topology = of::<PaymentConsumer>(topology, PaymentConsumer::QUEUE);
    let topology = of::<PaymentProcessedConsumer>(topology, PaymentProcessedConsumer::QUEUE);
    let topology = of::<ShippingConsumer>(topology, ShippingConsumer::QUEUE);
    let topology = of::<ShippingCompletedConsumer>(topology, ShippingCompletedConsumer::QUEUE);
    let topology = of::<ShipmentTrackingConsumer>(topology, ShipmentTrackingConsumer::QUEUE);
    let topology = of::<ShipmentCancellationConsumer>(topology, ShipmentCancellationConsumer::QUEUE);
    let topology = of::<PaymentRefundConsumer>(topology, PaymentRefundConsumer::QUEUE);
    of::<OrderTimeoutConsumer>(topology, OrderTimeoutConsumer::QUEUE).keep_private(PRIVATE)
}

/// What stays inside unless it has to wait at the broker: requests, which are for whoever carries them out, and a
/// [`ShippingCompleted`] of our own, because [`OrderDeliveredEvent`](crate::messages::OrderDeliveredEvent) says the same at the
/// same moment.
const PRIVATE: &[&str] = &[
    InventoryReservationRequested::KIND,
    PaymentProcessingRequested::KIND,
    OrderShippingRequested::KIND,
    ShipmentTrackingRequested::KIND,
    ShipmentCancellationRequested::KIND,
    PaymentRefundRequested::KIND,
    NotificationDispatchRequested::KIND,
    ShippingCompleted::KIND,
    PaymentReported::KIND,
    ParcelReported::KIND,
];

/// What is followed within the unit that published it: from acceptance to the gateway's door, from its answer to the
/// carrier's, and from the carrier's word to the end.
#[must_use]
pub fn chain(context: &Arc<Context>) -> Arc<Chain<AnyUnit>> {
    let chain = Chain::new(Arc::clone(&context.clock));
    let context = || Arc::clone(context);
    Arc::new(match context().settings.hand_over {
        HandOver::ByQueue => chain,
        HandOver::InUnit => chain
            .with(Arc::new(OrderCreatedConsumer::new(context())))
            .with(Arc::new(InventoryReservationConsumer::new(context())))
            .with(Arc::new(PaymentProcessedConsumer::in_unit(context())))
            .with(Arc::new(ShippingCompletedConsumer::in_unit(context()))),
    })
}

impl Parts {
    /// Starts every endpoint and the timers under the supervisor.
    pub fn start(&self, supervisor: &mut Supervisor) {
        let context = || Arc::clone(&self.context);
        self.endpoint(supervisor, OrderCreatedConsumer::QUEUE, OrderCreatedConsumer::new(context()));
        self.endpoint(
            supervisor,
            InventoryReservationConsumer::QUEUE,
            InventoryReservationConsumer::new(context()),
        );
        let gateway = || Arc::clone(&self.gateway);
        let shipping = || Arc::clone(&self.shipping);
        self.endpoint(supervisor, PaymentConsumer::QUEUE, PaymentConsumer::new(gateway(), context()));
        self.endpoint(supervisor, PaymentProcessedConsumer::QUEUE, PaymentProcessedConsumer::new(context()));
        self.endpoint(supervisor, ShippingConsumer::QUEUE, ShippingConsumer::new(shipping(), context()));
        self.endpoint(
            supervisor,
            ShippingCompletedConsumer::QUEUE,
            ShippingCompletedConsumer::new(context()),
        );
        self.endpoint(
            supervisor,
            ShipmentTrackingConsumer::QUEUE,
            ShipmentTrackingConsumer::new(shipping(), context()),
        );
        let cancellation = ShipmentCancellationConsumer::new(shipping(), context());
        self.endpoint(supervisor, ShipmentCancellationConsumer::QUEUE, cancellation);
        self.endpoint(
            supervisor,
            PaymentRefundConsumer::QUEUE,
            PaymentRefundConsumer::new(gateway(), context()),
        );
        self.endpoint(supervisor, OrderTimeoutConsumer::QUEUE, OrderTimeoutConsumer::new(context()));
        if let Some(Notifications { channels, service }) = self.notifications.clone() {
            let telling = NotificationConsumer::new(channels, context());
            self.endpoint(supervisor, NotificationConsumer::QUEUE, telling);
            let dispatching = NotificationDispatchConsumer::new(service, context());
            self.endpoint(supervisor, NotificationDispatchConsumer::QUEUE, dispatching);
        }
        let timers = Arc::new(TimerService::new(Arc::clone(&self.store), Arc::clone(&self.context.clock)));
        supervisor.run("order-timeout-service", move |stop| {
            let timers = Arc::clone(&timers);
            async move { timers.run(stop).await }
        });
    }

    fn endpoint<C: Consumer<AnyUnit>>(&self, supervisor: &mut Supervisor, queue: &'static str, consumer: C) {
        let policy =
            EndpointPolicy { batch_max: self.context.settings.batch_max, ..EndpointPolicy::default() };
        let endpoint = Endpoint::new(
            Arc::new(consumer),
            Arc::clone(&self.store),
            Arc::clone(&self.context.clock),
            Arc::clone(&self.context.ids),
            policy,
        );
        let endpoint = Arc::new(endpoint.following(chain(&self.context)));
        let transport = Arc::clone(&self.transport);
        supervisor.run(queue, move |stop| {
            let (endpoint, transport) = (Arc::clone(&endpoint), Arc::clone(&transport));
            async move {
                match transport.subscribe(queue).await {
                    Ok(feed) => endpoint.run(feed, stop).await,
                    Err(fault) => tracing::warn!(queue, %fault, "cannot subscribe"),
                }
            }
        });
    }
}
