//! The pipeline as a whole: what every handler shares, which queue gets which message, and how everything is started.
//! The real worker and the simulation start it the same way.

use std::sync::Arc;
use std::time::Duration;

use bus::{
    Chain, Clock, EndpointPolicy, Host, IdSource, Patience, Registry, RetryPolicy, Store, Supervisor,
    Topology, Transport,
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

/// Every consumer, those of notifications included: which queue gets which message, what is handled inline and which
/// endpoints run all follow from this list.
fn consumers(telling: Telling) -> Registry<AnyUnit, Parts> {
    let consumers = inline_consumers()
        .within(|parts: &Parts| &parts.context)
        .effects(|parts| PaymentConsumer::new(Arc::clone(&parts.gateway), Arc::clone(&parts.context)))
        .effects(|parts| ShippingConsumer::new(Arc::clone(&parts.shipping), Arc::clone(&parts.context)))
        .effects(|parts| {
            ShipmentTrackingConsumer::new(Arc::clone(&parts.shipping), Arc::clone(&parts.context))
        })
        .effects(|parts| {
            ShipmentCancellationConsumer::new(Arc::clone(&parts.shipping), Arc::clone(&parts.context))
        })
        .effects(|parts| PaymentRefundConsumer::new(Arc::clone(&parts.gateway), Arc::clone(&parts.context)))
        .consumer(|parts| OrderTimeoutConsumer::new(Arc::clone(&parts.context)))
        .keep_private(PRIVATE);
    match telling {
        Telling::Nobody => consumers,
        Telling::Somebody => consumers
            .consumer(|parts| {
                let channels = Arc::clone(&parts.configured_notifications().channels);
                NotificationConsumer::new(channels, Arc::clone(&parts.context))
            })
            .effects_at_most(NotificationDispatchConsumer::AT_ONCE_MAX, |parts| {
                let service = Arc::clone(&parts.configured_notifications().service);
                NotificationDispatchConsumer::new(service, Arc::clone(&parts.context))
            }),
    }
}

/// The consumers of messages that are handled in the unit that publishes them: from acceptance to the gateway's call, from
/// its answer to the carrier's call, and from the carrier's event to the end.
fn inline_consumers() -> Registry<AnyUnit, Arc<Context>> {
    let context = Arc::<Context>::clone;
    Registry::new()
        .inline(move |it| OrderCreatedConsumer::new(context(it)))
        .inline(move |it| InventoryReservationConsumer::new(context(it)))
        .inline_as(
            move |it| PaymentProcessedConsumer::in_unit(context(it)),
            move |it| PaymentProcessedConsumer::new(context(it)),
        )
        .inline_as(
            move |it| ShippingCompletedConsumer::in_unit(context(it)),
            move |it| ShippingCompletedConsumer::new(context(it)),
        )
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

/// Which queue wants which kinds.
#[must_use]
pub fn topology() -> Topology {
    topology_telling(Telling::Nobody)
}

/// Which queue wants which kinds, those of notifications included.
#[must_use]
pub fn topology_telling(telling: Telling) -> Topology {
    consumers(telling).topology()
}

/// The consumers for inline dispatch.
#[must_use]
pub fn chain(context: &Arc<Context>) -> Arc<Chain<AnyUnit>> {
    let consumers = match context.settings.hand_over {
        HandOver::InUnit => inline_consumers(),
        HandOver::ByQueue => inline_consumers().by_queue(),
    };
    consumers.chain(context, Arc::clone(&context.clock))
}

impl Parts {
    /// Starts every endpoint and the timers under the supervisor.
    pub fn start(&self, supervisor: &mut Supervisor) {
        let telling = match self.notifications {
            Some(_) => Telling::Somebody,
            None => Telling::Nobody,
        };
        let consumers = match self.context.settings.hand_over {
            HandOver::InUnit => consumers(telling),
            HandOver::ByQueue => consumers(telling).by_queue(),
        };
        let settings = &self.context.settings;
        let host = Host {
            store: Arc::clone(&self.store),
            transport: Arc::clone(&self.transport),
            clock: Arc::clone(&self.context.clock),
            ids: Arc::clone(&self.context.ids),
            policy: EndpointPolicy {
                batch_max: settings.batch_max,
                effects_max: settings.calls_at_once_max,
                ..EndpointPolicy::default()
            },
        };
        consumers.start_endpoints(self, &host, supervisor);
        OrderTimeoutService::new(host.store, host.clock).start(supervisor);
    }

    /// The notifications, for consumers that are listed only if there are any.
    fn configured_notifications(&self) -> &Notifications {
        self.notifications
            .as_ref()
            .expect("the list has these consumers only if notifications are configured")
    }
}
