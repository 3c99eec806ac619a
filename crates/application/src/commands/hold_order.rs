//! Puts an order on hold before its payment or its parcel, and releases it. Several holds may keep an order from one step; the saga
//! hears when there is a first and when none is left.

use async_trait::async_trait;
use bus::{Envelope, Fault, MessageId, Outcome, SagaRepository};
use bytes::Bytes;
use domain::{Hold, HoldId, HoldPoint, HoldRelease, OrderId};
use jiff::Timestamp;

use super::Command;
use crate::context::Context;
use crate::messages::correlation;
use crate::ports::{AuditEntry, HistoryEntry, UnitOfWork};
use crate::saga::{EventKind, Facts, Happening, OrderProcessingSaga, SagaEvent, SagaState, carry_out};

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

/// Release this hold. The order goes on if it was the last before its next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseHoldCommand {
    /// The order.
    pub order_id: OrderId,
    /// Its hold.
    pub hold_id: HoldId,
    /// Who releases it.
    pub actor: String,
    /// Why.
    pub note: String,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReleaseHoldReply {
    /// It is released.
    Released {
        /// Where the saga stands now.
        state: SagaState,
        /// How many holds are left before the same step.
        left: usize,
    },
    /// It was released before, by them.
    Before(HoldRelease),
    /// The order has no such hold.
    NoSuchHold,
    /// No such order.
    NotFound,
}

#[async_trait]
impl Command for HoldOrderCommand {
    type Reply = HoldOrderReply;

    const NAME: &'static str = "HoldOrderCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<HoldOrderReply, Fault> {
        if saga(unit, self.order_id).await?.is_none() {
            return Ok(HoldOrderReply::NotFound);
        }
        if unit.holds().of_order(self.order_id).await?.len() >= HOLDS_MAX {
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
        let told = placed(&hold);
        if let Outcome::Refused(why) = tell_saga(unit, context, &hold, EventKind::HoldPlaced, told).await?.1 {
            return Ok(HoldOrderReply::Refused(why.to_owned()));
        }
        unit.holds().place(std::slice::from_ref(&hold)).await?;
        let action = format!("orders hold: before {}", self.before);
        audit(unit, &hold, now, (&self.actor, action, &self.reason)).await?;
        Ok(HoldOrderReply::Placed(hold))
    }
}

#[async_trait]
impl Command for ReleaseHoldCommand {
    type Reply = ReleaseHoldReply;

    const NAME: &'static str = "ReleaseHoldCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<ReleaseHoldReply, Fault> {
        if saga(unit, self.order_id).await?.is_none() {
            return Ok(ReleaseHoldReply::NotFound);
        }
        let holds = unit.holds().of_order(self.order_id).await?;
        let Some(hold) = holds.iter().find(|hold| hold.id == self.hold_id) else {
            return Ok(ReleaseHoldReply::NoSuchHold);
        };
        if let Some(release) = &hold.released {
            return Ok(ReleaseHoldReply::Before(release.clone()));
        }
        let at = context.clock.now();
        let release = HoldRelease { actor: self.actor.clone(), note: self.note.clone(), at };
        let state = release_one(unit, context, &holds, hold, &release).await?;
        let left = left_beside(&holds, hold);
        let action = format!("orders release: before {}", hold.before);
        audit(unit, hold, at, (&self.actor, action, &self.note)).await?;
        Ok(ReleaseHoldReply::Released { state, left })
    }
}

/// Releases a hold of this order that is open, among all its holds. Returns where the saga stands afterwards.
pub(super) async fn release_one(
    unit: &mut dyn UnitOfWork,
    context: &Context,
    all: &[Hold],
    hold: &Hold,
    release: &HoldRelease,
) -> Result<SagaState, Fault> {
    unit.holds().release(hold.order_id, &[hold.id], release).await?;
    let HoldRelease { actor, note, at } = release;
    let told = format!("{}, by {actor}", named(hold));
    let told = if note.is_empty() { told } else { format!("{told}: {note}") };
    match left_beside(all, hold) {
        0 => Ok(tell_saga(unit, context, hold, EventKind::HoldReleased, told).await?.0),
        left => {
            let event = EventKind::HoldReleased.as_str();
            let told = format!("{told}; holds left before {}: {left}", hold.before);
            let entry = HistoryEntry::without_step(hold.order_id, *at, event, told);
            unit.history().append(&[entry]).await?;
            let Some(saga) = saga(unit, hold.order_id).await? else { return Ok(SagaState::OnHold) };
            let state = saga.state;
            // The saga decides nothing here, but whoever acts on what they saw of the order must notice this.
            unit.update_sagas(&[saga], *at).await?;
            Ok(state)
        }
    }
}

/// A hold as the timeline tells of it when it is placed.
pub(super) fn placed(hold: &Hold) -> String {
    format!("{}, by {}", named(hold), hold.actor.as_deref().unwrap_or("a rule"))
}

fn named(hold: &Hold) -> String {
    format!("before {}: {} ({})", hold.before, hold.reason, hold.id)
}

/// Open holds before the same step, but for this one.
fn left_beside(all: &[Hold], hold: &Hold) -> usize {
    let is_beside = |other: &&Hold| other.before == hold.before && other.id != hold.id;
    all.iter().filter(is_beside).filter(|other| other.released.is_none()).count()
}

async fn saga(unit: &mut dyn UnitOfWork, id: OrderId) -> Result<Option<OrderProcessingSaga>, Fault> {
    let sagas: Vec<OrderProcessingSaga> = SagaRepository::load_sagas(unit, &[correlation(id)]).await?;
    Ok(sagas.into_iter().next())
}

/// Lets the saga react, which asks for the payment with the token that came with the order.
async fn tell_saga(
    unit: &mut dyn UnitOfWork,
    context: &Context,
    hold: &Hold,
    kind: EventKind,
    told: String,
) -> Result<(SagaState, Outcome), Fault> {
    let now = context.clock.now();
    let id = MessageId(context.ids.next(now));
    let cause = Envelope::first(id, correlation(hold.order_id), kind.as_str(), Bytes::new(), now);
    let may_pay = kind == EventKind::HoldReleased && hold.before == HoldPoint::Payment;
    let tokens = if may_pay { unit.orders().payment_tokens(&[hold.order_id]).await? } else { Vec::new() };
    let happening = Happening {
        order_id: hold.order_id,
        event: SagaEvent::of(kind).before(hold.before).within(context.settings.limits),
        cause: &cause,
        facts: Facts {
            payment_token: tokens.into_iter().next().map(|(_, token)| token),
            detail: Some(told),
            ..Facts::default()
        },
    };
    let mut steps = carry_out(unit, &[happening], now).await?;
    let step = steps.pop().expect("one step per happening");
    Ok((step.after.map_or(SagaState::OnHold, |saga| saga.state), step.outcome))
}

async fn audit(
    unit: &mut dyn UnitOfWork,
    hold: &Hold,
    at: Timestamp,
    (actor, action, note): (&str, String, &str),
) -> Result<(), Fault> {
    let subject = hold.order_id.to_string();
    let entry = AuditEntry { at, actor: actor.to_owned(), action, subject, note: note.to_owned() };
    unit.audit().record(&[entry]).await
}
