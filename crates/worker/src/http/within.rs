//! The service from within, as an import asks it: the same commands and the same read side that the routes have.

use anyhow::{Context, Result, bail};
use application::commands::{CancelOrderCommand, CancelReply, CreateOrderReply, Violation};
use application::ports::{Caller, OrderFilter};
use application::validators::{OrderDraft, validate_order};
use async_trait::async_trait;
use bytes::Bytes;
use domain::{Availability, CancelReason, OrderId, Sku};
use uuid::Uuid;

use super::Api;
use super::limits::PAGE_MAX;
use crate::import::{
    Cancelled, KnownLine, KnownOrder, KnownPrice, KnownProduct, OrderAnswer, ProductBody, Refusal, Service,
};

/// The service, in the name of a caller.
pub(super) struct Within<'a> {
    pub(super) api: &'a Api,
    pub(super) caller: &'a Caller,
}

#[async_trait]
impl Service for Within<'_> {
    async fn catalogue(&self, show: &mut (dyn FnMut(KnownProduct) + Send)) -> Result<()> {
        let mut after: Option<Sku> = None;
        loop {
            let page = self.api.readers.products(after.as_ref(), PAGE_MAX).await?;
            after = page.items.last().and_then(|product| Sku::parse(&product.sku).ok());
            for product in page.items {
                let discontinued = product.availability == Availability::Discontinued.as_str();
                show(KnownProduct { sku: product.sku, currency: product.price.currency, discontinued });
            }
            if !page.has_more {
                return Ok(());
            }
        }
    }

    /// Whoever may bring orders in may not change the catalogue.
    async fn make_products(&self, _import: &str, products: &[ProductBody<'_>]) -> Result<u64> {
        if products.is_empty() { Ok(0) } else { bail!("an import of orders makes no products") }
    }

    async fn find_order(&self, reference: &str) -> Result<Option<Uuid>> {
        let filter = OrderFilter { external_reference: Some(reference.to_owned()), ..OrderFilter::default() };
        let page = self.api.readers.orders(&filter, 1).await?;
        Ok(page.items.first().map(|order| order.order_id))
    }

    async fn order(&self, order_id: Uuid) -> Result<KnownOrder> {
        let order = self.api.readers.order(OrderId(order_id)).await?;
        let order = order.with_context(|| format!("order {order_id} is no longer there"))?;
        let lines = order.lines.into_iter().map(|line| KnownLine {
            sku: line.sku,
            quantity: line.quantity,
            unit_price: KnownPrice { minor: line.unit_price.minor, currency: line.unit_price.currency },
        });
        Ok(KnownOrder {
            customer_id: order.customer_id,
            status: order.status,
            lines: lines.collect(),
            money_lines: order.details.map(|details| details.money_lines).unwrap_or_default(),
        })
    }

    /// The order's reference is its key.
    async fn create_order(&self, _key: &str, body: Bytes) -> Result<OrderAnswer> {
        let draft: OrderDraft = serde_json::from_slice(&body)?;
        let context = self.api.commands.context();
        let id = OrderId(context.ids.next(context.clock.now()));
        let command = match validate_order(&draft, id, self.caller) {
            Ok(command) => command,
            Err(violations) => return Ok(refused("validation_failed", &violations)),
        };
        let reply = self.api.create.submit(command).await;
        Ok(match reply.context("not every order was tried; import them again")? {
            CreateOrderReply::Created(accepted) => OrderAnswer::New(accepted.order_id.0),
            CreateOrderReply::Replayed(accepted) => OrderAnswer::Replayed(accepted.order_id.0),
            CreateOrderReply::ReferenceReused { differences, .. }
            | CreateOrderReply::KeyReused { differences } => {
                refused("external_reference_reused", &differences)
            }
            CreateOrderReply::Rejected(violations) => refused("validation_failed", &violations),
        })
    }

    async fn cancel_order(&self, order_id: Uuid, actor: &str, note: &str) -> Result<Cancelled> {
        let command = CancelOrderCommand {
            order_id: OrderId(order_id),
            reason: CancelReason::Customer,
            actor: actor.to_owned(),
            note: note.to_owned(),
        };
        Ok(match self.api.commands.run(&command).await? {
            CancelReply::Accepted => Cancelled::Accepted,
            CancelReply::Already => Cancelled::Already,
            CancelReply::Refused { state, why } => Cancelled::Refused(Refusal {
                code: "cancellation_refused".to_owned(),
                detail: format!("the order's saga is {state}: {why}"),
            }),
            CancelReply::NotFound => bail!("order {order_id} is no longer there"),
        })
    }
}

fn refused(code: &str, violations: &[Violation]) -> OrderAnswer {
    let told: Vec<String> =
        violations.iter().map(|wrong| format!("{}: {}", wrong.code, wrong.message)).collect();
    OrderAnswer::Refused(Refusal { code: code.to_owned(), detail: told.join("; ") })
}
