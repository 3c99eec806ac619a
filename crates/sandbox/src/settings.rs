//! The settings of a sandbox. Nothing here reads files, flags or the environment; the program that starts the sandbox
//! does.

use crate::faults::FaultSettings;
use crate::limits;

/// The behaviour of a sandbox. By default it works perfectly and sends no webhooks.
#[derive(Clone)]
pub struct Settings {
    /// Everything random derives from it: the same seed and the same keys give the same faults and ids.
    pub seed: u64,
    /// Base address for webhooks, e.g. `http://127.0.0.1:8080/webhooks`; `/payments` and `/shipping` are appended.
    pub webhook_url: Option<String>,
    /// Signs webhooks. `whsec_` followed by base64 is decoded, as Standard Webhooks has it; anything else is used as is.
    pub webhook_secret: String,
    /// Signs the carrier's webhooks, if not the same.
    pub shipping_webhook_secret: Option<String>,
    /// Which faults are injected from the start; they can be replaced while running.
    pub faults: FaultSettings,
    /// Whether the carrier announces the hand-over as well as the delivery.
    pub in_transit_events: InTransitEvents,
    /// From booking to delivery, in milliseconds, least and most. Half way there the parcel is handed over.
    pub delivery_delay_ms: (u64, u64),
    /// Events in one webhook post, at most.
    pub webhook_batch_max: usize,
    /// Charges remembered, and as many shipments; beyond it the oldest finished one is forgotten.
    pub max_keys: usize,
}

/// Whether `shipment.in_transit` is sent; parcels pass through that state either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InTransitEvents {
    /// Only `shipment.delivered` is sent, which halves the webhook load.
    #[default]
    Silent,
    /// Both are sent.
    Sent,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            webhook_url: None,
            webhook_secret: "sandbox-secret".to_owned(),
            shipping_webhook_secret: None,
            faults: FaultSettings::default(),
            in_transit_events: InTransitEvents::Silent,
            delivery_delay_ms: (500, 2_000),
            webhook_batch_max: limits::WEBHOOK_BATCH_DEFAULT,
            max_keys: limits::KEYS_DEFAULT,
        }
    }
}
