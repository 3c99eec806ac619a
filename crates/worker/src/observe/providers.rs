//! The providers, observed: duration and outcome of each call, and when an answer last came. It makes no call of its
//! own, and keeps no content of answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use application::ports::{
    BookingOutcome, BookingRequest, CancelOutcome, ChargeOutcome, ChargeRequest, PaymentGateway,
    ShipmentCancelOutcome, ShippingProvider, TrackingOutcome, Unanswered,
};
use async_trait::async_trait;
use bus::{BreakerState, Clock, Turnstile, TurnstileState};
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use super::trail::call_span;
use super::words::{BREAKER_STATES, NOT_DONE, REFUSED, UNKNOWN, breaker_word, order_of, trace_word};
use crate::metrics::{Metric, Registry};
use crate::otlp::Tracer;

/// How long a call without an answer counts.
const OF_LATE: Duration = Duration::from_secs(60);

/// Reads the state of a provider's breaker.
pub type BreakerProbe = Arc<dyn Fn() -> BreakerState + Send + Sync>;

/// What is known of one provider.
pub struct ProviderWatch {
    /// Its name in labels: `payment` or `shipping`.
    pub name: &'static str,
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    breaker: BreakerProbe,
    slow: Duration,
    tracer: Option<Tracer>,
    last: Mutex<Memory>,
    turnstile: OnceLock<Arc<Turnstile>>,
}

/// What is remembered of calls.
#[derive(Debug, Default)]
struct Memory {
    last: LastCalls,
    unanswered: BTreeMap<&'static str, Unheard>,
}

/// Calls of one kind without an answer since the last answer to that kind.
#[derive(Clone, Copy, Debug)]
struct Unheard {
    calls: u64,
    last_at: Instant,
}

/// When a provider last answered and last did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastCalls {
    /// The last answer, be it yes or no.
    pub answered_at: Option<Timestamp>,
    /// The last call without an answer.
    pub unanswered_at: Option<Timestamp>,
    /// Calls without an answer since the last answer, of the kind of call that fares worst of late.
    pub unanswered: u64,
}

impl ProviderWatch {
    /// A watch over one provider; a call that takes longer than `slow` is logged.
    #[must_use]
    pub fn new(
        name: &'static str,
        registry: Arc<Registry>,
        clock: Arc<dyn Clock>,
        breaker: BreakerProbe,
        slow: Duration,
        tracer: Option<Tracer>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            registry,
            clock,
            breaker,
            slow,
            tracer,
            last: Mutex::default(),
            turnstile: OnceLock::new(),
        })
    }

    /// When it last answered and last did not.
    #[must_use]
    pub fn last(&self) -> LastCalls {
        let memory = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let of_late = memory.unanswered.values().filter(|unheard| unheard.last_at.elapsed() <= OF_LATE);
        LastCalls { unanswered: of_late.map(|unheard| unheard.calls).max().unwrap_or(0), ..memory.last }
    }

    /// Calls go through this turnstile.
    pub fn stands_behind(&self, turnstile: Arc<Turnstile>) {
        let _ = self.turnstile.set(turnstile);
    }

    /// The calls that wait before it.
    #[must_use]
    pub fn turns(&self) -> TurnstileState {
        self.turnstile.get().map_or_else(TurnstileState::default, |turnstile| turnstile.state())
    }

    /// Its turnstile, if calls go through one.
    #[must_use]
    pub fn turnstile(&self) -> Option<&Turnstile> {
        self.turnstile.get().map(|turnstile| &**turnstile)
    }

    /// Shows the calls that wait before it.
    pub fn show_turns(&self) {
        let turns = self.turns();
        self.registry.set(Metric::ProviderCallsWaiting, &[self.name], turns.waiting as f64);
        self.registry.set(Metric::ProviderWaitingAge, &[self.name], turns.waiting_for.as_secs_f64());
    }

    /// The state of its breaker.
    #[must_use]
    pub fn breaker(&self) -> BreakerState {
        (self.breaker)()
    }

    /// Shows the state of the breaker.
    pub fn show_breaker(&self) {
        let present = breaker_word(self.breaker());
        for state in BREAKER_STATES {
            self.registry.set(
                Metric::BreakerState,
                &[self.name, state],
                f64::from(u8::from(state == present)),
            );
        }
    }

    async fn watch<T>(
        &self,
        operation: &'static str,
        key: &str,
        call: impl Future<Output = Result<T, Unanswered>>,
        word: fn(&T) -> &'static str,
    ) -> Result<T, Unanswered> {
        let traced = self.traced(key);
        let began_at = Instant::now();
        let answer = call.await;
        let took = began_at.elapsed();
        let outcome = match &answer {
            Ok(said) => word(said),
            Err(Unanswered::NotDone { .. }) => NOT_DONE,
            Err(Unanswered::Unknown { .. }) => UNKNOWN,
            Err(Unanswered::Refused { .. }) => REFUSED,
        };
        self.registry.observe(Metric::ProviderCallDuration, &[self.name, operation, outcome], took);
        self.remember(operation, &answer);
        if let Some((tracer, order_id, began_at)) = traced {
            tracer.ended(call_span(order_id, self.name, operation, outcome, began_at, self.clock.now()));
        }
        self.log(operation, key, outcome, took, &answer);
        answer
    }

    /// The tracer of the call with order and start; none if traces are off.
    fn traced(&self, key: &str) -> Option<(&Tracer, Uuid, Timestamp)> {
        let tracer = self.tracer.as_ref()?;
        let order_id = order_of(key).filter(|order_id| tracer.wants(*order_id))?;
        Some((tracer, order_id, self.clock.now()))
    }

    fn log<T>(
        &self,
        operation: &'static str,
        key: &str,
        outcome: &'static str,
        took: Duration,
        answer: &Result<T, Unanswered>,
    ) {
        let (provider, took_ms) = (self.name, took.as_millis() as u64);
        if took < self.slow && answer.is_ok() {
            return;
        }
        let order_id = order_of(key).unwrap_or_default();
        let (correlation_id, trace_id) = (order_id, trace_word(order_id));
        let correlation_id = &correlation_id;
        match answer {
            Err(Unanswered::Unknown { why }) => {
                tracing::warn!(provider, operation, key, %correlation_id, trace_id, took_ms, why, "a provider did not answer");
            }
            Err(Unanswered::Refused { code }) => {
                tracing::warn!(provider, operation, key, %correlation_id, trace_id, took_ms, code, "a provider refused what it has no reason to refuse");
            }
            // While it is away every order has such a call; breaker and health check report it once.
            Err(Unanswered::NotDone { why, .. }) => {
                tracing::debug!(provider, operation, key, %correlation_id, trace_id, took_ms, why, "a provider was not asked, or refused to listen");
            }
            Ok(_) => {
                tracing::warn!(provider, operation, key, %correlation_id, trace_id, outcome, took_ms, "a call to a provider was slow");
            }
        }
    }

    /// A provider that answers questions may still leave orders unanswered, so each kind of call counts for itself.
    fn remember<T>(&self, operation: &'static str, answer: &Result<T, Unanswered>) {
        let (now, at) = (self.clock.now(), Instant::now());
        let mut memory = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(_) => {
                memory.last.answered_at = Some(now);
                memory.unanswered.remove(operation);
            }
            Err(_) => {
                memory.last.unanswered_at = Some(now);
                let unheard = memory.unanswered.entry(operation).or_insert(Unheard { calls: 0, last_at: at });
                *unheard = Unheard { calls: unheard.calls + 1, last_at: at };
            }
        }
    }
}

/// A payment gateway, observed.
pub struct ObservedGateway {
    /// The gateway.
    pub inner: Arc<dyn PaymentGateway>,
    /// Its watch.
    pub watch: Arc<ProviderWatch>,
}

#[async_trait]
impl PaymentGateway for ObservedGateway {
    async fn charge(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        self.watch.watch("charge", &request.key, self.inner.charge(request), charge_word).await
    }

    async fn authorise(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        self.watch.watch("authorise", &request.key, self.inner.authorise(request), charge_word).await
    }

    async fn capture(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        self.watch.watch("capture", &request.key, self.inner.capture(request), charge_word).await
    }

    async fn look_up(&self, request: &ChargeRequest) -> Result<Option<ChargeOutcome>, Unanswered> {
        let word = |found: &Option<ChargeOutcome>| found.as_ref().map_or("unknown_key", charge_word);
        self.watch.watch("look_up", &request.key, self.inner.look_up(request), word).await
    }

    async fn cancel(&self, key: &str) -> Result<CancelOutcome, Unanswered> {
        self.watch.watch("cancel", key, self.inner.cancel(key), cancel_word).await
    }

    async fn refund(&self, key: &str, refund_key: &str, minor: i64) -> Result<CancelOutcome, Unanswered> {
        self.watch.watch("refund", key, self.inner.refund(key, refund_key, minor), cancel_word).await
    }
}

/// A shipping provider, observed.
pub struct ObservedShipping {
    /// The provider.
    pub inner: Arc<dyn ShippingProvider>,
    /// Its watch.
    pub watch: Arc<ProviderWatch>,
}

#[async_trait]
impl ShippingProvider for ObservedShipping {
    async fn create_shipment(&self, request: &BookingRequest) -> Result<BookingOutcome, Unanswered> {
        let word = |outcome: &BookingOutcome| match outcome {
            BookingOutcome::Booked { .. } => "booked",
            BookingOutcome::Refused { .. } => "refused",
            BookingOutcome::Closed => "closed",
        };
        self.watch.watch("create_shipment", &request.key, self.inner.create_shipment(request), word).await
    }

    async fn look_up(&self, key: &str) -> Result<TrackingOutcome, Unanswered> {
        let word = |outcome: &TrackingOutcome| match outcome {
            TrackingOutcome::UnknownKey => "unknown_key",
            TrackingOutcome::Booked { .. } => "booked",
            TrackingOutcome::Delivered { .. } => "delivered",
            TrackingOutcome::Cancelled => "cancelled",
        };
        self.watch.watch("look_up", key, self.inner.look_up(key), word).await
    }

    async fn cancel(&self, key: &str) -> Result<ShipmentCancelOutcome, Unanswered> {
        let word = |outcome: &ShipmentCancelOutcome| match outcome {
            ShipmentCancelOutcome::Cancelled => "cancelled",
            ShipmentCancelOutcome::AlreadyHandedOver => "already_handed_over",
        };
        self.watch.watch("cancel", key, self.inner.cancel(key), word).await
    }
}

const fn charge_word(outcome: &ChargeOutcome) -> &'static str {
    match outcome {
        ChargeOutcome::Authorised { .. } => "authorised",
        ChargeOutcome::Captured { .. } => "captured",
        ChargeOutcome::Declined { .. } => "declined",
        ChargeOutcome::Refunded { .. } => "refunded",
        ChargeOutcome::Closed => "closed",
    }
}

const fn cancel_word(outcome: &CancelOutcome) -> &'static str {
    match outcome {
        CancelOutcome::Voided => "voided",
        CancelOutcome::Refunded { .. } => "refunded",
    }
}
