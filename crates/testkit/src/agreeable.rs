//! Providers that say yes to everything at once and without HTTP, for tests and measurements of what lies on this side of
//! them. Never makes a mistake, so nothing about faults can be learnt from it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use application::commands::{CommandPipeline, TakeProviderNewsCommand};
use application::ports::{
    BookingOutcome, BookingRequest, CancelOutcome, ChargeOutcome, ChargeRequest, NewsKind, PaymentGateway,
    Provider, ProviderNews, ShipmentCancelOutcome, ShippingProvider, TrackingOutcome, Unanswered,
};
use async_trait::async_trait;
use domain::{OrderId, Shipment};
use tokio::sync::mpsc;

/// Payment gateway and carrier.
pub struct Agreeable {
    charged: Mutex<BTreeSet<String>>,
    booked: mpsc::UnboundedSender<OrderId>,
}

/// Orders whose parcels arrive; as often as they are booked, so sometimes twice.
pub struct Arrivals(mpsc::UnboundedReceiver<OrderId>);

impl Agreeable {
    /// A provider that was never asked for anything.
    #[must_use]
    pub fn new() -> (Arc<Self>, Arrivals) {
        let (booked, arriving) = mpsc::unbounded_channel();
        (Arc::new(Self { charged: Mutex::default(), booked }), Arrivals(arriving))
    }

    /// Keys under which it was asked for money.
    #[must_use]
    pub fn charged(&self) -> usize {
        self.charged.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Arrivals {
    /// Tells the service of every arrival, up to `batch` at once, until the provider is gone.
    pub async fn tell(mut self, commands: CommandPipeline, batch: usize) {
        let mut ids = Vec::new();
        while self.0.recv_many(&mut ids, batch).await > 0 {
            let now = commands.context().clock.now();
            let news = ids.drain(..).map(|order_id| {
                let kind = NewsKind::ShipmentDelivered {
                    tracking_number: format!("TRK-{}", Shipment::request(order_id).key),
                };
                ProviderNews::honest(&format!("evt_{order_id}"), order_id, kind, now)
            });
            let command = TakeProviderNewsCommand { provider: Provider::Shipping, news: news.collect() };
            commands.run(&command).await.expect("whoever uses this has a store that stays");
        }
    }
}

#[async_trait]
impl PaymentGateway for Agreeable {
    async fn charge(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        self.charged.lock().unwrap_or_else(PoisonError::into_inner).insert(request.key.clone());
        Ok(ChargeOutcome::Captured { reference: format!("ch_{}", request.key), refunded_minor: 0 })
    }

    async fn authorise(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        Ok(ChargeOutcome::Authorised { reference: format!("ch_{}", request.key), until: None })
    }

    async fn capture(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        Ok(ChargeOutcome::Captured { reference: format!("ch_{}", request.key), refunded_minor: 0 })
    }

    async fn look_up(&self, request: &ChargeRequest) -> Result<Option<ChargeOutcome>, Unanswered> {
        let charged = self.charged.lock().unwrap_or_else(PoisonError::into_inner);
        let reference = || format!("ch_{}", request.key);
        Ok(charged
            .contains(&request.key)
            .then(|| ChargeOutcome::Captured { reference: reference(), refunded_minor: 0 }))
    }

    async fn cancel(&self, _key: &str) -> Result<CancelOutcome, Unanswered> {
        Ok(CancelOutcome::Voided)
    }

    async fn refund(&self, _key: &str, _: &str, minor: i64) -> Result<CancelOutcome, Unanswered> {
        Ok(CancelOutcome::Refunded { minor })
    }
}

#[async_trait]
impl ShippingProvider for Agreeable {
    async fn create_shipment(&self, request: &BookingRequest) -> Result<BookingOutcome, Unanswered> {
        let _ = self.booked.send(request.reference.parse().expect("the reference is the order's id"));
        let tracking_number = format!("TRK-{}", request.key);
        Ok(BookingOutcome::Booked { tracking_number, carrier: "agreeable".to_owned() })
    }

    async fn look_up(&self, key: &str) -> Result<TrackingOutcome, Unanswered> {
        let tracking_number = format!("TRK-{key}");
        Ok(TrackingOutcome::Booked { tracking_number, carrier: "agreeable".to_owned() })
    }

    async fn cancel(&self, _key: &str) -> Result<ShipmentCancelOutcome, Unanswered> {
        Ok(ShipmentCancelOutcome::Cancelled)
    }
}
