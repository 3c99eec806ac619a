//! Checks whether a request for an external call is ours: its order is in this database and stands at that step,
//! under this key and for this amount. No provider is called on the word of a message alone.

use std::collections::{BTreeMap, BTreeSet};

use bus::{Fault, Message, SagaRepository, Vetted};
use domain::{Capture, OrderId, OrderStatus, Payment, Shipment};
use uuid::Uuid;

use crate::messages::{
    Amount, OrderShippingRequested, PaymentCaptureRequested, PaymentProcessingRequested,
    PaymentRefundRequested, ShipmentCancellationRequested, ShipmentTrackingRequested, correlation,
};
use crate::ports::AnyUnit;
use crate::saga::{OrderProcessingSaga, PaymentStep, SagaState, ShipmentStep, Undo};

/// The reason for a message about an unknown order, in words that an operator can search for.
pub const UNKNOWN_ORDER: &str = "no such order in this database";

/// A request that a provider carries out.
pub(super) trait Request: Message {
    /// Its order.
    fn order_id(&self) -> Uuid;
    /// Whether its order wants this now.
    fn vetted_by(&self, saga: &OrderProcessingSaga) -> Vetted;
}

/// Looks all orders up at once and returns a verdict per request.
pub(super) async fn vet<M: Request>(unit: &mut AnyUnit, requests: &[&M]) -> Result<Vec<Vetted>, Fault> {
    let ids: Vec<_> = orders_of(requests, |_| true).into_iter().map(correlation).collect();
    let sagas: Vec<OrderProcessingSaga> = SagaRepository::load_sagas(unit, &ids).await?;
    let sagas: BTreeMap<Uuid, OrderProcessingSaga> =
        sagas.into_iter().map(|saga| (saga.order_id.0, saga)).collect();
    let say = |request: &&M| match sagas.get(&request.order_id()) {
        Some(saga) => request.vetted_by(saga),
        None => Vetted::Foreign(UNKNOWN_ORDER.to_owned()),
    };
    Ok(requests.iter().map(say).collect())
}

/// The orders of those requests that are so, each once.
fn orders_of<M: Request>(requests: &[&M], is_so: fn(&M) -> bool) -> Vec<OrderId> {
    let ids = requests.iter().filter(|request| is_so(request)).map(|request| OrderId(request.order_id()));
    ids.collect::<BTreeSet<_>>().into_iter().collect()
}

/// A partial refund is wanted only if a person asked for it here, under this key and for this sum.
pub(super) async fn vet_parts(
    unit: &mut AnyUnit,
    requests: &[&PaymentRefundRequested],
    vetted: &mut [Vetted],
) -> Result<(), Fault> {
    let ids = orders_of(requests, |asked| asked.part.is_some());
    if ids.is_empty() {
        return Ok(());
    }
    let payments = unit.payments().get(&ids).await?;
    let payments: BTreeMap<Uuid, Payment> = payments.into_iter().map(|row| (row.order_id.0, row)).collect();
    for (request, verdict) in requests.iter().zip(vetted) {
        let Some(part) = request.part.as_ref().filter(|_| *verdict == Vetted::Wanted) else { continue };
        let payment = payments.get(&request.order_id);
        if !payment.is_some_and(|payment| payment.notes.is_refund_asked(&part.key, part.minor)) {
            *verdict = foreign(format!(
                "nobody here asked to pay back {} minor units under {}",
                part.minor, part.key
            ));
        }
    }
    Ok(())
}

/// A charge is wanted only with the token that the customer gave with the order.
pub(super) async fn vet_tokens(
    unit: &mut AnyUnit,
    requests: &[&PaymentProcessingRequested],
    vetted: &mut [Vetted],
) -> Result<(), Fault> {
    let ids = orders_of(requests, |asked| asked.payment_token.is_some());
    if ids.is_empty() {
        return Ok(());
    }
    let tokens: BTreeMap<OrderId, String> = unit.orders().payment_tokens(&ids).await?.into_iter().collect();
    for (request, verdict) in requests.iter().zip(vetted) {
        let own = tokens.get(&OrderId(request.order_id));
        if *verdict == Vetted::Wanted
            && request.payment_token.is_some()
            && request.payment_token.as_ref() != own
        {
            *verdict = foreign("the request bears another payment token than the order".to_owned());
        }
    }
    Ok(())
}

impl Request for PaymentProcessingRequested {
    fn order_id(&self) -> Uuid {
        self.order_id
    }

    fn vetted_by(&self, saga: &OrderProcessingSaga) -> Vetted {
        of_charge(
            &self.idempotency_key,
            &self.amount,
            saga,
            match (saga.payment, saga.state) {
                (PaymentStep::None, state) => {
                    foreign(format!("the order is {state} and has not asked for a payment"))
                }
                (_, _) if self.capture != saga.capture => foreign(format!(
                    "the request wants the money captured {}, the order {}",
                    self.capture, saga.capture
                )),
                (_, _) if saga.awaits_payment() => Vetted::Wanted,
                (_, _) => Vetted::Past,
            },
        )
    }
}

impl Request for PaymentCaptureRequested {
    fn order_id(&self) -> Uuid {
        self.order_id
    }

    fn vetted_by(&self, saga: &OrderProcessingSaga) -> Vetted {
        of_charge(
            &self.idempotency_key,
            &self.amount,
            saga,
            match (saga.payment, saga.state) {
                (PaymentStep::None | PaymentStep::Requested, state) => {
                    foreign(format!("the order is {state} and has nothing to capture"))
                }
                (PaymentStep::Capturing, SagaState::Authorised | SagaState::Shipped | SagaState::OnHold) => {
                    Vetted::Wanted
                }
                (_, _) if saga.capture == Capture::AtOnce => {
                    foreign("the order's money is captured at once".to_owned())
                }
                (PaymentStep::Authorised, SagaState::Authorised | SagaState::OnHold) => {
                    foreign(format!("the order is {} and has not asked for the capture", saga.state))
                }
                // Its capture was asked for; since then the money has come, a person has the order, or it is undone.
                (_, _) => Vetted::Past,
            },
        )
    }
}

impl Request for PaymentRefundRequested {
    fn order_id(&self) -> Uuid {
        self.order_id
    }

    fn vetted_by(&self, saga: &OrderProcessingSaga) -> Vetted {
        let key = Payment::request(saga.order_id, saga.total).key;
        under_key(&self.idempotency_key, &key).unwrap_or_else(|| match &self.part {
            Some(_) => paying_back(saga),
            None => undoing(saga, Undo::RefundPayment),
        })
    }
}

impl Request for OrderShippingRequested {
    fn order_id(&self) -> Uuid {
        self.order_id
    }

    fn vetted_by(&self, saga: &OrderProcessingSaga) -> Vetted {
        let key = Shipment::request(saga.order_id).key;
        under_key(&self.idempotency_key, &key).unwrap_or(match (saga.shipment, saga.state) {
            (ShipmentStep::None, state) => {
                foreign(format!("the order is {state} and has not asked for a parcel"))
            }
            (_, _) if self.has_address != saga.has_address => {
                foreign("the request says otherwise than the order whether there is an address".to_owned())
            }
            (_, state) if state.awaits_shipping() => Vetted::Wanted,
            (_, _) => Vetted::Past,
        })
    }
}

impl Request for ShipmentCancellationRequested {
    fn order_id(&self) -> Uuid {
        self.order_id
    }

    fn vetted_by(&self, saga: &OrderProcessingSaga) -> Vetted {
        let key = Shipment::request(saga.order_id).key;
        under_key(&self.idempotency_key, &key).unwrap_or_else(|| undoing(saga, Undo::CancelShipment))
    }
}

impl Request for ShipmentTrackingRequested {
    fn order_id(&self) -> Uuid {
        self.order_id
    }

    fn vetted_by(&self, saga: &OrderProcessingSaga) -> Vetted {
        let key = Shipment::request(saga.order_id).key;
        under_key(&self.idempotency_key, &key).unwrap_or(match (saga.shipment, saga.state) {
            (_, SagaState::Shipped) => Vetted::Wanted,
            (ShipmentStep::None | ShipmentStep::Requested, state) => {
                foreign(format!("the order is {state}, and no parcel of it is on its way"))
            }
            // A parcel was on its way; since then it has arrived, a person has the order, or it was called back.
            (_, _) => Vetted::Past,
        })
    }
}

/// A compensation step is wanted while it is due, also for an order that waits for a person. If the order went
/// forward with its parcel, the step was wanted earlier. If there was never anything to reverse, the step was never
/// requested.
fn undoing(saga: &OrderProcessingSaga, undo: Undo) -> Vetted {
    match saga.state {
        SagaState::Compensating | SagaState::NeedsAttention
            if saga.pending_undo() == Some(undo) && !saga.stands_still() =>
        {
            Vetted::Wanted
        }
        SagaState::Compensating
        | SagaState::NeedsAttention
        | SagaState::Failed
        | SagaState::Shipped
        | SagaState::Completed => Vetted::Past,
        SagaState::Created
        | SagaState::InventoryReserved
        | SagaState::PaymentProcessing
        | SagaState::Authorised
        | SagaState::Paid
        | SagaState::OnHold
        | SagaState::AwaitingStock => foreign(format!("the order is {} and is not being undone", saga.state)),
    }
}

/// A partial refund happens on a person's request: for lines that were cancelled, for goods that came back, or of a delivered
/// order. Of an order that was called off all has gone back; one that is being called off may go on all the same, if its carrier
/// keeps the parcel.
fn paying_back(saga: &OrderProcessingSaga) -> Vetted {
    match saga.order {
        OrderStatus::Cancelled if saga.payment == PaymentStep::Refunded => Vetted::Past,
        OrderStatus::Paid | OrderStatus::Shipped | OrderStatus::Delivered => Vetted::Wanted,
        OrderStatus::Pending
        | OrderStatus::Validated
        | OrderStatus::PaymentProcessing
        | OrderStatus::Authorised
        | OrderStatus::Cancelled => {
            foreign(format!("the order is {} and nothing of it is paid back", saga.order))
        }
    }
}

/// Whether a part of the order's money may go back now.
pub(super) fn is_paying_back(saga: &OrderProcessingSaga) -> bool {
    paying_back(saga) == Vetted::Wanted
}

/// How a request about a charge stands; a charge of another amount or under another key is not the order's. What was asked for
/// before lines were cancelled was more.
fn of_charge(key: &str, amount: &Amount, saga: &OrderProcessingSaga, standing: Vetted) -> Vetted {
    let total: Amount = saga.total.into();
    let was_more =
        standing == Vetted::Past && amount.currency == total.currency && amount.minor > total.minor;
    if *amount != total && !was_more {
        let Amount { minor, currency } = amount;
        return foreign(format!(
            "the request is for {minor} {currency} minor units, the order for {}",
            saga.total
        ));
    }
    under_key(key, &Payment::request(saga.order_id, saga.total).key).unwrap_or(standing)
}

/// The error for a key that is not the order's.
fn under_key(asked: &str, own: &str) -> Option<Vetted> {
    (asked != own).then(|| foreign("the request bears another key than the order's".to_owned()))
}

const fn foreign(reason: String) -> Vetted {
    Vetted::Foreign(reason)
}
