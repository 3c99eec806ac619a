//! The spans of one unit of work: of its batch, of each message in it, of orders that begin in it, and of stock that is
//! asked for. Told once the unit is committed. Costs nothing where no traces are wanted, because there is none of it then.

use std::collections::{BTreeMap, BTreeSet};

use application::consumers::InventoryReservationConsumer;
use application::ports::{NewOrderRow, ReservationOutcome, StockDemand};
use application::saga::OrderProcessingSaga;
use bus::{Consumer, Disposition, Envelope, MessageId, Settlement, Timer};
use jiff::Timestamp;
use uuid::Uuid;

use super::words::unspoken;
use crate::otlp::{
    Span, SpanId, SpanKind, SpanValue, TraceId, Tracer, message_span, order_span, parent_of, parse,
    traceparent, whole,
};

/// The fate of a message that came too early.
const PARKED: &str = "parked";

/// The trace of one unit of work.
pub(super) struct Trail {
    tracer: Tracer,
    begun_at: Timestamp,
    spans: Vec<Span>,
    checks: Vec<(Uuid, Span)>,
    handled: Vec<Handled>,
    sent: BTreeSet<(Uuid, MessageId)>,
    stages: BTreeMap<Uuid, &'static str>,
    callers: BTreeMap<Uuid, (TraceId, SpanId)>,
}

/// A message of the batch.
struct Handled {
    envelope: std::sync::Arc<Envelope>,
    queue: std::sync::Arc<str>,
    put_off: Option<&'static str>,
}

impl Trail {
    pub(super) const fn new(tracer: Tracer, begun_at: Timestamp) -> Self {
        Self {
            tracer,
            begun_at,
            spans: Vec::new(),
            checks: Vec::new(),
            handled: Vec::new(),
            sent: BTreeSet::new(),
            stages: BTreeMap::new(),
            callers: BTreeMap::new(),
        }
    }

    /// Gives outgoing messages the trace context of their sender. The first one of an order links to the caller's
    /// context: the order's trace keeps its own id, which derives from the order's id.
    pub(super) fn send_on(&mut self, envelopes: &mut [Envelope]) {
        for envelope in envelopes.iter_mut().filter(|envelope| self.tracer.wants(envelope.correlation_id.0)) {
            if envelope.causation_id.is_none() {
                let caller = envelope.traceparent.take().and_then(|text| parse(&text));
                self.callers.extend(caller.map(|caller| (envelope.correlation_id.0, caller)));
            }
            envelope.traceparent = Some(traceparent(envelope).into());
            self.sent.extend(envelope.causation_id.map(|cause| (envelope.correlation_id.0, cause)));
        }
    }

    /// The same for timers, which always belong to the order's trace.
    pub(super) fn set(&self, timers: &mut [Timer]) {
        for timer in timers.iter_mut() {
            let saga = timer.key.saga.0;
            let known = timer.traceparent.as_deref().and_then(parse);
            let is_own = known.is_some_and(|(trace, _)| trace == *saga.as_bytes());
            if !is_own && self.tracer.wants(saga) {
                timer.traceparent = Some(whole(saga.as_bytes(), &order_span(saga)).into());
            }
        }
    }

    pub(super) fn accepted(&mut self, orders: &[NewOrderRow]) {
        for row in orders.iter().filter(|row| self.tracer.wants(row.order.snapshot().id.0)) {
            let order = row.order.snapshot();
            let products = order.lines.iter().map(|line| line.product_id.to_string()).collect();
            self.spans.push(Span {
                trace: *order.id.0.as_bytes(),
                id: order_span(order.id.0),
                parent: None,
                name: "accept order".to_owned(),
                kind: SpanKind::Server,
                began_ns: nanos(self.begun_at),
                ended_ns: 0,
                attributes: vec![
                    ("order.id", order.id.to_string().into()),
                    ("customer.id", order.customer_id.to_string().into()),
                    ("product.ids", SpanValue::Texts(products)),
                    ("order.stage", "created".into()),
                ],
                links: Vec::new(),
                error: None,
            });
        }
    }

    pub(super) fn changed(&mut self, sagas: &[OrderProcessingSaga]) {
        self.stages.extend(sagas.iter().map(|saga| (saga.order_id.0, saga.state.as_str())));
    }

    /// Stock was asked for, from then until now.
    pub(super) fn reserved(
        &mut self,
        demands: &[StockDemand],
        outcomes: &[ReservationOutcome],
        began_at: Timestamp,
        ended_at: Timestamp,
    ) {
        for (demand, outcome) in demands.iter().zip(outcomes) {
            let order_id = demand.order_id.0;
            if !self.tracer.wants(order_id) {
                continue;
            }
            let products = demand.lines.iter().map(|(product, _)| product.to_string()).collect();
            let word = match outcome {
                ReservationOutcome::Reserved => "reserved",
                ReservationOutcome::Short(_) => "short",
            };
            let span = Span {
                trace: *order_id.as_bytes(),
                id: order_span(Uuid::from_u128(order_id.as_u128() ^ 1)),
                parent: None,
                name: "inventory check".to_owned(),
                kind: SpanKind::Internal,
                began_ns: nanos(began_at),
                ended_ns: nanos(ended_at),
                attributes: vec![
                    ("order.id", order_id.to_string().into()),
                    ("product.ids", SpanValue::Texts(products)),
                    ("order.stage", "inventory_check".into()),
                    ("outcome", word.into()),
                ],
                links: Vec::new(),
                error: None,
            };
            self.checks.push((order_id, span));
        }
    }

    pub(super) fn settled(&mut self, settlements: &[Settlement]) {
        for settlement in settlements {
            let envelope = &settlement.delivery.envelope;
            if self.tracer.wants(envelope.correlation_id.0) {
                self.handled.push(Handled {
                    envelope: std::sync::Arc::clone(envelope),
                    queue: std::sync::Arc::clone(&settlement.delivery.receipt.queue),
                    put_off: match settlement.disposition {
                        Disposition::Done => None,
                        Disposition::Redeliver { .. } => Some("redelivered"),
                        Disposition::Postpone { .. } => Some("postponed"),
                        Disposition::Park { .. } => Some(PARKED),
                        Disposition::DeadLetter { .. } => Some("dead_lettered"),
                    },
                });
            }
        }
    }

    /// The unit is committed.
    pub(super) fn tell(mut self, ended_at: Timestamp) {
        let ended_ns = nanos(ended_at);
        for mut span in std::mem::take(&mut self.spans) {
            span.ended_ns = ended_ns;
            span.links.extend(self.callers.get(&Uuid::from_bytes(span.trace)));
            self.tracer.ended(span);
        }
        for (order_id, mut span) in std::mem::take(&mut self.checks) {
            let of_order = |handled: &&Handled| handled.envelope.correlation_id.0 == order_id;
            let asks = |handled: &&Handled| *handled.queue == *InventoryReservationConsumer::QUEUE;
            let message = self.handled.iter().filter(of_order).find(asks);
            span.parent = Some(message.map_or_else(|| order_span(order_id), Handled::span_id));
            self.tracer.ended(span);
        }
        let by_message: BTreeSet<MessageId> =
            self.handled.iter().map(|handled| handled.envelope.id).collect();
        for (order_id, cause) in self.sent.iter().filter(|(_, cause)| !by_message.contains(cause)) {
            self.tracer.ended(self.command(*order_id, *cause, ended_ns));
        }
        let handled: Vec<Span> = self.handled.iter().map(|handled| self.message(handled, ended_ns)).collect();
        if let Some(batch) = self.batch(&handled, ended_ns) {
            self.tracer.ended(batch);
        }
        handled.into_iter().for_each(|span| self.tracer.ended(span));
    }

    fn message(&self, handled: &Handled, ended_ns: i64) -> Span {
        let envelope = &handled.envelope;
        let order_id = envelope.correlation_id.0;
        let (trace, parent) = parent_of(envelope);
        let stage = self.stages.get(&order_id).copied().unwrap_or("unchanged");
        Span {
            trace,
            id: handled.span_id(),
            parent: Some(parent),
            name: format!("process {}", handled.queue),
            kind: SpanKind::Consumer,
            began_ns: nanos(self.begun_at),
            ended_ns,
            attributes: vec![
                ("messaging.operation.type", "process".into()),
                ("messaging.operation.name", "process".into()),
                ("messaging.system", "orderwright".into()),
                ("messaging.destination.name", handled.queue.to_string().into()),
                ("messaging.message.id", envelope.id.to_string().into()),
                ("messaging.message.conversation_id", envelope.conversation_id.to_string().into()),
                ("orderwright.message.type", envelope.kind.to_string().into()),
                ("order.id", order_id.to_string().into()),
                ("order.stage", stage.into()),
                ("orderwright.disposition", handled.put_off.unwrap_or("done").into()),
            ],
            links: Vec::new(),
            // What came too early is no error.
            error: handled.put_off.filter(|fate| *fate != PARKED),
        }
    }

    /// What was done to an order without a message: a command of a person, or news of a provider.
    fn command(&self, order_id: Uuid, cause: MessageId, ended_ns: i64) -> Span {
        let stage = self.stages.get(&order_id).copied().unwrap_or("unchanged");
        Span {
            trace: *order_id.as_bytes(),
            id: message_span(cause, None),
            parent: Some(order_span(order_id)),
            name: "command".to_owned(),
            kind: SpanKind::Server,
            began_ns: nanos(self.begun_at),
            ended_ns,
            attributes: vec![("order.id", order_id.to_string().into()), ("order.stage", stage.into())],
            links: Vec::new(),
            error: None,
        }
    }

    /// The batch as a whole, in a trace of its own, linked to every message in it.
    fn batch(&self, handled: &[Span], ended_ns: i64) -> Option<Span> {
        let first = self.handled.first()?;
        let trace = first.envelope.id.child("batch", first.envelope.attempt).0;
        Some(Span {
            trace: *trace.as_bytes(),
            id: order_span(trace),
            parent: None,
            name: format!("process batch {}", first.queue),
            kind: SpanKind::Consumer,
            began_ns: nanos(self.begun_at),
            ended_ns,
            attributes: vec![
                ("messaging.operation.type", "process".into()),
                ("messaging.system", "orderwright".into()),
                ("messaging.destination.name", first.queue.to_string().into()),
                ("messaging.batch.message_count", SpanValue::Integer(handled.len() as i64)),
            ],
            links: handled.iter().map(|span| (span.trace, span.id)).collect(),
            error: None,
        })
    }
}

impl Handled {
    fn span_id(&self) -> SpanId {
        let failed = self.put_off.map(|_| self.envelope.attempt);
        message_span(self.envelope.id, failed)
    }
}

/// A call to a provider on behalf of an order.
pub(super) fn call_span(
    order_id: Uuid,
    provider: &'static str,
    operation: &'static str,
    outcome: &'static str,
    began_at: Timestamp,
    ended_at: Timestamp,
) -> Span {
    // No two calls of one order begin within the same microsecond.
    let id = order_span(Uuid::from_u128(order_id.as_u128() ^ began_at.as_microsecond() as u128));
    Span {
        trace: *order_id.as_bytes(),
        id,
        parent: Some(order_span(order_id)),
        name: format!("{operation} {provider}"),
        kind: SpanKind::Client,
        began_ns: nanos(began_at),
        ended_ns: nanos(ended_at),
        attributes: vec![
            ("order.id", order_id.to_string().into()),
            ("order.stage", provider.into()),
            ("peer.service", provider.into()),
            ("outcome", outcome.into()),
        ],
        links: Vec::new(),
        error: unspoken(outcome),
    }
}

fn nanos(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}
