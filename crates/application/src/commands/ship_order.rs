//! Has an order shipped: asks the provider outside any transaction, under a key stored before, then decides, records and
//! tells what its answer means. A booking with unknown outcome is looked up by its key, never guessed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bus::{Disposition, Envelope, Fault, Message, Step, Store, Verdict};
use domain::{Change, OrderId, OrderLine, Product, ProductId, Rejection, Shipment, ShippingFacts};
use jiff::Timestamp;

use super::details::details;
use super::provider_call::{Answered, Asked, Call, again_while};
use crate::context::Context;
use crate::messages::{OrderShippedEvent, ShippingCompleted, about_order, fact};
use crate::order_details::OrderDetails;
use crate::ports::{
    AnyUnit, BookingOutcome, BookingRequest, HistoryEntry, ParcelItem, ShippingProvider, TrackingOutcome,
    Unanswered, UnitOfWork,
};
use crate::saga::{EventKind, Happening, OrderProcessingSaga, SagaState, carry_out};

/// Have one order shipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShipOrderCommand {
    /// The order.
    pub order_id: OrderId,
    /// The booking's key, which is stored already.
    pub idempotency_key: String,
    /// Earlier attempts.
    pub attempt: u32,
    /// Whether the order says where its goods go.
    pub has_address: bool,
}

/// The provider's answer, and to which call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookingAnswer {
    command: ShipOrderCommand,
    asked: Asked,
    said: Result<BookingOutcome, Unanswered>,
    delivered: Option<String>,
}

/// The call that books the parcel.
const CREATE_SHIPMENT: Asked = Asked::ToDo("create_shipment");

/// Handles [`ShipOrderCommand`]s.
pub struct ShipOrderHandler {
    provider: Arc<dyn ShippingProvider>,
    store: Arc<dyn Store<AnyUnit>>,
    context: Arc<Context>,
}

impl ShipOrderHandler {
    /// A handler that books with this provider, to where the orders in this store say.
    #[must_use]
    pub fn new(
        provider: Arc<dyn ShippingProvider>,
        store: Arc<dyn Store<AnyUnit>>,
        context: Arc<Context>,
    ) -> Self {
        Self { provider, store, context }
    }

    /// Asks the provider. On the first attempt books. On later ones an earlier call may have done something, so it
    /// looks the booking up and books only if the provider does not know the key.
    ///
    /// # Errors
    /// If what the order says cannot be read. A store that is away is no error: nothing was done.
    pub async fn ask(&self, command: ShipOrderCommand) -> Result<BookingAnswer, Fault> {
        if command.attempt == 0 {
            return self.book(command).await;
        }
        Ok(match self.provider.look_up(&command.idempotency_key).await {
            Ok(TrackingOutcome::UnknownKey) => self.book(command).await?,
            Ok(known) => looked_up(command, known),
            Err(unanswered) => {
                BookingAnswer { command, asked: Asked::LookUp, said: Err(unanswered), delivered: None }
            }
        })
    }

    /// Decides what the answers mean for their orders, records them and tells of them. Returns what becomes of each
    /// message.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn handle(
        &self,
        unit: &mut dyn UnitOfWork,
        calls: &[Call<'_, BookingAnswer>],
    ) -> Result<Vec<Disposition>, Fault> {
        let now = self.context.clock.now();
        let shipped = self.decide(unit, calls, now).await?;
        let others = record(unit, calls, &shipped, now).await?;
        self.tell(unit, calls, &shipped, &others, now).await?;
        again_while(|saga| saga.state.awaits_shipping(), unit, calls, &self.context, now).await
    }

    async fn book(&self, command: ShipOrderCommand) -> Result<BookingAnswer, Fault> {
        let (details, items) = match self.contents(&command).await {
            Ok(contents) => contents,
            // Nothing was done, and nothing is wrong with the order: it waits, and that is no attempt.
            Err(fault) if fault.verdict == Verdict::Retry => {
                let said = Err(Unanswered::NotDone { why: fault.to_string(), retry_after: None });
                return Ok(BookingAnswer { command, asked: CREATE_SHIPMENT, said, delivered: None });
            }
            Err(fault) => return Err(fault),
        };
        let request = BookingRequest {
            key: command.idempotency_key.clone(),
            reference: command.order_id.to_string(),
            address: details.shipping_address,
            contact: details.contact,
            items,
        };
        let said = self.provider.create_shipment(&request).await;
        Ok(BookingAnswer { command, asked: CREATE_SHIPMENT, said, delivered: None })
    }

    /// Where the goods go and what they are, of an order that says where. No message carries it, since others may read those.
    async fn contents(&self, command: &ShipOrderCommand) -> Result<(OrderDetails, Vec<ParcelItem>), Fault> {
        if !command.has_address {
            return Ok((OrderDetails::default(), Vec::new()));
        }
        let mut unit = self.store.begin().await?;
        let details = details(unit.as_mut(), command.order_id).await?;
        let order = unit.orders().get_by_id(command.order_id).await?;
        let mut lines = order.map_or_else(Vec::new, |order| order.lines().to_vec());
        lines.retain(|line| line.remaining() > 0);
        let ids: Vec<ProductId> = lines.iter().map(|line| line.product_id).collect();
        let products = unit.products().get_by_ids(&ids).await?;
        Ok((details, lines.into_iter().map(|line| item(line, &products)).collect()))
    }

    /// Returns the orders that go forward with their parcel.
    async fn decide(
        &self,
        unit: &mut dyn UnitOfWork,
        calls: &[Call<'_, BookingAnswer>],
        now: Timestamp,
    ) -> Result<BTreeSet<OrderId>, Fault> {
        let happenings: Vec<Happening<'_>> =
            calls.iter().filter_map(|call| Some(call.means(call.answer.event()?, &self.context))).collect();
        let steps = carry_out(unit, &happenings, now).await?;
        debug_assert_eq!(steps.len(), happenings.len());
        Ok(shipped(&steps))
    }

    /// Writes a timeline entry for every unanswered call that the saga's own entry does not cover, and for every answer
    /// about another parcel than the order's, and publishes parcels on their way.
    async fn tell(
        &self,
        unit: &mut dyn UnitOfWork,
        calls: &[Call<'_, BookingAnswer>],
        shipped: &BTreeSet<OrderId>,
        others: &BTreeSet<usize>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let is_silence = |call: &Call<'_, BookingAnswer>| {
            !call.answer.starts_the_clock() && call.is_silence_worth_telling(&self.context, now)
        };
        let is_to_be_told = |place: &usize| others.contains(place) || is_silence(&calls[*place]);
        let entries: Vec<HistoryEntry> = (0..calls.len())
            .filter(is_to_be_told)
            .map(|place| calls[place].entry("ShippingCall", now))
            .collect();
        unit.history().append(&entries).await?;
        let ours = (0..calls.len()).filter(|place| !others.contains(place));
        unit.publish(ours.flat_map(|place| news(&calls[place], shipped, now)).collect()).await
    }
}

/// What a carrier is told of a line.
fn item(line: OrderLine, products: &[Product]) -> ParcelItem {
    let product = products.iter().find(|product| product.id == line.product_id);
    ParcelItem {
        name: product.map_or_else(|| line.sku.to_string(), |product| product.name.clone()),
        shipping: product.map_or_else(ShippingFacts::default, |product| product.shipping.clone()),
        quantity: line.remaining(),
        sku: line.sku,
        unit_price: line.unit_price,
    }
}

/// The answer of a look-up.
fn looked_up(command: ShipOrderCommand, known: TrackingOutcome) -> BookingAnswer {
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
    BookingAnswer { command, asked: Asked::LookUp, said: Ok(said), delivered }
}

impl BookingAnswer {
    /// What it means for the order, if anything.
    fn event(&self) -> Option<EventKind> {
        match &self.said {
            Ok(BookingOutcome::Booked { .. }) => Some(EventKind::ShipmentBooked),
            Ok(BookingOutcome::Refused { .. } | BookingOutcome::Closed) => Some(EventKind::ShipmentRefused),
            Err(_) => self.starts_the_clock().then_some(EventKind::ShippingStarted),
        }
    }

    /// The first call that was let through and not answered; an answered one needs no limit.
    fn starts_the_clock(&self) -> bool {
        let unanswered = self.said.as_ref().err();
        self.command.attempt == 0 && unanswered.is_some_and(Unanswered::was_let_through)
    }
}

/// The orders that go forward with their parcel. A booking that came too late for its order exists only to be
/// cancelled, and must not be recorded or published as a parcel on its way.
fn shipped(steps: &[Step<OrderProcessingSaga>]) -> BTreeSet<OrderId> {
    let sagas = steps.iter().filter_map(|step| step.after.as_ref());
    sagas.filter(|saga| saga.state == SagaState::Shipped).map(|saga| saga.order_id).collect()
}

/// Records the provider's answers in the shipment rows. Returns the places of answers about another parcel than the order's.
async fn record(
    unit: &mut dyn UnitOfWork,
    calls: &[Call<'_, BookingAnswer>],
    shipped: &BTreeSet<OrderId>,
    now: Timestamp,
) -> Result<BTreeSet<usize>, Fault> {
    let ids: Vec<OrderId> = calls.iter().map(|call| call.answer.command.order_id).collect();
    let rows = unit.shipments().get(&ids).await?;
    let mut rows: BTreeMap<OrderId, Shipment> = rows.into_iter().map(|row| (row.order_id, row)).collect();
    let mut others = BTreeSet::new();
    for (place, call) in calls.iter().enumerate() {
        let Some(shipment) = rows.get_mut(&call.answer.command.order_id) else { continue };
        if is_another_parcel(shipment, call.answer) {
            others.insert(place);
        } else {
            note(shipment, call.answer);
        }
    }
    for shipment in rows.values_mut().filter(|row| shipped.contains(&row.order_id)) {
        fits(shipment.order_id, shipment.ship());
    }
    let changed: Vec<Shipment> = rows.into_values().collect();
    unit.shipments().update(&changed, now).await?;
    Ok(others)
}

fn is_another_parcel(shipment: &Shipment, answer: &BookingAnswer) -> bool {
    match (&answer.said, &shipment.tracking_number) {
        (Ok(BookingOutcome::Booked { tracking_number, .. }), Some(known)) => tracking_number != known,
        _ => false,
    }
}

fn note(shipment: &mut Shipment, answer: &BookingAnswer) {
    let noted = match &answer.said {
        Ok(BookingOutcome::Booked { tracking_number, carrier }) => shipment.book(tracking_number, carrier),
        Ok(BookingOutcome::Refused { .. }) => shipment.fail(),
        Ok(BookingOutcome::Closed) => shipment.cancel(),
        Err(unanswered) if unanswered.was_let_through() => shipment.note_unknown(),
        Err(_) => return,
    };
    fits(shipment.order_id, noted);
    if answer.delivered.is_some() {
        fits(shipment.order_id, shipment.deliver());
    }
}

fn fits(order_id: OrderId, noted: Result<Change, Rejection>) {
    if let Err(rejection) = noted {
        tracing::warn!(%order_id, %rejection, "the provider's answer does not fit what is known");
    }
}

/// The messages about a parcel that is on its way, or has arrived.
fn news(call: &Call<'_, BookingAnswer>, shipped: &BTreeSet<OrderId>, now: Timestamp) -> Vec<Envelope> {
    let order_id = call.answer.command.order_id;
    let mut news = Vec::new();
    if let Ok(BookingOutcome::Booked { tracking_number, carrier }) = &call.answer.said
        && shipped.contains(&order_id)
    {
        let shipped = OrderShippedEvent {
            order_id: order_id.0,
            tracking_number: tracking_number.clone(),
            carrier: carrier.clone(),
        };
        news.push(about_order(shipped.caused_by(call.cause, 0, now), order_id));
    }
    if let Some(tracking_number) = &call.answer.delivered {
        let completed = ShippingCompleted { order_id: order_id.0, tracking_number: tracking_number.clone() };
        news.push(fact(completed.caused_by(call.cause, 1, now), order_id, tracking_number));
    }
    news
}

impl Answered for BookingAnswer {
    fn order_id(&self) -> OrderId {
        self.command.order_id
    }

    fn attempt(&self) -> u32 {
        self.command.attempt
    }

    fn asked(&self) -> Asked {
        self.asked
    }

    fn unanswered(&self) -> Option<&Unanswered> {
        self.said.as_ref().err()
    }

    fn said(&self) -> String {
        match &self.said {
            Ok(BookingOutcome::Booked { tracking_number, carrier }) => {
                format!("booked with {carrier} as {tracking_number}")
            }
            Ok(BookingOutcome::Refused { code }) => format!("refused: {code}"),
            Ok(BookingOutcome::Closed) => "the key is closed".to_owned(),
            Err(unanswered) => unanswered.to_string(),
        }
    }
}
