//! Accepts orders: many callers share one transaction, and each gets its own answer.

mod bearers;
mod difference;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use bus::{Chain, Coalesce, Fault, Message, MessageId, Store, Timer, Verdict, new_timer};
use domain::{
    AMOUNT_MINOR_MAX, CustomerId, Hold, HoldId, HoldPoint, Money, MoneyLine, NewOrder, NewOrderLine, Order,
    OrderEvent, OrderId, Product, Quantity, Rejection, Sku, WhenShort,
};
use jiff::{SignedDuration, Timestamp};

use super::hold_order::placed;
use crate::context::Context;
use crate::hold_rules::OrderFacts;
use crate::messages::{Demand, OrderCreatedEvent, correlation};
use crate::order_details::OrderDetails;
use crate::pipeline::chain;
use crate::ports::{AnyUnit, Caller, HistoryEntry, IdempotencyRecord, NewOrderRow, UnitOfWork};
use crate::saga::{EventKind, OrderProcessingSaga, SagaState, timers};
use bearers::Bearers;

/// Orders accepted in one transaction.
const ACCEPT_BATCH_MAX: usize = 256;

/// How often a flush is repeated after a conflict.
const CONFLICTS_MAX: u32 = 8;

/// A line of the new order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateOrderLine {
    /// The product.
    pub sku: Sku,
    /// Units.
    pub quantity: Quantity,
    /// The agreed price; the catalogue's if none.
    pub unit_price: Option<Money>,
}

/// Accept this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateOrderCommand {
    /// Its id, if it is new.
    pub order_id: OrderId,
    /// The caller.
    pub caller: Caller,
    /// The client's key, if any: one key of one caller never creates two orders.
    pub key: Option<OrderKey>,
    /// The customer.
    pub customer_id: CustomerId,
    /// The requested lines.
    pub lines: Vec<CreateOrderLine>,
    /// When the customer ordered; now if not given.
    pub ordered_at: Option<Timestamp>,
    /// Its reference in another system; unique within one source.
    pub external_reference: Option<String>,
    /// How the customer pays, in the gateway's terms.
    pub payment_token: Option<String>,
    /// What it comes to in all, if the caller says so; refused if it does not add up to that.
    pub total: Option<Money>,
    /// What it costs beside the goods; the same as in the details.
    pub money_lines: Vec<MoneyLine>,
    /// What it says beside who wants what.
    pub details: Option<Arc<OrderDetails>>,
    /// The holds that the caller wants it to have from the beginning.
    pub holds: Vec<HoldWish>,
    /// What becomes of it if its goods are short; as is configured, if it does not say it.
    pub when_short: Option<WhenShort>,
    /// Trace context of the request.
    pub traceparent: Option<Arc<str>>,
}

/// A hold that a new order is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldWish {
    /// The step that it keeps the order from.
    pub before: HoldPoint,
    /// Why.
    pub reason: String,
}

impl From<Hold> for HoldWish {
    fn from(hold: Hold) -> Self {
        Self { before: hold.before, reason: hold.reason }
    }
}

/// A client's key for an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderKey {
    /// The key.
    pub key: String,
    /// Digest of the request; detects another request under the same key.
    pub digest: [u8; 32],
}

/// A violation in a request, with its JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer into the request.
    pub pointer: String,
    /// Stable code.
    pub code: &'static str,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// The unchanging part of an accepted order: the answer to its creation, now and on every repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderAccepted {
    /// The order.
    pub order_id: OrderId,
    /// What it costs in all.
    pub total: Money,
    /// When it was accepted.
    pub created_at: Timestamp,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateOrderReply {
    /// Accepted, and durable.
    Created(OrderAccepted),
    /// Accepted before, under the same key or reference.
    Replayed(OrderAccepted),
    /// The key belongs to another request of this caller.
    KeyReused {
        /// How this request differs from the order of that key, as far as the order shows it.
        differences: Vec<Violation>,
    },
    /// The reference belongs to an order of the same source with another content.
    ReferenceReused {
        /// That order.
        order_id: OrderId,
        /// How this request differs from it.
        differences: Vec<Violation>,
    },
    /// Not accepted, with every reason.
    Rejected(Vec<Violation>),
}

/// Handles [`CreateOrderCommand`]s, coalesced.
pub struct CreateOrderHandler {
    store: Arc<dyn Store<dyn UnitOfWork>>,
    context: Arc<Context>,
    chain: Arc<Chain<AnyUnit>>,
}

impl CreateOrderHandler {
    /// A handler over this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store<dyn UnitOfWork>>, context: Arc<Context>) -> Self {
        let chain = chain(&context);
        Self { store, context, chain }
    }

    /// Handles all in one transaction, again after each conflict.
    async fn decided_anew(
        &self,
        mut unit: Option<Box<dyn UnitOfWork>>,
        requests: &[CreateOrderCommand],
    ) -> Result<Vec<CreateOrderReply>, Fault> {
        let mut conflicts = 0;
        loop {
            match self.attempt(unit.take(), requests).await {
                Err(fault) if fault.verdict == Verdict::Conflict && conflicts < CONFLICTS_MAX => {
                    conflicts += 1;
                }
                answered => return answered,
            }
        }
    }

    /// One request that the store cannot take must not stop the others.
    async fn one_by_one(&self, requests: &[CreateOrderCommand]) -> Result<Vec<CreateOrderReply>, Fault> {
        let mut replies = Vec::with_capacity(requests.len());
        for request in requests {
            replies.push(match self.decided_anew(None, std::slice::from_ref(request)).await {
                Ok(mut reply) => reply.pop().expect("one reply per request"),
                Err(fault) if fault.verdict == Verdict::GiveUp => {
                    CreateOrderReply::Rejected(vec![unstorable(&fault)])
                }
                // The requests before it are accepted.
                Err(fault) => return Err(fault.in_doubt()),
            });
        }
        Ok(replies)
    }

    async fn attempt(
        &self,
        unit: Option<Box<dyn UnitOfWork>>,
        requests: &[CreateOrderCommand],
    ) -> Result<Vec<CreateOrderReply>, Fault> {
        let mut unit = match unit {
            Some(unit) => unit,
            None => self.store.begin().await?,
        };
        let replies = self.handle(unit.as_mut(), requests).await?;
        self.chain.follow(unit.as_mut()).await?;
        unit.commit().await.map_err(Fault::at_commit)?;
        Ok(replies)
    }

    /// Decides about all requests and stores the new orders, in one unit of work.
    async fn handle(
        &self,
        unit: &mut dyn UnitOfWork,
        requests: &[CreateOrderCommand],
    ) -> Result<Vec<CreateOrderReply>, Fault> {
        let mut known = Known::load(unit, requests, &self.context).await?;
        let mut fresh = Fresh::new(self.context.clock.now(), &self.context);
        let decide = |request: &CreateOrderCommand| known.decide(request, &mut fresh);
        let replies = requests.iter().map(decide).collect();
        fresh.store(unit).await?;
        Ok(replies)
    }
}

#[async_trait]
impl Coalesce for CreateOrderHandler {
    type Request = CreateOrderCommand;
    type Reply = CreateOrderReply;
    type Unit = Box<dyn UnitOfWork>;

    fn batch_max(&self) -> usize {
        ACCEPT_BATCH_MAX
    }

    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, Fault> {
        self.store.begin().await
    }

    async fn flush(
        &self,
        unit: Box<dyn UnitOfWork>,
        requests: &[CreateOrderCommand],
    ) -> Result<Vec<CreateOrderReply>, Fault> {
        match self.decided_anew(Some(unit), requests).await {
            Err(fault) if fault.verdict == Verdict::GiveUp && requests.len() > 1 => {
                self.one_by_one(requests).await
            }
            answered => answered,
        }
    }
}

/// What the store knows about a batch of requests.
struct Known {
    bearers: Bearers,
    catalogue: HashMap<Sku, Product>,
    /// Customers to whom something was delivered; none are looked up unless a rule asks.
    delivered_to: HashSet<CustomerId>,
}

impl Known {
    async fn load(
        unit: &mut dyn UnitOfWork,
        requests: &[CreateOrderCommand],
        context: &Context,
    ) -> Result<Self, Fault> {
        let bearers = Bearers::load(unit, requests).await?;
        let mut skus: Vec<Sku> =
            requests.iter().flat_map(|request| &request.lines).map(|line| line.sku.clone()).collect();
        skus.sort_unstable();
        skus.dedup();
        let products = unit.products().get_by_skus(&skus).await?;
        let catalogue = products.into_iter().map(|product| (product.sku.clone(), product)).collect();
        let delivered_to = match context.hold_rules.new_customer {
            Some(_) => delivered_to(unit, requests).await?,
            None => HashSet::new(),
        };
        Ok(Self { bearers, catalogue, delivered_to })
    }

    fn decide(&mut self, request: &CreateOrderCommand, fresh: &mut Fresh<'_>) -> CreateOrderReply {
        if let Some(reply) = self.bearers.answer(request) {
            return reply;
        }
        let order = match self.place(request, fresh.now) {
            Ok(placed) => placed,
            Err(violations) => return CreateOrderReply::Rejected(violations),
        };
        let record = self.bearers.add(request, &order, fresh.now);
        let accepted = accepted(&order);
        let is_new_customer = !self.delivered_to.contains(&request.customer_id);
        fresh.add(request, order, record, is_new_customer);
        CreateOrderReply::Created(accepted)
    }

    fn place(&self, request: &CreateOrderCommand, now: Timestamp) -> Result<Order, Vec<Violation>> {
        let mut violations = Vec::new();
        let mut lines = Vec::with_capacity(request.lines.len());
        for (index, line) in request.lines.iter().enumerate() {
            match self.priced(line) {
                Ok(line) => lines.push(line),
                Err((member, code, message)) => {
                    violations.push(Violation { pointer: format!("/lines/{index}/{member}"), code, message });
                }
            }
        }
        if !violations.is_empty() {
            return Err(violations);
        }
        let new = NewOrder {
            id: request.order_id,
            customer_id: request.customer_id.clone(),
            lines,
            ordered_at: request.ordered_at.unwrap_or(now),
            external_reference: request.external_reference.clone(),
            money_lines: request.money_lines.clone(),
        };
        let order = Order::place(new, now)
            .map_err(|rejections| rejections.iter().map(violation).collect::<Vec<_>>())?;
        match request.total {
            Some(total) if total != order.total() => Err(vec![another_total(total, &order)]),
            Some(_) | None => Ok(order),
        }
    }

    fn priced(&self, line: &CreateOrderLine) -> Result<NewOrderLine, (&'static str, &'static str, String)> {
        let Some(product) = self.catalogue.get(&line.sku) else {
            return Err(("sku", "unknown_sku", format!("no product has the sku '{}'", line.sku)));
        };
        let unit_price = line.unit_price.unwrap_or(product.price);
        if let Err(rejection) = product.accepts(unit_price.currency) {
            let of_the_price = matches!(rejection, Rejection::WrongCurrency { .. });
            let member = if of_the_price { "unit_price/currency" } else { "sku" };
            return Err((member, rejection.code(), rejection.to_string()));
        }
        if unit_price.minor > AMOUNT_MINOR_MAX {
            let rejection = Rejection::PriceTooHigh { sku: line.sku.clone(), minor: unit_price.minor };
            return Err(("unit_price/minor", rejection.code(), rejection.to_string()));
        }
        Ok(NewOrderLine {
            product_id: product.id,
            sku: line.sku.clone(),
            quantity: line.quantity,
            unit_price,
        })
    }
}

async fn delivered_to(
    unit: &mut dyn UnitOfWork,
    requests: &[CreateOrderCommand],
) -> Result<HashSet<CustomerId>, Fault> {
    let mut customers: Vec<CustomerId> = requests.iter().map(|request| request.customer_id.clone()).collect();
    customers.sort_unstable();
    customers.dedup();
    Ok(unit.orders().delivered_to(&customers).await?.into_iter().collect())
}

fn unstorable(fault: &Fault) -> Violation {
    Violation { pointer: String::new(), code: "cannot_be_stored", message: fault.to_string() }
}

fn violation(rejection: &Rejection) -> Violation {
    let is_of_money_lines = matches!(
        rejection,
        Rejection::TooManyMoneyLines { .. }
            | Rejection::MoneyLineOutOfRange { .. }
            | Rejection::MoneyLineCurrency { .. }
            | Rejection::NegativeTotal { .. }
    );
    let pointer = if is_of_money_lines { "/money_lines" } else { "/lines" };
    Violation { pointer: pointer.to_owned(), code: rejection.code(), message: rejection.to_string() }
}

/// The caller reckons otherwise: by how much, and what we make of it.
fn another_total(said: Money, order: &Order) -> Violation {
    let (total, added) = (order.total(), order.snapshot().added_minor);
    let goods = Money { minor: total.minor - added, ..total };
    let message = if said.currency == total.currency {
        let difference = Money { minor: said.minor - total.minor, ..total };
        format!(
            "the total is said to be {said}; the lines come to {goods} and the money lines add {}, which is {total}: the \
             difference is {difference}",
            Money { minor: added, ..total }
        )
    } else {
        format!("the total is said to be {said}, and the lines are in {}", total.currency)
    };
    Violation { pointer: "/total".to_owned(), code: "total_differs", message }
}

fn accepted(order: &Order) -> OrderAccepted {
    OrderAccepted { order_id: order.id(), total: order.total(), created_at: order.snapshot().created_at }
}

/// The rows of new orders in a batch.
struct Fresh<'a> {
    now: Timestamp,
    context: &'a Context,
    orders: Vec<NewOrderRow>,
    sagas: Vec<OrderProcessingSaga>,
    timers: Vec<Timer>,
    history: Vec<HistoryEntry>,
    records: Vec<IdempotencyRecord>,
    messages: Vec<bus::Envelope>,
    holds: Vec<Hold>,
}

impl<'a> Fresh<'a> {
    const fn new(now: Timestamp, context: &'a Context) -> Self {
        Self {
            now,
            context,
            orders: Vec::new(),
            sagas: Vec::new(),
            timers: Vec::new(),
            history: Vec::new(),
            records: Vec::new(),
            messages: Vec::new(),
            holds: Vec::new(),
        }
    }

    fn add(
        &mut self,
        request: &CreateOrderCommand,
        order: Order,
        record: Option<IdempotencyRecord>,
        is_new_customer: bool,
    ) {
        let limit = self.context.settings.limits.order;
        let expires_at =
            SignedDuration::try_from(limit).ok().and_then(|limit| self.now.checked_add(limit).ok());
        let expires_at = expires_at.unwrap_or(Timestamp::MAX);
        let mut saga = OrderProcessingSaga::start(order.id(), order.total(), self.now, expires_at);
        saga.has_address = request.details.as_ref().is_some_and(|it| it.shipping_address.is_some());
        saga.capture = self.context.settings.capture;
        saga.when_short = request.when_short.unwrap_or(self.context.settings.when_short);
        let facts = OrderFacts { total: order.total(), is_new_customer, has_address: saga.has_address };
        let holds = self.holds_of(request, order.id(), facts);
        saga.holds = holds.iter().map(|hold| hold.before).collect();
        let message = created_event(request, &order);
        let mut envelope = message.first(
            MessageId(order.id().0).child(message.kind(), 0),
            correlation(order.id()),
            self.now,
        );
        envelope.traceparent.clone_from(&request.traceparent);
        self.timers.push(new_timer(&mut saga, timers::ORDER, limit, &envelope, self.now));
        self.history.push(HistoryEntry {
            order_id: order.id(),
            at: self.now,
            event: OrderEvent::OrderCreated.as_str(),
            status: Some(order.status()),
            saga_state: Some(SagaState::Created),
            detail: None,
            is_refused: false,
        });
        self.history.extend(holds.iter().map(|hold| {
            let event = EventKind::HoldPlaced.as_str();
            HistoryEntry::without_step(hold.order_id, self.now, event, placed(hold))
        }));
        self.holds.extend(holds);
        let source = request.external_reference.is_some().then(|| Arc::clone(request.caller.source()));
        let details = request.details.as_ref().map(|details| details.to_stored());
        let payment_token = request.payment_token.clone();
        self.orders.push(NewOrderRow { order, payment_token, source, details });
        self.sagas.push(saga);
        self.records.extend(record);
        self.messages.push(envelope);
    }

    /// Those that the caller wants, and those that rules ask for.
    fn holds_of(&self, request: &CreateOrderCommand, order_id: OrderId, facts: OrderFacts) -> Vec<Hold> {
        let wanted = request
            .holds
            .iter()
            .map(|wish| (wish.before, wish.reason.clone(), Some(request.caller.name().to_owned())));
        let rules = self.context.hold_rules.holds(facts);
        let ruled = rules.map(|(before, reason)| (before, reason.to_owned(), None));
        let hold = |(before, reason, actor)| {
            let id = HoldId(self.context.ids.next(self.now));
            Hold { id, order_id, before, reason, actor, placed_at: self.now, released: None }
        };
        wanted.chain(ruled).map(hold).collect()
    }

    async fn store(self, unit: &mut dyn UnitOfWork) -> Result<(), Fault> {
        if self.orders.is_empty() {
            return Ok(());
        }
        unit.orders().create(&self.orders).await?;
        unit.insert_sagas(&self.sagas, self.now).await?;
        unit.set_timers(self.timers).await?;
        unit.history().append(&self.history).await?;
        unit.holds().place(&self.holds).await?;
        unit.idempotency().insert(&self.records).await?;
        unit.publish(self.messages).await
    }
}

fn created_event(request: &CreateOrderCommand, order: &Order) -> OrderCreatedEvent {
    OrderCreatedEvent {
        order_id: order.id().0,
        customer_id: request.customer_id.to_string(),
        total: order.total().into(),
        lines: order
            .merged_demand()
            .into_iter()
            .map(|(id, quantity)| Demand { product_id: id.0, quantity })
            .collect(),
    }
}
