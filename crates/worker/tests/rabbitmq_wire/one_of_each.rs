//! One of each message, request and answer.

use std::sync::Arc;

use application::messages::{
    Amount, Demand, InventoryReservationFailed, InventoryReservationRequested, InventoryReserved,
    MoneyMatter, NotificationDispatchRequested, OrderCancelledEvent, OrderCreatedEvent, OrderDeliveredEvent,
    OrderShippedEvent, OrderShippingRequested, OrderTimeoutEvent, ParcelReported, PaymentAuthorised,
    PaymentCaptureRequested, PaymentFailed, PaymentProcessed, PaymentProcessingRequested,
    PaymentRefundRequested, PaymentReported, ShipmentCancellationRequested, ShipmentTrackingRequested,
    ShippingCompleted, StockArrived,
};
use application::ports::{Notification, NotificationKind, ParcelTrouble};
use application::requests::{
    CancelOrder, CancelWish, GetOrderStatus, OrderCancellationAccepted, OrderCancellationRefused,
    OrderNotFound, OrderStatusAnswer,
};
use bus::{Answer, Asked, Asker, CorrelationId, DeadLetter, Envelope, Message, MessageId, TimerFired};

use super::*;

/// One of each message.
pub(super) fn messages() -> Vec<Envelope> {
    let order_id = ORDER;
    let lines = || vec![Demand { product_id: PRODUCT, quantity: 2 }];
    let amount = || Amount { minor: 4_990, currency: "EUR".into() };
    let payment_token = Some("tok_visa".to_owned());
    let idempotency_key = || format!("charge-{ORDER}");
    let tracking_number = || "TRK-000123".to_owned();
    let customer_id = "ALFKI".to_owned();
    let fired =
        TimerFired { saga: ORDER, name: "stage".into(), generation: 2, due_at_us: SENT_AT.as_microsecond() };
    vec![
        written(&OrderCreatedEvent { order_id, customer_id, total: amount(), lines: lines() }),
        written(&InventoryReservationRequested { order_id, lines: lines() }),
        written(&PaymentProcessingRequested {
            order_id,
            amount: amount(),
            idempotency_key: idempotency_key(),
            payment_token,
            capture: domain::Capture::AtOnce,
        }),
        written(&PaymentAuthorised {
            order_id,
            amount: amount(),
            provider_reference: "ch_42".into(),
            until: Some(SENT_AT),
        }),
        written(&PaymentCaptureRequested { order_id, amount: amount(), idempotency_key: idempotency_key() }),
        written(&PaymentProcessed { order_id, amount: amount(), provider_reference: "ch_42".into() }),
        written(&PaymentFailed { order_id, code: "card_declined".into() }),
        written(&PaymentReported {
            order_id,
            matter: MoneyMatter::Disputed,
            detail: "payment.disputed (evt_1): dispute of ch_42: open".into(),
        }),
        written(&OrderShippingRequested { order_id, idempotency_key: idempotency_key(), has_address: false }),
        written(&ShippingCompleted { order_id, tracking_number: tracking_number() }),
        written(&ParcelReported {
            order_id,
            trouble: ParcelTrouble::Lost,
            detail: "shipment.lost (evt_2): TRK-000123: lost".into(),
        }),
        written(&StockArrived { product_ids: vec![order_id] }),
        written(&ShipmentTrackingRequested { order_id, idempotency_key: idempotency_key() }),
        written(&ShipmentCancellationRequested { order_id, idempotency_key: idempotency_key() }),
        written(&PaymentRefundRequested { order_id, idempotency_key: idempotency_key(), part: None }),
        written(&InventoryReserved { order_id }),
        written(&InventoryReservationFailed { order_id, reason: "2 wanted, 1 available".into() }),
        written(&OrderShippedEvent { order_id, tracking_number: tracking_number(), carrier: "swift".into() }),
        written(&OrderDeliveredEvent { order_id }),
        written(&OrderCancelledEvent { order_id, reason: "card_declined".into() }),
        written(&NotificationDispatchRequested {
            order_id,
            channel: "smtp".into(),
            notification: notification(amount(), tracking_number()),
        }),
        written(&OrderTimeoutEvent(fired)),
    ]
}

fn notification(total: Amount, tracking_number: String) -> Notification {
    Notification {
        id: CAUSE,
        kind: NotificationKind::OrderShipped,
        order_id: ORDER,
        customer_id: "ALFKI".into(),
        email: None,
        total,
        at: SENT_AT,
        carrier: Some("swift".into()),
        tracking_number: Some(tracking_number),
        reason: None,
    }
}

/// One of each request, from a service on MassTransit.
pub(super) fn requests() -> Vec<Envelope> {
    let question = GetOrderStatus { order_id: Some(ORDER), external_reference: None };
    let reason = Some(CancelWish::Customer);
    let wish = CancelOrder { order_id: ORDER, reason, note: Some("ordered twice".into()) };
    vec![
        asked(written(&Asked { request: question, asker: asker() })),
        asked(written(&Asked { request: wish, asker: asker() })),
    ]
}

/// Such a request begins what it is about.
fn asked(envelope: Envelope) -> Envelope {
    Envelope { causation_id: None, conversation_id: envelope.id, ..envelope }
}

fn asker() -> Asker {
    let answer_to = Some("web1_shop_bus_x3oyyy8tu6imixbxdw5x".to_owned());
    Asker { request_id: Some(PRODUCT), answer_to, fault_to: None }
}

/// One of each answer.
pub(super) fn answers() -> Vec<Answer> {
    let [question, wish] = requests().try_into().unwrap();
    let order_id = ORDER;
    let status = OrderStatusAnswer {
        order_id,
        status: "shipped".into(),
        saga_state: "shipped".into(),
        reason: None,
        created_at: SENT_AT,
        updated_at: SENT_AT,
    };
    let refused = OrderCancellationRefused {
        order_id,
        saga_state: "shipped".into(),
        reason: "the parcel is with the carrier".into(),
    };
    vec![
        answer(&question, &status),
        answer(&question, &OrderNotFound { order_id: Some(order_id), external_reference: None }),
        answer(&wish, &OrderCancellationAccepted { order_id, already: false }),
        answer(&wish, &refused),
    ]
}

fn answer(cause: &Envelope, answer: &impl Message) -> Answer {
    let asked = Asked { request: (), asker: asker() };
    Answer::told_by(&asked.answer(cause, answer, SENT_AT).unwrap()).unwrap()
}

fn written(message: &impl Message) -> Envelope {
    let kind = message.kind();
    Envelope {
        id: MessageId(CAUSE).child(kind, 0),
        kind: Arc::from(kind),
        correlation_id: CorrelationId(ORDER),
        causation_id: Some(MessageId(CAUSE)),
        conversation_id: MessageId(CONVERSATION),
        traceparent: Some(Arc::from(TRACE)),
        sent_at: SENT_AT,
        attempt: 0,
        body: message.encode(),
    }
}

pub(super) fn dead_letter() -> DeadLetter {
    let failed = messages().into_iter().find(|envelope| &*envelope.kind == "PaymentFailed");
    let envelope = Envelope { attempt: 6, ..failed.unwrap() };
    let reason = "message.decode failed: missing field `code` at line 1 column 58".to_owned();
    DeadLetter {
        position: 7,
        queue: "payment-processed".into(),
        envelope,
        reason,
        died_at: RECEIVED_AT,
        archived: None,
    }
}
