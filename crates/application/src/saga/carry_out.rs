//! Executes the commands of sagas for a whole batch in one unit of work: writes by sets, messages to the outbox. The
//! saga decides, never this file.

use std::collections::BTreeMap;

use bus::{CorrelationId, Envelope, Fault, Incoming, Message, Outcome, Step, advance};
use domain::{
    CancelReason, Cancellation, HoldRelease, OrderChange, OrderEvent, OrderId, OrderStatus, Payment,
    ProductId, Shipment,
};
use jiff::Timestamp;

use super::{OrderProcessingSaga, SagaCommand, SagaEvent};
use crate::messages::{
    Demand, InventoryReservationRequested, OrderCancelledEvent, OrderDeliveredEvent, OrderShippingRequested,
    PaymentCaptureRequested, PaymentProcessingRequested, PaymentRefundRequested,
    ShipmentCancellationRequested, ShipmentTrackingRequested, about_order, correlation,
};
use crate::ports::{HistoryEntry, StatusMove, StockDemand, UnitOfWork};
use crate::stock_arrival;

/// Facts that the caller knows already, so that the store need not be read.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The order's demand for stock.
    pub demand: Vec<Demand>,
    /// How the customer pays.
    pub payment_token: Option<String>,
    /// Text for the timeline.
    pub detail: Option<String>,
    /// The person who asked for it, if one did.
    pub actor: Option<String>,
}

/// Something that happened to one order.
#[derive(Clone, Debug)]
pub struct Happening<'a> {
    /// The order.
    pub order_id: OrderId,
    /// What happened.
    pub event: SagaEvent,
    /// The message that reported it.
    pub cause: &'a Envelope,
    /// What the caller knows already.
    pub facts: Facts,
}

/// Lets the sagas react and executes their commands. Returns one step per happening, so that the caller sees how each
/// was taken.
///
/// # Errors
/// Those of the store.
pub async fn carry_out(
    unit: &mut dyn UnitOfWork,
    happenings: &[Happening<'_>],
    now: Timestamp,
) -> Result<Vec<Step<OrderProcessingSaga>>, Fault> {
    debug_assert!(have_causes_of_their_own(happenings), "messages of two orders would have one id");
    let incoming: Vec<Incoming<'_, SagaEvent>> = happenings
        .iter()
        .map(|happening| Incoming {
            saga: correlation(happening.order_id),
            event: happening.event,
            cause: happening.cause,
        })
        .collect();
    let steps = advance(unit, &incoming, now).await?;
    let mut writes = Writes::new(now);
    for (happening, step) in happenings.iter().zip(&steps) {
        writes.take(happening, step);
    }
    writes.flush(unit).await?;
    Ok(steps)
}

/// Whether no two orders hear of something by one message: what follows from a message has its id from it.
fn have_causes_of_their_own(happenings: &[Happening<'_>]) -> bool {
    let mut orders = BTreeMap::new();
    happenings.iter().all(|it| *orders.entry(it.cause.id).or_insert(it.order_id) == it.order_id)
}

/// The ordinal of the news about released stock among the messages that one message causes.
const STOCK_NEWS: u32 = u32::MAX - 1;

/// All writes of a batch of reactions.
struct Writes {
    now: Timestamp,
    moves: Vec<StatusMove>,
    payments: Vec<Payment>,
    shipments: Vec<Shipment>,
    shipped: Vec<OrderId>,
    released: Vec<OrderId>,
    /// The message that had stock released first, if any did.
    released_by: Option<Envelope>,
    ended_holds: Vec<OrderId>,
    messages: Vec<Envelope>,
    history: Vec<HistoryEntry>,
    moved_on: Vec<CorrelationId>,
}

impl Writes {
    const fn new(now: Timestamp) -> Self {
        Self {
            now,
            moves: Vec::new(),
            payments: Vec::new(),
            shipments: Vec::new(),
            shipped: Vec::new(),
            released: Vec::new(),
            released_by: None,
            ended_holds: Vec::new(),
            messages: Vec::new(),
            history: Vec::new(),
            moved_on: Vec::new(),
        }
    }

    fn take(&mut self, happening: &Happening<'_>, step: &Step<OrderProcessingSaga>) {
        let (Some(before), Some(after)) = (&step.before, &step.after) else { return };
        if before.state != after.state {
            self.moved_on.push(correlation(after.order_id));
        }
        self.remember(happening, step, after);
        for (ordinal, command) in (0..).zip(&step.commands) {
            self.carry_out(happening, after, *command, ordinal);
        }
    }

    fn carry_out(
        &mut self,
        happening: &Happening<'_>,
        saga: &OrderProcessingSaga,
        command: SagaCommand,
        ordinal: u32,
    ) {
        let order_id = saga.order_id.0;
        match command {
            SagaCommand::RequestReservation => self.send(
                happening,
                ordinal,
                &InventoryReservationRequested { order_id, lines: happening.facts.demand.clone() },
            ),
            SagaCommand::RequestPayment => self.request_payment(happening, saga, ordinal),
            SagaCommand::CapturePayment => {
                let payment = Payment::request(saga.order_id, saga.total);
                let amount = payment.amount.into();
                let request = PaymentCaptureRequested { order_id, amount, idempotency_key: payment.key };
                self.send(happening, ordinal, &request);
            }
            SagaCommand::RequestShipping => {
                let shipment = Shipment::request(saga.order_id);
                self.send(happening, ordinal, &shipping_requested(saga, &shipment));
                self.shipments.push(shipment);
            }
            SagaCommand::RequestShippingAgain => {
                let shipment = Shipment::request(saga.order_id);
                self.send(happening, ordinal, &shipping_requested(saga, &shipment));
            }
            SagaCommand::TrackShipment => {
                let idempotency_key = Shipment::request(saga.order_id).key;
                self.send(happening, ordinal, &ShipmentTrackingRequested { order_id, idempotency_key });
            }
            SagaCommand::CancelShipment => {
                let idempotency_key = Shipment::request(saga.order_id).key;
                self.send(happening, ordinal, &ShipmentCancellationRequested { order_id, idempotency_key });
            }
            SagaCommand::RefundPayment => {
                let idempotency_key = Payment::request(saga.order_id, saga.total).key;
                self.send(
                    happening,
                    ordinal,
                    &PaymentRefundRequested { order_id, idempotency_key, part: None },
                );
            }
            SagaCommand::ShipStock => self.shipped.push(saga.order_id),
            SagaCommand::ReleaseStock => {
                self.released.push(saga.order_id);
                self.released_by.get_or_insert_with(|| happening.cause.clone());
            }
            SagaCommand::EndHolds => self.ended_holds.push(saga.order_id),
            SagaCommand::MoveOrder { from, to, event } => self.move_order(happening, saga, (from, to), event),
        }
    }

    fn request_payment(&mut self, happening: &Happening<'_>, saga: &OrderProcessingSaga, ordinal: u32) {
        let payment = Payment::request(saga.order_id, saga.total);
        self.send(
            happening,
            ordinal,
            &PaymentProcessingRequested {
                order_id: saga.order_id.0,
                amount: saga.total.into(),
                idempotency_key: payment.key.clone(),
                payment_token: happening.facts.payment_token.clone(),
                capture: saga.capture,
            },
        );
        self.payments.push(payment);
    }

    fn move_order(
        &mut self,
        happening: &Happening<'_>,
        saga: &OrderProcessingSaga,
        (from, to): (OrderStatus, OrderStatus),
        event: OrderEvent,
    ) {
        let cancelled = event == OrderEvent::OrderCancelled;
        let cancellation = cancelled.then(|| cancellation(happening, saga));
        if let Some(record) = &cancellation {
            let news =
                OrderCancelledEvent { order_id: saga.order_id.0, reason: record.reason.as_str().to_owned() };
            self.send(happening, u32::MAX, &news);
        }
        if event == OrderEvent::OrderDelivered {
            self.send(happening, u32::MAX, &OrderDeliveredEvent { order_id: saga.order_id.0 });
        }
        let change = OrderChange { order_id: saga.order_id, event, at: self.now, cancellation };
        self.moves.push(StatusMove { from, to, change });
    }

    fn send<M: Message>(&mut self, happening: &Happening<'_>, ordinal: u32, message: &M) {
        let envelope = message.caused_by(happening.cause, ordinal, self.now);
        self.messages.push(about_order(envelope, happening.order_id));
    }

    /// What happened, and what followed from it for the order: each event that moves the order has an entry. Repeats
    /// get none.
    fn remember(
        &mut self,
        happening: &Happening<'_>,
        step: &Step<OrderProcessingSaga>,
        saga: &OrderProcessingSaga,
    ) {
        let refusal = match step.outcome {
            Outcome::Moved => None,
            Outcome::Refused(why) => Some(format!("refused: {why}")),
            Outcome::Ignored(_) | Outcome::Early => return,
        };
        let is_refused = refusal.is_some();
        let entry = |event, status, detail| HistoryEntry {
            order_id: saga.order_id,
            at: self.now,
            event,
            status: Some(status),
            saga_state: Some(saga.state),
            detail,
            is_refused,
        };
        let cause = happening.event.kind.as_str();
        let consequence = |command: &SagaCommand| match *command {
            SagaCommand::ReleaseStock => {
                Some(entry(OrderEvent::InventoryReleased.as_str(), saga.order, None))
            }
            SagaCommand::MoveOrder { to, event, .. } if event.as_str() != cause => {
                let reason = saga.reason.filter(|_| event == OrderEvent::OrderCancelled);
                Some(entry(event.as_str(), to, reason.map(|reason| reason.as_str().to_owned())))
            }
            SagaCommand::MoveOrder { .. }
            | SagaCommand::RequestReservation
            | SagaCommand::RequestPayment
            | SagaCommand::CapturePayment
            | SagaCommand::RequestShipping
            | SagaCommand::RequestShippingAgain
            | SagaCommand::TrackShipment
            | SagaCommand::CancelShipment
            | SagaCommand::RefundPayment
            | SagaCommand::ShipStock
            | SagaCommand::EndHolds => None,
        };
        let detail = refusal.or_else(|| happening.facts.detail.clone());
        let is_the_cause = |command: &SagaCommand| matches!(*command, SagaCommand::MoveOrder { event, .. } if event.as_str() == cause);
        // What the order went through to get where the cause leads comes before it.
        let before = step.commands.iter().position(is_the_cause).unwrap_or(0);
        let (before, after) = step.commands.split_at(before);
        self.history.extend(before.iter().filter_map(consequence));
        self.history.push(entry(cause, saga.order, detail));
        self.history.extend(after.iter().filter_map(consequence));
    }

    async fn flush(mut self, unit: &mut dyn UnitOfWork) -> Result<(), Fault> {
        let now = self.now;
        if !self.moves.is_empty() {
            unit.orders().update(&self.moves).await?;
        }
        let freed = move_stock(unit, &self.shipped, &self.released, now).await?;
        if let Some(cause) = &self.released_by
            && let Some(news) = stock_arrival::news_of(unit, &freed).await?
        {
            self.messages.push(news.caused_by(cause, STOCK_NEWS, now));
        }
        if !self.payments.is_empty() {
            unit.payments().insert(&self.payments, now).await?;
        }
        if !self.shipments.is_empty() {
            unit.shipments().insert(&self.shipments, now).await?;
        }
        if !self.ended_holds.is_empty() {
            let mut open = unit.holds().get(&self.ended_holds).await?;
            open.retain(|hold| hold.released.is_none());
            let (actor, note) = ("saga".to_owned(), "the order is cancelled".to_owned());
            unit.holds().release(&open, &HoldRelease { actor, note, at: now }).await?;
        }
        if !self.history.is_empty() {
            unit.history().append(&self.history).await?;
        }
        if !self.messages.is_empty() {
            unit.publish(self.messages).await?;
        }
        if !self.moved_on.is_empty() {
            unit.unpark(&self.moved_on, now).await?;
        }
        Ok(())
    }
}

fn cancellation(happening: &Happening<'_>, saga: &OrderProcessingSaga) -> Cancellation {
    Cancellation {
        reason: saga.reason.unwrap_or(CancelReason::Operator),
        actor: happening.facts.actor.clone().unwrap_or_else(|| "saga".to_owned()),
        note: happening.facts.detail.clone().unwrap_or_default(),
    }
}

/// Returns the products of which units are for sale again.
async fn move_stock(
    unit: &mut dyn UnitOfWork,
    shipped: &[OrderId],
    released: &[OrderId],
    now: Timestamp,
) -> Result<Vec<ProductId>, Fault> {
    if shipped.is_empty() && released.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<OrderId> = shipped.iter().chain(released).copied().collect();
    let demands: BTreeMap<OrderId, Vec<(ProductId, i64)>> = unit
        .orders()
        .get_demand(&ids)
        .await?
        .into_iter()
        .map(|demand| (demand.order_id, demand.lines))
        .collect();
    let of = |orders: &[OrderId]| -> Vec<StockDemand> {
        let demand =
            |id: &OrderId| demands.get(id).map(|lines| StockDemand { order_id: *id, lines: lines.clone() });
        orders.iter().filter_map(demand).collect()
    };
    if !shipped.is_empty() {
        unit.inventory().ship_reservation(&of(shipped), now).await?;
    }
    let released = of(released);
    if !released.is_empty() {
        unit.inventory().release_reservation(&released, now).await?;
    }
    Ok(released.iter().flat_map(|demand| &demand.lines).map(|(product, _)| *product).collect())
}
fn shipping_requested(saga: &OrderProcessingSaga, shipment: &Shipment) -> OrderShippingRequested {
    OrderShippingRequested {
        order_id: saga.order_id.0,
        idempotency_key: shipment.key.clone(),
        has_address: saga.has_address,
    }
}
