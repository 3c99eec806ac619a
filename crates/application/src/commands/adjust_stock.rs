//! Receives goods and corrects counts, each with a reason that stays in the ledger.

use async_trait::async_trait;
use bus::Fault;
use domain::{Inventory, MovementCause, ProductId, Rejection, Sku};

use super::Command;
use crate::pipeline::Context;
use crate::ports::{AuditEntry, UnitOfWork};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StockChange {
    /// So many units came in; at least one.
    Receive(i64),
    /// So many more, or fewer, were counted; not zero.
    Adjust(i64),
}

/// Change the stock of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdjustStockCommand {
    /// Of which product.
    pub sku: Sku,
    /// By how much.
    pub change: StockChange,
    /// Why, in words.
    pub reason: String,
    /// Who.
    pub actor: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StockReply {
    /// The stock afterwards.
    Done(Inventory),
    /// It would go below zero, or beyond all bounds.
    Rejected(Rejection),
    /// No such product.
    UnknownSku,
}

#[async_trait]
impl Command for AdjustStockCommand {
    type Reply = StockReply;

    const NAME: &'static str = "AdjustStockCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<StockReply, Fault> {
        let now = context.clock.now();
        let product = unit.products().get_by_id(ProductId::of(&self.sku)).await?;
        let Some(product) = product else { return Ok(StockReply::UnknownSku) };
        let mut stock = unit.inventory().lock(&[product.id]).await?;
        let Some(inventory) = stock.first_mut() else { return Ok(StockReply::UnknownSku) };
        let decided = match self.change {
            StockChange::Receive(units) => {
                inventory.receive(units, MovementCause::Adjustment { reason: self.reason.clone() })
            }
            StockChange::Adjust(units) => inventory.adjust(units, &self.reason),
        };
        let movement = match decided.and_then(|movement| inventory.apply(&movement, now).map(|()| movement)) {
            Ok(movement) => movement,
            Err(rejection) => return Ok(StockReply::Rejected(rejection)),
        };
        let changed = inventory.clone();
        unit.products().update_inventory(&stock, &[movement], now).await?;
        unit.audit().record(&[self.audit_entry(now)]).await?;
        Ok(StockReply::Done(changed))
    }
}

impl AdjustStockCommand {
    fn audit_entry(&self, at: jiff::Timestamp) -> AuditEntry {
        let action = match self.change {
            StockChange::Receive(units) => format!("stock receive {units}"),
            StockChange::Adjust(units) => format!("stock adjust {units}"),
        };
        AuditEntry {
            at,
            actor: self.actor.clone(),
            action,
            subject: self.sku.to_string(),
            note: self.reason.clone(),
        }
    }
}
