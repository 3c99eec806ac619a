//! Providers behind a turnstile, which keeps their call budget and pauses when they ask for it. A call without a turn
//! reaches no provider.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Passage, Turnstile};

use crate::ports::{
    BookingOutcome, BookingRequest, CancelOutcome, ChargeOutcome, ChargeRequest, PaymentGateway,
    ShipmentCancelOutcome, ShippingProvider, TrackingOutcome, Unanswered,
};

/// A provider behind a turnstile.
pub struct InTurn<P: ?Sized> {
    provider: Arc<P>,
    turnstile: Arc<Turnstile>,
}

impl<P: ?Sized> InTurn<P> {
    /// This provider behind this turnstile.
    #[must_use]
    pub const fn new(provider: Arc<P>, turnstile: Arc<Turnstile>) -> Self {
        Self { provider, turnstile }
    }

    async fn make<T>(&self, call: impl Future<Output = Result<T, Unanswered>>) -> Result<T, Unanswered> {
        let turn = self.turnstile.pass().await.map_err(|refused| Unanswered::NotDone {
            why: refused.to_string(),
            retry_after: refused.after,
        })?;
        let answer = call.await;
        turn.ended(match &answer {
            Err(Unanswered::NotDone { retry_after, .. }) => Passage::TurnedAway(*retry_after),
            Ok(_) | Err(Unanswered::Unknown { .. } | Unanswered::Refused { .. }) => Passage::LetThrough,
        });
        answer
    }
}

#[async_trait]
impl<P: PaymentGateway + ?Sized> PaymentGateway for InTurn<P> {
    async fn charge(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        self.make(self.provider.charge(request)).await
    }

    async fn authorise(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        self.make(self.provider.authorise(request)).await
    }

    async fn capture(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        self.make(self.provider.capture(request)).await
    }

    async fn look_up(&self, request: &ChargeRequest) -> Result<Option<ChargeOutcome>, Unanswered> {
        self.make(self.provider.look_up(request)).await
    }

    async fn cancel(&self, key: &str) -> Result<CancelOutcome, Unanswered> {
        self.make(self.provider.cancel(key)).await
    }

    async fn refund(&self, key: &str, refund_key: &str, minor: i64) -> Result<CancelOutcome, Unanswered> {
        self.make(self.provider.refund(key, refund_key, minor)).await
    }
}

#[async_trait]
impl<P: ShippingProvider + ?Sized> ShippingProvider for InTurn<P> {
    async fn create_shipment(&self, request: &BookingRequest) -> Result<BookingOutcome, Unanswered> {
        self.make(self.provider.create_shipment(request)).await
    }

    async fn look_up(&self, key: &str) -> Result<TrackingOutcome, Unanswered> {
        self.make(self.provider.look_up(key)).await
    }

    async fn cancel(&self, key: &str) -> Result<ShipmentCancelOutcome, Unanswered> {
        self.make(self.provider.cancel(key)).await
    }
}
