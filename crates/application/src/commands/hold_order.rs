//! Puts an order on hold before its payment or its parcel. Several holds may keep it from one step.

use async_trait::async_trait;
use bus::{Fault, Outcome, SagaRepository};
use domain::{Hold, HoldId, HoldPoint, OrderId};
use jiff::Timestamp;

use super::Command;
use super::tell_saga::tell_saga;
use crate::context::Context;
use crate::messages::correlation;
use crate::ports::{AuditEntry, UnitOfWork};
use crate::saga::{EventKind, Facts, OrderProcessingSaga, SagaEvent};

/// Most holds that an order may have had.
pub const HOLDS_MAX: usize = 20;

/// Have this order wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldOrderCommand {
    /// The order.
    pub order_id: OrderId,
    /// Before which step.
    pub before: HoldPoint,
    /// Why.
    pub reason: String,
    /// Who asks for it.
    pub actor: String,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldOrderReply {
    /// It waits, or will once it comes there.
    Placed(Hold),
    /// Not possible: why, and what would be.
    Refused(String),
    /// No such order.
    NotFound,
}

#[async_trait]
impl Command for HoldOrderCommand {
    type Reply = HoldOrderReply;

    const NAME: &'static str = "HoldOrderCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<HoldOrderReply, Fault> {
        // The saga's lock covers its holds.
        if saga(unit, self.order_id).await?.is_none() {
            return Ok(HoldOrderReply::NotFound);
        }
        if unit.holds().get(&[self.order_id]).await?.len() >= HOLDS_MAX {
            let why = format!("the order has had {HOLDS_MAX} holds, which is the most");
            return Ok(HoldOrderReply::Refused(why));
        }
        let now = context.clock.now();
        let hold = Hold {
            id: HoldId(context.ids.next(now)),
            order_id: self.order_id,
            before: self.before,
            reason: self.reason.clone(),
            actor: Some(self.actor.clone()),
            placed_at: now,
            released: None,
        };
        let event = SagaEvent::of(EventKind::HoldPlaced).before(self.before);
        let facts = Facts { detail: Some(placed(&hold)), ..Facts::default() };
        let step = tell_saga(unit, context, self.order_id, Self::NAME, (event, facts)).await?;
        if let Outcome::Refused(why) = step.outcome {
            return Ok(HoldOrderReply::Refused(why.to_owned()));
        }
        unit.holds().place(std::slice::from_ref(&hold)).await?;
        let action = format!("orders hold: before {}", self.before);
        audit(unit, &hold, now, (&self.actor, action, &self.reason)).await?;
        Ok(HoldOrderReply::Placed(hold))
    }
}

/// A hold as the timeline tells of it when it is placed.
pub(super) fn placed(hold: &Hold) -> String {
    format!("{}, by {}", named(hold), hold.actor.as_deref().unwrap_or("a rule"))
}

/// A hold as the timeline names it.
pub(super) fn named(hold: &Hold) -> String {
    format!("before {}: {} ({})", hold.before, hold.reason, hold.id)
}

pub(super) async fn audit(
    unit: &mut dyn UnitOfWork,
    hold: &Hold,
    at: Timestamp,
    (actor, action, note): (&str, String, &str),
) -> Result<(), Fault> {
    let subject = hold.order_id.to_string();
    let entry = AuditEntry { at, actor: actor.to_owned(), action, subject, note: note.to_owned() };
    unit.audit().record(&[entry]).await
}

/// The saga of this order, locked.
pub(super) async fn saga(
    unit: &mut dyn UnitOfWork,
    id: OrderId,
) -> Result<Option<OrderProcessingSaga>, Fault> {
    let sagas: Vec<OrderProcessingSaga> = SagaRepository::load_sagas(unit, &[correlation(id)]).await?;
    Ok(sagas.into_iter().next())
}
