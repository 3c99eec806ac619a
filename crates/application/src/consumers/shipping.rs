//! Books parcels: calls the provider outside any transaction, under a key stored before, and records the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use bus::{Consumer, Effects, Envelope, Fault, Message, Step, Vetted, Work};
use domain::{Change, OrderId, Rejection, Shipment};
use jiff::Timestamp;

use super::again::{ask_again, is_worth_telling, look_up_again};
use super::standing;
use crate::messages::{OrderShippedEvent, OrderShippingRequested, ShippingCompleted, correlation};
use crate::pipeline::Context;
use crate::ports::{
    AnyUnit, BookingOutcome, BookingRequest, HistoryEntry, ShippingProvider, TrackingOutcome, Unanswered,
    UnitOfWork,
};
use crate::saga::{EventKind, Facts, Happening, OrderProcessingSaga, SagaEvent, SagaState, carry_out};

/// Consumes [`OrderShippingRequested`].
pub struct ShippingConsumer {
    provider: Arc<dyn ShippingProvider>,
    context: Arc<Context>,
}

/// The provider's answer, and to which call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookingAnswer {
    asked: Asked,
    said: Result<BookingOutcome, Unanswered>,
    delivered: Option<String>,
}

/// Which call was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// A booking.
    CreateShipment,
    /// A look-up.
    LookUp,
}

impl ShippingConsumer {
    /// Its queue.
    pub const QUEUE: &'static str = "shipping";

    /// A consumer that books with this provider.
    #[must_use]
    pub fn new(provider: Arc<dyn ShippingProvider>, context: Arc<Context>) -> Self {
        Self { provider, context }
    }

    /// On the first attempt books. On later ones an earlier call may have done something, so it looks the booking up
    /// and books only if the provider does not know the key.
    async fn ask(&self, request: &BookingRequest, attempt: u32) -> BookingAnswer {
        if attempt == 0 {
            return self.book(request).await;
        }
        match self.provider.look_up(&request.key).await {
            Ok(TrackingOutcome::UnknownKey) => self.book(request).await,
            Ok(known) => known.into(),
            Err(unanswered) => BookingAnswer { asked: Asked::LookUp, said: Err(unanswered), delivered: None },
        }
    }

    async fn book(&self, request: &BookingRequest) -> BookingAnswer {
        BookingAnswer {
            asked: Asked::CreateShipment,
            said: self.provider.create_shipment(request).await,
            delivered: None,
        }
    }

    fn happening<'a>(&self, work: &'a Work<OrderShippingRequested, BookingAnswer>) -> Option<Happening<'a>> {
        let kind = match &work.answer.said {
            Ok(BookingOutcome::Booked { .. }) => EventKind::ShipmentBooked,
            Ok(BookingOutcome::Refused { .. } | BookingOutcome::Closed) => EventKind::ShipmentRefused,
            Err(_) if starts_the_clock(work) => EventKind::ShippingStarted,
            Err(_) => return None,
        };
        Some(Happening {
            order_id: OrderId(work.message.order_id),
            event: SagaEvent::of(kind).within(self.context.settings.limits),
            cause: work.envelope(),
            facts: Facts { detail: Some(work.answer.in_words(work.envelope().attempt)), ..Facts::default() },
        })
    }

    /// Schedules the next call, as long as the saga still waits for the booking.
    async fn settle(
        &self,
        unit: &mut dyn UnitOfWork,
        batch: &mut [Work<OrderShippingRequested, BookingAnswer>],
        now: Timestamp,
    ) -> Result<(), Fault> {
        let open: Vec<_> = batch.iter().filter(|work| work.answer.said.is_err()).collect();
        if open.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = open.iter().map(|work| correlation(OrderId(work.message.order_id))).collect();
        let sagas: Vec<OrderProcessingSaga> = bus::SagaRepository::load_sagas(unit, &ids).await?;
        let waiting: Vec<_> =
            sagas.iter().filter(|saga| saga.state.awaits_shipping()).map(|saga| saga.order_id.0).collect();
        for work in batch {
            if let Err(unanswered) = work.answer.said.clone()
                && waiting.contains(&work.message.order_id)
            {
                match work.answer.asked {
                    Asked::LookUp => look_up_again(work, &unanswered, &self.context, now),
                    Asked::CreateShipment => {
                        ask_again(work, &unanswered, &self.context.settings.call_retry, &self.context, now);
                    }
                }
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Consumer<AnyUnit> for ShippingConsumer {
    type Message = OrderShippingRequested;
    type Answer = BookingAnswer;

    fn queue(&self) -> &'static str {
        Self::QUEUE
    }

    fn effects(&self) -> Effects {
        Effects::Outside { at_once_max: self.context.settings.calls_at_once_max }
    }

    async fn vet(
        &self,
        unit: &mut AnyUnit,
        requests: &[&OrderShippingRequested],
    ) -> Result<Vec<Vetted>, Fault> {
        standing::vet(unit, requests).await
    }

    async fn perform(
        &self,
        message: &OrderShippingRequested,
        envelope: &Envelope,
    ) -> Result<BookingAnswer, Fault> {
        let request =
            BookingRequest { key: message.idempotency_key.clone(), reference: message.order_id.to_string() };
        Ok(self.ask(&request, envelope.attempt).await)
    }

    async fn handle(
        &self,
        unit: &mut AnyUnit,
        batch: &mut [Work<OrderShippingRequested, BookingAnswer>],
    ) -> Result<(), Fault> {
        let now = self.context.clock.now();
        let happenings: Vec<_> = batch.iter().filter_map(|work| self.happening(work)).collect();
        let steps: Vec<Step<OrderProcessingSaga>> = carry_out(unit, &happenings, now).await?;
        debug_assert_eq!(steps.len(), happenings.len());
        let shipped = shipped(&steps);
        record(unit, batch, &shipped, now).await?;
        unit.history().append(&self.unanswered_calls(batch, now)).await?;
        unit.publish(batch.iter().flat_map(|work| news(work, &shipped, now)).collect()).await?;
        self.settle(unit, batch, now).await
    }
}

/// The first call that was let through and not answered; an answered one needs no limit.
fn starts_the_clock(work: &Work<OrderShippingRequested, BookingAnswer>) -> bool {
    let unanswered = work.answer.said.as_ref().err();
    work.envelope().attempt == 0 && unanswered.is_some_and(Unanswered::was_let_through)
}

/// The orders that go forward with their parcel. A booking that came too late for its order exists only to be
/// cancelled, and must not be recorded or published as a parcel on its way.
fn shipped(steps: &[Step<OrderProcessingSaga>]) -> BTreeSet<OrderId> {
    let sagas = steps.iter().filter_map(|step| step.after.as_ref());
    sagas.filter(|saga| saga.state == SagaState::Shipped).map(|saga| saga.order_id).collect()
}

/// Records the provider's answers in the shipment rows.
async fn record(
    unit: &mut dyn UnitOfWork,
    batch: &[Work<OrderShippingRequested, BookingAnswer>],
    shipped: &BTreeSet<OrderId>,
    now: Timestamp,
) -> Result<(), Fault> {
    let ids: Vec<OrderId> = batch.iter().map(|work| OrderId(work.message.order_id)).collect();
    let rows = unit.shipments().get(&ids).await?;
    let mut rows: BTreeMap<OrderId, Shipment> = rows.into_iter().map(|row| (row.order_id, row)).collect();
    for work in batch {
        if let Some(shipment) = rows.get_mut(&OrderId(work.message.order_id)) {
            note(shipment, &work.answer.said);
            if work.answer.delivered.is_some() {
                fits(shipment.order_id, shipment.deliver());
            }
        }
    }
    for shipment in rows.values_mut().filter(|row| shipped.contains(&row.order_id)) {
        fits(shipment.order_id, shipment.ship());
    }
    let changed: Vec<Shipment> = rows.into_values().collect();
    unit.shipments().update(&changed, now).await
}

fn note(shipment: &mut Shipment, said: &Result<BookingOutcome, Unanswered>) {
    let noted = match said {
        Ok(BookingOutcome::Booked { tracking_number, carrier }) => shipment.book(tracking_number, carrier),
        Ok(BookingOutcome::Refused { .. }) => shipment.fail(),
        Ok(BookingOutcome::Closed) => shipment.cancel(),
        Err(unanswered) if unanswered.was_let_through() => shipment.note_unknown(),
        Err(_) => return,
    };
    fits(shipment.order_id, noted);
}

fn fits(order_id: OrderId, noted: Result<Change, Rejection>) {
    if let Err(rejection) = noted {
        tracing::warn!(%order_id, %rejection, "the provider's answer does not fit what is known");
    }
}

impl ShippingConsumer {
    /// Unanswered calls get an entry too, unless the saga's own entry covers them.
    fn unanswered_calls(
        &self,
        batch: &[Work<OrderShippingRequested, BookingAnswer>],
        now: Timestamp,
    ) -> Vec<HistoryEntry> {
        let is_news = |work: &&Work<OrderShippingRequested, BookingAnswer>| {
            let unanswered = work.answer.said.as_ref().err();
            unanswered.is_some_and(|unanswered| is_worth_telling(work, unanswered, &self.context, now))
        };
        batch
            .iter()
            .filter(|work| !starts_the_clock(work))
            .filter(is_news)
            .map(|work| HistoryEntry {
                order_id: OrderId(work.message.order_id),
                at: now,
                event: "ShippingCall",
                status: None,
                saga_state: None,
                detail: Some(work.answer.in_words(work.envelope().attempt)),
            })
            .collect()
    }
}

fn news(
    work: &Work<OrderShippingRequested, BookingAnswer>,
    shipped: &BTreeSet<OrderId>,
    now: Timestamp,
) -> Vec<Envelope> {
    let order_id = work.message.order_id;
    let mut news = Vec::new();
    if let Ok(BookingOutcome::Booked { tracking_number, carrier }) = &work.answer.said
        && shipped.contains(&OrderId(order_id))
    {
        let shipped = OrderShippedEvent {
            order_id,
            tracking_number: tracking_number.clone(),
            carrier: carrier.clone(),
        };
        news.push(shipped.caused_by(work.envelope(), 0, now));
    }
    if let Some(tracking_number) = &work.answer.delivered {
        let completed = ShippingCompleted { order_id, tracking_number: tracking_number.clone() };
        news.push(completed.caused_by(work.envelope(), 1, now));
    }
    news
}

impl From<TrackingOutcome> for BookingAnswer {
    fn from(known: TrackingOutcome) -> Self {
        let (said, delivered) = match known {
            TrackingOutcome::UnknownKey | TrackingOutcome::Cancelled => (BookingOutcome::Closed, None),
            TrackingOutcome::Booked { tracking_number, carrier } => {
                (BookingOutcome::Booked { tracking_number, carrier }, None)
            }
            TrackingOutcome::Delivered { tracking_number, carrier } => (
                BookingOutcome::Booked { tracking_number: tracking_number.clone(), carrier },
                Some(tracking_number),
            ),
        };
        Self { asked: Asked::LookUp, said: Ok(said), delivered }
    }
}

impl Asked {
    const fn as_str(self) -> &'static str {
        match self {
            Self::CreateShipment => "create_shipment",
            Self::LookUp => "look_up",
        }
    }
}

impl BookingAnswer {
    fn in_words(&self, attempt: u32) -> String {
        let said = match &self.said {
            Ok(BookingOutcome::Booked { tracking_number, carrier }) => {
                format!("booked with {carrier} as {tracking_number}")
            }
            Ok(BookingOutcome::Refused { code }) => format!("refused: {code}"),
            Ok(BookingOutcome::Closed) => "the key is closed".to_owned(),
            Err(unanswered) => unanswered.to_string(),
        };
        format!("{} (attempt {}): {said}", self.asked.as_str(), attempt.saturating_add(1))
    }
}
