//! Whom a key or a reference belongs to already. A key is looked for first: who repeats a request gets its answer again, whatever
//! has become of the catalogue; then the reference, which is one order's for good.

use std::collections::HashMap;
use std::sync::Arc;

use bus::Fault;
use domain::{Order, OrderId};
use jiff::Timestamp;

use super::difference::differences;
use super::{CreateOrderCommand, CreateOrderReply, OrderAccepted, OrderKey, accepted};
use crate::ports::{Caller, IdempotencyRecord, ReferencedOrder, UnitOfWork};

/// The keys and references of a batch of requests that are taken, and by what.
pub(super) struct Bearers {
    keys: HashMap<String, Vec<IdempotencyRecord>>,
    references: HashMap<String, Vec<ReferencedOrder>>,
    orders: HashMap<OrderId, Order>,
}

impl Bearers {
    pub(super) async fn load(
        unit: &mut dyn UnitOfWork,
        requests: &[CreateOrderCommand],
    ) -> Result<Self, Fault> {
        let keys: Vec<String> =
            requests.iter().filter_map(|request| request.key.as_ref()).map(|key| key.key.clone()).collect();
        let records = unit.idempotency().find(&keys).await?;
        let references: Vec<String> =
            requests.iter().filter_map(|request| request.external_reference.clone()).collect();
        let referenced = match references.as_slice() {
            [] => Vec::new(),
            some => unit.orders().find_by_external_reference(some).await?,
        };
        let of_anybody = records.iter().filter(|record| *record.caller == *Caller::ANYBODY);
        let mut ids: Vec<OrderId> = of_anybody.map(|record| record.order_id).collect();
        ids.extend(referenced.iter().map(|order| order.order_id));
        let orders = match ids.as_slice() {
            [] => Vec::new(),
            some => unit.orders().get_orders_with_items(some).await?,
        };
        let mut bearers = Self {
            keys: HashMap::new(),
            references: HashMap::new(),
            orders: orders.into_iter().map(|order| (order.id(), order)).collect(),
        };
        records.into_iter().for_each(|record| bearers.add_record(record));
        referenced.into_iter().for_each(|order| bearers.add_reference(order));
        Ok(bearers)
    }

    /// What is answered to a request whose key or reference is taken.
    pub(super) fn answer(&self, request: &CreateOrderCommand) -> Option<CreateOrderReply> {
        if let Some((key, record)) = self.record(request) {
            return Some(self.to_key(request, key, record));
        }
        let order = self.order(request)?;
        let differences = differences(request, order);
        Some(if differences.is_empty() {
            CreateOrderReply::Replayed(accepted(order))
        } else {
            CreateOrderReply::ReferenceReused { order_id: order.id(), differences }
        })
    }

    fn to_key(
        &self,
        request: &CreateOrderCommand,
        key: &OrderKey,
        record: &IdempotencyRecord,
    ) -> CreateOrderReply {
        let is_same = record.request_digest == key.digest || self.was_meant(request, record);
        if is_same { CreateOrderReply::Replayed(answered(record)) } else { CreateOrderReply::KeyReused }
    }

    /// A record from before callers were kept has a digest of the request's bytes, which tells nothing of its meaning.
    fn was_meant(&self, request: &CreateOrderCommand, record: &IdempotencyRecord) -> bool {
        *record.caller == *Caller::ANYBODY
            && self.orders.get(&record.order_id).is_some_and(|order| differences(request, order).is_empty())
    }

    fn record<'a>(&self, request: &'a CreateOrderCommand) -> Option<(&'a OrderKey, &IdempotencyRecord)> {
        let key = request.key.as_ref()?;
        let records = self.keys.get(&key.key)?;
        let of = |caller: &str| records.iter().find(|record| *record.caller == *caller);
        Some((key, of(request.caller.id()).or_else(|| of(Caller::ANYBODY))?))
    }

    fn order(&self, request: &CreateOrderCommand) -> Option<&Order> {
        let known = self.references.get(request.external_reference.as_ref()?)?;
        let own = known.iter().find(|order| order.source.as_ref() == Some(request.caller.source()));
        let bearer = own.or_else(|| known.iter().find(|order| order.source.is_none()))?;
        self.orders.get(&bearer.order_id)
    }

    /// Remembers an order that is new, and gives what is to be kept of its key.
    pub(super) fn add(
        &mut self,
        request: &CreateOrderCommand,
        order: &Order,
        now: Timestamp,
    ) -> Option<IdempotencyRecord> {
        if let Some(reference) = &request.external_reference {
            self.add_reference(ReferencedOrder {
                reference: reference.clone(),
                source: Some(Arc::clone(request.caller.source())),
                order_id: order.id(),
            });
            self.orders.insert(order.id(), order.clone());
        }
        let key = request.key.as_ref()?;
        let record = IdempotencyRecord {
            key: key.key.clone(),
            caller: request.caller.id().into(),
            request_digest: key.digest,
            order_id: order.id(),
            total: order.total(),
            created_at: now,
        };
        self.add_record(record.clone());
        Some(record)
    }

    fn add_record(&mut self, record: IdempotencyRecord) {
        self.keys.entry(record.key.clone()).or_default().push(record);
    }

    fn add_reference(&mut self, order: ReferencedOrder) {
        self.references.entry(order.reference.clone()).or_default().push(order);
    }
}

const fn answered(record: &IdempotencyRecord) -> OrderAccepted {
    OrderAccepted { order_id: record.order_id, total: record.total, created_at: record.created_at }
}
