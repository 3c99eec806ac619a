//! Answers what other services ask about orders: where one stands, and that it be cancelled. An answer leaves with the commit of what
//! it tells of. A repeat is answered again; a cancellation that was carried out is not carried out a second time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use bus::{Asked, Consumer, CorrelationId, Envelope, Fault, Message, SagaRepository, Timestamp, Work};
use domain::{CancelReason, Order, OrderId};

use crate::commands::{CancelOrderCommand, CancelReply};
use crate::context::Context;
use crate::messages::correlation;
use crate::ports::{AnyUnit, ReferencedOrder};
use crate::requests::{
    CancelOrder, CancelWish, GetOrderStatus, OrderCancellationAccepted, OrderCancellationRefused,
    OrderNotFound, OrderRequest, OrderStatusAnswer,
};
use crate::saga::OrderProcessingSaga;

/// Who cancelled, in the order's history and in the audit log.
const ACTOR: &str = "a CancelOrder message";

/// Why a question is set aside: its sender gets that as a fault.
const UNCLEAR: &str = "name the order by one of orderId and externalReference";

/// The same, where the reference does not tell the orders apart.
const AMBIGUOUS: &str = "several orders have this externalReference, from different sources; ask by orderId";

/// Consumes [`OrderRequest`].
pub struct OrderRequestsConsumer {
    context: Arc<Context>,
}

/// Where the orders of a batch stand.
struct Standings {
    sagas: BTreeMap<OrderId, OrderProcessingSaga>,
    orders: BTreeMap<OrderId, Order>,
    referenced: Vec<ReferencedOrder>,
}

/// The order that a question is about.
enum Meant {
    This(OrderId),
    None,
    Unclear(&'static str),
}

impl OrderRequestsConsumer {
    /// A consumer in this context.
    #[must_use]
    pub const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Cancels one order after the other: a second wish for the same order sees what became of the first.
    async fn cancel(
        &self,
        unit: &mut AnyUnit,
        asked: &Asked<CancelOrder>,
        cause: &Envelope,
        now: Timestamp,
    ) -> Result<Option<Envelope>, Fault> {
        let CancelOrder { order_id, reason, note } = &asked.request;
        let order_id = *order_id;
        let command = CancelOrderCommand {
            order_id: OrderId(order_id),
            reason: match reason.unwrap_or_default() {
                CancelWish::Customer => CancelReason::Customer,
                CancelWish::Operator => CancelReason::Operator,
            },
            actor: ACTOR.to_owned(),
            note: note.clone().unwrap_or_default(),
        };
        let accepted = |already| asked.answer(cause, &OrderCancellationAccepted { order_id, already }, now);
        Ok(match command.carry_out(unit, &self.context).await? {
            CancelReply::Accepted => accepted(false),
            CancelReply::Already => accepted(true),
            CancelReply::Refused { state, why } => {
                let (saga_state, reason) = (state.to_string(), why.to_owned());
                asked.answer(cause, &OrderCancellationRefused { order_id, saga_state, reason }, now)
            }
            CancelReply::NotFound => {
                let none = OrderNotFound { order_id: Some(order_id), external_reference: None };
                asked.answer(cause, &none, now)
            }
        })
    }
}

impl Standings {
    /// Reads by sets. The sagas are locked for the moment, in the order of their ids, as everything does that works on orders; so the
    /// wishes of the batch come after this.
    async fn of(unit: &mut AnyUnit, batch: &[Work<OrderRequest>]) -> Result<Self, Fault> {
        let (mut asked, mut wished, mut references) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for work in batch {
            match &work.message {
                OrderRequest::Cancel(wish) => drop(wished.insert(OrderId(wish.request.order_id))),
                OrderRequest::Status(question) if question.asker.answer_to.is_some() => {
                    asked.extend(question.request.order_id.map(OrderId));
                    references.extend(question.request.external_reference.clone());
                }
                OrderRequest::Status(_) => {}
            }
        }
        let references: Vec<String> = references.into_iter().collect();
        let referenced = match references.is_empty() {
            true => Vec::new(),
            false => unit.orders().find_by_external_reference(&references).await?,
        };
        asked.extend(referenced.iter().map(|found| found.order_id));
        let ids: Vec<CorrelationId> = asked.union(&wished).copied().map(correlation).collect();
        let sagas: Vec<OrderProcessingSaga> = SagaRepository::load_sagas(unit, &ids).await?;
        Ok(Self {
            sagas: sagas.into_iter().map(|saga| (saga.order_id, saga)).collect(),
            orders: Self::orders(unit, asked).await?,
            referenced,
        })
    }

    async fn orders(unit: &mut AnyUnit, asked: BTreeSet<OrderId>) -> Result<BTreeMap<OrderId, Order>, Fault> {
        if asked.is_empty() {
            return Ok(BTreeMap::new());
        }
        let ids: Vec<OrderId> = asked.into_iter().collect();
        let orders = unit.orders().get_orders_with_items(&ids).await?;
        Ok(orders.into_iter().map(|order| (order.id(), order)).collect())
    }

    fn meant(&self, question: &GetOrderStatus) -> Meant {
        match (question.order_id, &question.external_reference) {
            (Some(id), None) => Meant::This(OrderId(id)),
            (None, Some(reference)) => {
                let mut found = self.referenced.iter().filter(|order| order.reference == *reference);
                match (found.next(), found.next()) {
                    (Some(order), None) => Meant::This(order.order_id),
                    (Some(_), Some(_)) => Meant::Unclear(AMBIGUOUS),
                    (None, _) => Meant::None,
                }
            }
            (Some(_), Some(_)) | (None, None) => Meant::Unclear(UNCLEAR),
        }
    }

    fn status(&self, id: OrderId) -> Option<OrderStatusAnswer> {
        let (saga, order) = (self.sagas.get(&id)?, self.orders.get(&id)?.snapshot());
        let cancelled = order.cancellation.as_ref().map(|cancellation| cancellation.reason);
        Some(OrderStatusAnswer {
            order_id: id.0,
            status: order.status.as_str().to_owned(),
            saga_state: saga.state.to_string(),
            reason: cancelled.or(saga.reason).map(|reason| reason.as_str().to_owned()),
            created_at: order.created_at,
            updated_at: order.updated_at,
        })
    }

    /// The answer to a question, or why it has none.
    fn answer(
        &self,
        asked: &Asked<GetOrderStatus>,
        cause: &Envelope,
        now: Timestamp,
    ) -> Result<Option<Envelope>, &'static str> {
        let question = &asked.request;
        let status = match self.meant(question) {
            Meant::This(id) => self.status(id),
            Meant::None => None,
            Meant::Unclear(why) => return Err(why),
        };
        Ok(match status {
            Some(status) => {
                let about = correlation(OrderId(status.order_id));
                asked.answer(cause, &status, now).map(|answer| answer.about(about))
            }
            None => {
                let GetOrderStatus { order_id, external_reference } = question.clone();
                asked.answer(cause, &OrderNotFound { order_id, external_reference }, now)
            }
        })
    }
}

#[async_trait]
impl Consumer<AnyUnit> for OrderRequestsConsumer {
    const QUEUE: &'static str = "order-requests";
    type Message = OrderRequest;

    async fn handle(&self, unit: &mut AnyUnit, batch: &mut [Work<OrderRequest>]) -> Result<(), Fault> {
        let now = self.context.clock.now();
        let standings = Standings::of(unit, batch).await?;
        let mut answers = Vec::new();
        for work in batch.iter_mut() {
            let cause = work.envelope();
            let answer = match &work.message {
                OrderRequest::Cancel(wish) => Ok(self.cancel(unit, wish, cause, now).await?),
                OrderRequest::Status(question) if question.asker.answer_to.is_none() => {
                    let message_id = cause.id;
                    tracing::warn!(%message_id, kind = question.kind(), "a question without an address for its answer is dropped");
                    Ok(None)
                }
                OrderRequest::Status(question) => standings.answer(question, cause, now),
            };
            match answer {
                Ok(answer) => answers.extend(answer),
                Err(why) => work.dead_letter(why),
            }
        }
        if !answers.is_empty() {
            unit.publish(answers).await?;
        }
        Ok(())
    }
}
