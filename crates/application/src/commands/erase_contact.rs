//! Erases what an order says of who somebody is: contact, addresses but for their countries, note and metadata. What the books
//! are made of stays.

use async_trait::async_trait;
use bus::{Fault, SagaRepository};
use domain::{OrderId, OrderStatus};

use super::Command;
use super::details::details;
use crate::context::Context;
use crate::messages::correlation;
use crate::order_details::OrderDetails;
use crate::ports::{AuditEntry, HistoryEntry, UnitOfWork};
use crate::saga::OrderProcessingSaga;

/// The timeline's name for it.
const ERASED: &str = "ContactErased";

/// Erase what this order says of who somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EraseContactCommand {
    /// The order.
    pub order_id: OrderId,
    /// Who asks for it.
    pub actor: String,
    /// Their note.
    pub note: String,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EraseContactReply {
    /// It is erased.
    Erased,
    /// There was nothing to erase.
    Nothing,
    /// The carrier may still have to be told: why, in words.
    AddressNeeded(String),
    /// No such order.
    NotFound,
}

/// Why what an order says cannot be erased yet, if it cannot: its carrier may still have to be told, and a call that is made
/// again says what it said before.
#[must_use]
pub fn needed_by_carrier(details: &OrderDetails, status: OrderStatus) -> Option<String> {
    let erased = details.erased();
    let told = details.shipping_address.is_some();
    let differs = details.shipping_address != erased.shipping_address || details.contact != erased.contact;
    (told && differs && status < OrderStatus::Shipped).then(|| {
        format!(
            "the order is {status}, and its carrier has to be told where the goods go; cancel it, or wait until it is shipped"
        )
    })
}

#[async_trait]
impl Command for EraseContactCommand {
    type Reply = EraseContactReply;

    const NAME: &'static str = "EraseContactCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<EraseContactReply, Fault> {
        let ids = [self.order_id];
        // The saga's lock covers what its order says too.
        let _: Vec<OrderProcessingSaga> =
            SagaRepository::load_sagas(unit, &[correlation(self.order_id)]).await?;
        let Some(order) = unit.orders().get_orders_with_items(&ids).await?.pop() else {
            return Ok(EraseContactReply::NotFound);
        };
        let details = details(unit, self.order_id).await?;
        let erased = details.erased();
        if erased == details {
            return Ok(EraseContactReply::Nothing);
        }
        if let Some(why) = needed_by_carrier(&details, order.status()) {
            return Ok(EraseContactReply::AddressNeeded(why));
        }
        unit.orders().put_details(self.order_id, &erased.to_stored()).await?;
        let at = context.clock.now();
        let entry = HistoryEntry::without_step(self.order_id, at, ERASED, format!("by {}", self.actor));
        unit.history().append(&[entry]).await?;
        let entry = AuditEntry {
            at,
            actor: self.actor.clone(),
            action: "orders erase-contact".to_owned(),
            subject: self.order_id.to_string(),
            note: self.note.clone(),
        };
        unit.audit().record(&[entry]).await?;
        Ok(EraseContactReply::Erased)
    }
}
