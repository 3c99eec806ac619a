//! Observability by decorators, so that bus, use cases and adapters know nothing of metrics. They must never change
//! or delay what they observe.

mod books;
mod collection;
mod events;
mod notes;
mod outbox;
mod process;
mod providers;
mod pulse;
mod repositories;
mod trail;
mod unit;
mod words;

use std::sync::Arc;

use ::providers::{HttpPaymentGateway, HttpShippingProvider};
use application::pipeline::{Parts, topology};
use bus::{Clock, OutboxStore};

use crate::any_store::{AnyStore, Outgoing};
use crate::config::Telemetry;
use crate::health::HealthBoard;
use crate::metrics::{Metric, Registry};
use crate::otlp::Tracer;

use outbox::ObservedOutbox;

pub use self::providers::{BreakerProbe, LastCalls, ObservedGateway, ObservedShipping, ProviderWatch};
pub use books::{Books, CheckedBooks};
pub use collection::{MetricsCollectionService, OVERDUE_GRACE, Statuses};
pub use outbox::RELAY_SERVICE;
pub use pulse::{Pulse, Pulses};
pub use unit::ObservedStore;
pub use words::{BREAKER_STATES, breaker_word};

/// The names of the providers, in labels and health checks.
pub const PAYMENT_GATEWAY: &str = "payment-gateway";
/// The other one.
pub const SHIPPING_PROVIDER: &str = "shipping-provider";

/// What is known of one process from looking on. Clones share everything.
#[derive(Clone)]
pub struct Observation {
    /// What was counted.
    pub registry: Arc<Registry>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The tracer, if traces are on.
    pub tracer: Option<Tracer>,
    /// Signs of life of the background services.
    pub pulses: Arc<Pulses>,
    /// What the last check of the books found.
    pub books: Arc<Books>,
    /// What the last round of health checks found.
    pub health: Arc<HealthBoard>,
    /// The providers.
    pub providers: [Arc<ProviderWatch>; 2],
}

/// Where what is seen goes.
pub struct Recording {
    /// What is counted.
    pub registry: Arc<Registry>,
    /// The tracer, if traces are on.
    pub tracer: Option<Tracer>,
}

/// The providers before decoration.
pub struct Providers {
    /// Payments.
    pub gateway: Arc<HttpPaymentGateway>,
    /// Shipments.
    pub shipping: Arc<HttpShippingProvider>,
}

impl Observation {
    /// Looks on from now.
    #[must_use]
    pub fn new(
        providers: &Providers,
        clock: &Arc<dyn Clock>,
        settings: &Telemetry,
        recording: Recording,
    ) -> Self {
        let (registry, tracer) = (recording.registry, recording.tracer);
        let watch = |name, breaker| {
            let (registry, clock) = (Arc::clone(&registry), Arc::clone(clock));
            ProviderWatch::new(name, registry, clock, breaker, settings.slow(), tracer.clone())
        };
        let (gateway, shipping) = (Arc::clone(&providers.gateway), Arc::clone(&providers.shipping));
        Self {
            providers: [
                watch(PAYMENT_GATEWAY, Arc::new(move || gateway.breaker_state())),
                watch(SHIPPING_PROVIDER, Arc::new(move || shipping.breaker_state())),
            ],
            pulses: Arc::new(Pulses::new(Arc::clone(&registry))),
            clock: Arc::clone(clock),
            books: Arc::default(),
            health: Arc::default(),
            tracer: tracer.clone(),
            registry,
        }
    }

    /// The same store, observed.
    #[must_use]
    pub fn over_store(&self, store: AnyStore, settings: &Telemetry) -> AnyStore {
        let units = ObservedStore::new(store.units, self, settings.slow());
        let outgoing = store.outgoing.map(|outgoing| {
            let outbox = self.over_outbox(Arc::clone(&outgoing.outbox));
            Outgoing { outbox, ..outgoing }
        });
        AnyStore { units: Arc::new(units), outgoing, ..store }
    }

    /// The same outbox, observed; from now on its relay should show signs of life.
    fn over_outbox(&self, inner: Arc<dyn OutboxStore>) -> Arc<dyn OutboxStore> {
        self.pulses.expect(RELAY_SERVICE, bus::limits::RELAY_CONFIRM_MAX);
        Arc::new(ObservedOutbox { inner, pulses: Arc::clone(&self.pulses) })
    }

    /// The same parts with their providers observed.
    #[must_use]
    pub fn over_providers(&self, parts: Parts) -> Parts {
        let [payment, shipping] = &self.providers;
        let gateway = ObservedGateway { inner: parts.gateway, watch: Arc::clone(payment) };
        let shipping = ObservedShipping { inner: parts.shipping, watch: Arc::clone(shipping) };
        Parts { gateway: Arc::new(gateway), shipping: Arc::new(shipping), ..parts }
    }
}

/// A registry that shows from the start, with zeros, what alerts and rates look at.
#[must_use]
pub fn registry() -> Registry {
    let registry = Registry::default();
    let queues = topology().all_queues();
    let queues: Vec<&str> = queues.iter().map(|queue| &**queue).collect();
    notes::prepare(&registry, &queues);
    registry.set(Metric::BuildInfo, &[env!("CARGO_PKG_VERSION")], 1.0);
    registry
}
