//! Validates new orders against the catalogue and starts their reservation.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bus::{Consumer, Fault, Work};
use domain::{AMOUNT_MINOR_MAX, Currency, LINES_MAX, Order, OrderId, Product, ProductId, QUANTITY_MAX, Sku};

use super::early::is_of_nobody;
use crate::context::Context;
use crate::messages::{Amount, Demand, OrderCreatedEvent};
use crate::ports::{AnyUnit, UnitOfWork};
use crate::saga::{EventKind, Facts, Happening, SagaEvent, carry_out};

/// Consumes [`OrderCreatedEvent`].
pub struct OrderCreatedConsumer {
    context: Arc<Context>,
}

impl OrderCreatedConsumer {
    /// A consumer in this context.
    #[must_use]
    pub const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    fn judge(&self, message: &OrderCreatedEvent, catalogue: &Catalogue) -> (SagaEvent, Option<String>) {
        let limits = self.context.settings.limits;
        let objections = catalogue.objections(message);
        if objections.is_empty() {
            (SagaEvent::of(EventKind::OrderValidated).within(limits), None)
        } else {
            (SagaEvent::of(EventKind::OrderRejected).within(limits), Some(objections.join("; ")))
        }
    }
}

/// Units of one product that a whole order may request.
const DEMAND_MAX: i64 = LINES_MAX as i64 * QUANTITY_MAX as i64;

/// The products and orders that a batch is checked against.
struct Catalogue {
    products: BTreeMap<ProductId, Product>,
    /// The name of a product that is not in the catalogue, as far as the order tells.
    strangers: BTreeMap<ProductId, Sku>,
}

impl Catalogue {
    async fn of(unit: &mut dyn UnitOfWork, messages: &[&OrderCreatedEvent]) -> Result<Self, Fault> {
        let lines = messages.iter().flat_map(|message| &message.lines);
        let mut wanted: Vec<ProductId> = lines.map(|line| ProductId(line.product_id)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let products = unit.products().get_by_ids(&wanted).await?;
        let products: BTreeMap<_, _> = products.into_iter().map(|product| (product.id, product)).collect();
        let mut strangers = BTreeMap::new();
        if products.len() < wanted.len() {
            let orders: Vec<OrderId> = messages.iter().map(|message| OrderId(message.order_id)).collect();
            let orders = unit.orders().get_orders_with_items(&orders).await?;
            let lines = orders.iter().flat_map(Order::lines);
            strangers.extend(lines.map(|line| (line.product_id, line.sku.clone())));
        }
        Ok(Self { products, strangers })
    }

    /// All reasons of the catalogue against an order.
    fn objections(&self, message: &OrderCreatedEvent) -> Vec<String> {
        let total = message.total.minor;
        let too_dear = (!(0..=AMOUNT_MINOR_MAX).contains(&total)).then(|| {
            format!(
                "an order comes to at least nothing and at most {AMOUNT_MINOR_MAX} minor units, not {total}"
            )
        });
        let lines = message.lines.iter().filter_map(|line| self.objection(line, &message.total));
        too_dear.into_iter().chain(lines).collect()
    }

    fn objection(&self, line: &Demand, total: &Amount) -> Option<String> {
        let id = ProductId(line.product_id);
        let Some(product) = self.products.get(&id) else {
            let name = self.strangers.get(&id).map_or("a product of the order", Sku::as_str);
            return Some(format!("{name} is not in the catalogue"));
        };
        if !(1..=DEMAND_MAX).contains(&line.quantity) {
            let (sku, units) = (&product.sku, line.quantity);
            return Some(format!(
                "{sku}: an order is for 1 to {DEMAND_MAX} units of a product, not for {units}"
            ));
        }
        match Currency::parse(&total.currency) {
            Ok(currency) => product.accepts(currency).err().map(|rejection| rejection.to_string()),
            Err(unknown) => Some(unknown.to_string()),
        }
    }
}

#[async_trait]
impl Consumer<AnyUnit> for OrderCreatedConsumer {
    const QUEUE: &'static str = "order-created";
    type Message = OrderCreatedEvent;

    async fn handle(&self, unit: &mut AnyUnit, batch: &mut [Work<OrderCreatedEvent>]) -> Result<(), Fault> {
        let messages: Vec<&OrderCreatedEvent> = batch.iter().map(|work| &work.message).collect();
        let catalogue = Catalogue::of(unit, &messages).await?;
        let happenings: Vec<Happening<'_>> = batch
            .iter()
            .map(|work| {
                let (event, detail) = self.judge(&work.message, &catalogue);
                let facts = Facts { demand: work.message.lines.clone(), detail, ..Facts::default() };
                Happening { order_id: OrderId(work.message.order_id), event, cause: work.envelope(), facts }
            })
            .collect();
        let steps = carry_out(unit, &happenings, self.context.clock.now()).await?;
        drop(happenings);
        for (work, step) in batch.iter_mut().zip(&steps) {
            is_of_nobody(work, step);
        }
        Ok(())
    }
}
