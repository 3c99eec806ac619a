//! The pipeline as a whole: what every handler shares, which queue gets which message, and how everything is started.
//! The real worker and the simulation start it the same way.

use std::sync::Arc;
use std::time::Duration;

use bus::{
    Chain, Clock, Consumer, Effects, Endpoint, EndpointPolicy, IdSource, Message, Patience, RetryPolicy,
    Store, Supervisor, Topology, Transport,
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
use crate::order_timeout_service::OrderTimeoutService;
use crate::ports::{AnyUnit, Channel, NotificationService, PaymentGateway, ShippingProvider};
use crate::saga::{STAGE_LIMITS, StageLimits};

/// Settings of the pipeline.
#[derive(Clone, Copy, Debug)]
pub struct PipelineSettings {
    /// The time limit of each stage.
    pub limits: StageLimits,
    /// Retries of a charge or booking, after the first attempt.
    pub call_retry: RetryPolicy,
    /// Longest interval between look-ups of a charge or booking with unknown outcome once the retries are used up;
    /// look-ups end when the stage times out.
    pub look_up_interval: Duration,
    /// Pauses while a provider is away or throttles.
    pub away: Patience,
    /// Retries of a compensation step before a person is asked.
    pub undo_retry: RetryPolicy,
    /// Calls under way at once, per kind.
    pub calls_at_once_max: usize,
    /// Messages in one transaction.
    pub batch_max: usize,
    /// How messages reach consumers without effects.
    pub hand_over: HandOver,
}

impl PipelineSettings {
    /// The effects of a consumer that calls a provider.
    #[must_use]
    pub const fn effects(&self) -> Effects {
        Effects::Outside { at_once_max: self.calls_at_once_max }
    }
}

/// How a message reaches a consumer that only reads and writes the store.
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

/// The ports that the pipeline needs.
pub struct Parts {
    /// Units of work.
    pub store: Arc<dyn Store<AnyUnit>>,
    /// Messages.
    pub transport: Arc<dyn Transport>,
    /// Payments.
    pub gateway: Arc<dyn PaymentGateway>,
    /// Shipments.
    pub shipping: Arc<dyn ShippingProvider>,
    /// How to notify customers, if configured.
    pub notifications: Option<Notifications>,
    /// Time, ids, settings.
    pub context: Arc<Context>,
}

/// How to notify customers about their orders.
#[derive(Clone)]
pub struct Notifications {
    /// The channels.
    pub channels: Arc<[Channel]>,
    /// The service that sends.
    pub service: Arc<dyn NotificationService>,
}

/// Whether notifications are on. If not, no queue subscribes to their messages and none are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// They are off.
    Nobody,
    /// They are on.
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

/// Messages that are private unless they must wait at the broker: requests, which are for whichever worker carries
/// them out, and our own [`ShippingCompleted`], because [`OrderDeliveredEvent`](crate::messages::OrderDeliveredEvent)
/// says the same at the same moment.
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

/// The consumers for inline dispatch: from acceptance to the gateway's call, from its answer to the carrier's call,
/// and from the carrier's event to the end.
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
        let clock = Arc::clone(&self.context.clock);
        OrderTimeoutService::new(Arc::clone(&self.store), clock).start(supervisor);
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
