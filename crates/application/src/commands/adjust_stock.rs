//! Receives goods, corrects stock and books counts, each with a reason that stays in the ledger.

use async_trait::async_trait;
use bus::Fault;
use domain::{Availability, Inventory, MovementCause, ProductId, Rejection, Sku, StockMovement};

use super::Command;
use crate::context::Context;
use crate::ports::{AuditEntry, UnitOfWork};
use crate::stock_arrival::tell_who_waits;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StockChange {
    /// Units received; at least one.
    Receive(i64),
    /// Units found or missing; not zero, and no more missing than available.
    Adjust(i64),
    /// All units on the shelf, reserved ones included.
    Count(i64),
}

/// Change the stock of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdjustStockCommand {
    /// Of which product.
    pub sku: Sku,
    /// By how much.
    pub change: StockChange,
    /// The reason.
    pub reason: String,
    /// Who.
    pub actor: String,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StockReply {
    /// Booked.
    Done {
        /// The stock afterwards.
        inventory: Inventory,
        /// Whether the product is still sold.
        availability: Availability,
    },
    /// Rejected: below zero, or out of bounds.
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
        let movement = match self.decide(inventory) {
            Ok(movement) => movement,
            Err(rejection) => return Ok(StockReply::Rejected(rejection)),
        };
        if let Some(movement) = movement {
            if let Err(rejection) = inventory.apply(&movement, now) {
                return Ok(StockReply::Rejected(rejection));
            }
            let grows = movement.quantity > 0;
            unit.products().update_inventory(&stock, &[movement], now).await?;
            if grows {
                tell_who_waits(unit, context, &[product.id]).await?;
            }
        }
        unit.audit().record(&[self.audit_entry(now)]).await?;
        let inventory = stock.remove(0);
        Ok(StockReply::Done { inventory, availability: product.availability })
    }
}

impl AdjustStockCommand {
    /// The movement for it; none if a count matches the books.
    fn decide(&self, inventory: &Inventory) -> Result<Option<StockMovement>, Rejection> {
        match self.change {
            StockChange::Receive(units) => {
                let cause = MovementCause::Adjustment { reason: self.reason.clone() };
                inventory.receive(units, cause).map(Some)
            }
            StockChange::Adjust(units) => inventory.adjust(units, &self.reason).map(Some),
            StockChange::Count(counted) => inventory.count(counted, &self.reason),
        }
    }

    fn audit_entry(&self, at: jiff::Timestamp) -> AuditEntry {
        let action = match self.change {
            StockChange::Receive(units) => format!("stock receive {units}"),
            StockChange::Adjust(units) => format!("stock adjust {units}"),
            StockChange::Count(counted) => format!("stock count {counted}"),
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
