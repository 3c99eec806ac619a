//! The pipeline as a whole: what every handler shares, which queue gets which message, and how everything is started.
//! The real worker and the simulation start it the same way.

use std::sync::Arc;

use bus::{Chain, EndpointPolicy, Host, Registry, Store, Supervisor, Topology, Transport};

use crate::consumers::{
    BackorderConsumer, InventoryReservationConsumer, NotificationConsumer, NotificationDispatchConsumer,
    OrderCreatedConsumer, OrderRequestsConsumer, OrderTimeoutConsumer, PaymentCaptureConsumer,
    PaymentConsumer, PaymentProcessedConsumer, PaymentRefundConsumer, ShipmentCancellationConsumer,
    ShipmentTrackingConsumer, ShippingCompletedConsumer, ShippingConsumer,
};
pub use crate::context::{Context, HandOver, PipelineSettings};
use crate::messages::{
    InventoryReservationRequested, NotificationDispatchRequested, OrderShippingRequested, ParcelReported,
    PaymentCaptureRequested, PaymentProcessingRequested, PaymentRefundRequested, PaymentReported,
    ShipmentCancellationRequested, ShipmentTrackingRequested, ShippingCompleted, StockArrived,
};
use crate::order_timeout_service::OrderTimeoutService;
use crate::ports::{AnyUnit, Channel, NotificationService, PaymentGateway, ShippingProvider};

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
        .effects(|parts| {
            let (shipping, store) = (Arc::clone(&parts.shipping), Arc::clone(&parts.store));
            ShippingConsumer::new(shipping, store, Arc::clone(&parts.context))
        })
        .effects(|parts| {
            ShipmentTrackingConsumer::new(Arc::clone(&parts.shipping), Arc::clone(&parts.context))
        })
        .effects(|parts| {
            ShipmentCancellationConsumer::new(Arc::clone(&parts.shipping), Arc::clone(&parts.context))
        })
        .effects(|parts| PaymentCaptureConsumer::new(Arc::clone(&parts.gateway), Arc::clone(&parts.context)))
        .effects(|parts| PaymentRefundConsumer::new(Arc::clone(&parts.gateway), Arc::clone(&parts.context)))
        // Not in the unit that frees the units: that has their locks already, and sagas are locked before stock.
        .consumer(|parts| BackorderConsumer::new(Arc::clone(&parts.context)))
        .consumer(|parts| OrderTimeoutConsumer::new(Arc::clone(&parts.context)))
        .consumer(|parts| OrderRequestsConsumer::new(Arc::clone(&parts.context)))
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
    PaymentCaptureRequested::KIND,
    OrderShippingRequested::KIND,
    ShipmentTrackingRequested::KIND,
    ShipmentCancellationRequested::KIND,
    PaymentRefundRequested::KIND,
    NotificationDispatchRequested::KIND,
    ShippingCompleted::KIND,
    PaymentReported::KIND,
    ParcelReported::KIND,
    StockArrived::KIND,
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
    consumers.chain(context, Arc::clone(&context.clock), &context.pauses)
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
            pauses: self.context.pauses.clone(),
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
