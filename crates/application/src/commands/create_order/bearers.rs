//! Looks up used keys and references. The key comes first: a repeated request gets its answer again, whatever
//! happened to the catalogue. Then the reference, which is one order's for good.

use std::collections::HashMap;
use std::sync::Arc;

use bus::Fault;
use domain::{Order, OrderId};
use jiff::Timestamp;

use super::difference::{differences, unheld};
use super::{CreateOrderCommand, CreateOrderReply, HoldWish, OrderAccepted, OrderKey, accepted};
use crate::ports::{Caller, IdempotencyRecord, ReferencedOrder, UnitOfWork};

/// The used keys and references of a batch of requests, and their orders.
pub(super) struct Bearers {
    keys: HashMap<String, Vec<IdempotencyRecord>>,
    references: HashMap<String, Vec<ReferencedOrder>>,
    orders: HashMap<OrderId, Order>,
    /// Holds of those orders; not looked up unless a request has some.
    holds: HashMap<OrderId, Vec<HoldWish>>,
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
        let mut bearers = Self {
            keys: HashMap::new(),
            references: HashMap::new(),
            orders: HashMap::new(),
            holds: HashMap::new(),
        };
        records.into_iter().for_each(|record| bearers.add_record(record));
        referenced.into_iter().for_each(|order| bearers.add_reference(order));
        let orders = match bearers.to_compare(requests).as_slice() {
            [] => Vec::new(),
            some => unit.orders().get_orders_with_items(some).await?,
        };
        bearers.orders.extend(orders.into_iter().map(|order| (order.id(), order)));
        if requests.iter().any(|request| !request.holds.is_empty()) {
            let ids: Vec<OrderId> = bearers.orders.keys().copied().collect();
            for hold in unit.holds().get(&ids).await? {
                bearers.holds.entry(hold.order_id).or_default().push(hold.into());
            }
        }
        Ok(bearers)
    }

    /// The orders whose content is compared: all with a reference, and those whose key comes with another request.
    fn to_compare(&self, requests: &[CreateOrderCommand]) -> Vec<OrderId> {
        let referenced = self.references.values().flatten().map(|order| order.order_id);
        let known = requests.iter().filter_map(|request| self.record(request));
        let other = known.filter(|(key, record)| record.request_digest != key.digest);
        let mut ids: Vec<OrderId> = referenced.chain(other.map(|(_, record)| record.order_id)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The answer to a request whose key or reference is used already.
    pub(super) fn answer(&self, request: &CreateOrderCommand) -> Option<CreateOrderReply> {
        if let Some((key, record)) = self.record(request) {
            return Some(self.to_key(request, key, record));
        }
        let order = self.order(request)?;
        let mut differences = differences(request, order);
        let holds = self.holds.get(&order.id()).map_or(&[][..], Vec::as_slice);
        differences.extend(unheld(request, holds));
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
        if record.request_digest == key.digest {
            return CreateOrderReply::Replayed(answered(record));
        }
        let order = self.orders.get(&record.order_id);
        let differences = order.map(|order| differences(request, order)).unwrap_or_default();
        // A record from before callers were stored has a digest of the request's bytes, which says nothing about its
        // meaning.
        if *record.caller == *Caller::ANYBODY && order.is_some() && differences.is_empty() {
            return CreateOrderReply::Replayed(answered(record));
        }
        CreateOrderReply::KeyReused { differences }
    }

    fn record<'a>(&self, request: &'a CreateOrderCommand) -> Option<(&'a OrderKey, &IdempotencyRecord)> {
        let key = request.key.as_ref()?;
        let records = self.keys.get(&key.key)?;
        let of = |caller: &str| records.iter().find(|record| *record.caller == *caller);
        Some((key, of(request.caller.id()).or_else(|| of(Caller::ANYBODY))?))
    }

    fn order(&self, request: &CreateOrderCommand) -> Option<&Order> {
        let known = self.references.get(request.external_reference.as_ref()?)?;
        // Only imports give such references. Before that, their source was the name of the API key that sent them.
        if request.caller.is_import() {
            return self.orders.get(&known.iter().map(|order| order.order_id).min()?);
        }
        let own = known.iter().find(|order| order.source.as_ref() == Some(request.caller.source()));
        let bearer = own.or_else(|| known.iter().find(|order| order.source.is_none()))?;
        self.orders.get(&bearer.order_id)
    }

    /// Adds a new order, and returns the record to store for its key.
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
            self.holds.insert(order.id(), request.holds.clone());
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
