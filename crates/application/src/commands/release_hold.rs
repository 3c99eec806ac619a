//! Releases a hold. The saga hears of it when no other is left before the same step.

use async_trait::async_trait;
use bus::Fault;
use domain::{Hold, HoldId, HoldPoint, HoldRelease, OrderId};

use super::Command;
use super::hold_order::{audit, named, saga};
use super::tell_saga::tell_saga;
use crate::context::Context;
use crate::ports::{HistoryEntry, UnitOfWork};
use crate::saga::{EventKind, Facts, SagaEvent, SagaState};

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
impl Command for ReleaseHoldCommand {
    type Reply = ReleaseHoldReply;

    const NAME: &'static str = "ReleaseHoldCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<ReleaseHoldReply, Fault> {
        if saga(unit, self.order_id).await?.is_none() {
            return Ok(ReleaseHoldReply::NotFound);
        }
        let holds = unit.holds().get(&[self.order_id]).await?;
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
    unit.holds().release(std::slice::from_ref(hold), release).await?;
    let HoldRelease { actor, note, at } = release;
    let told = format!("{}, by {actor}", named(hold));
    let told = if note.is_empty() { told } else { format!("{told}: {note}") };
    match left_beside(all, hold) {
        0 => release_last(unit, context, hold, told).await,
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

/// The saga asks for the payment with the token that came with the order.
async fn release_last(
    unit: &mut dyn UnitOfWork,
    context: &Context,
    hold: &Hold,
    told: String,
) -> Result<SagaState, Fault> {
    let tokens = match hold.before {
        HoldPoint::Payment => unit.orders().payment_tokens(&[hold.order_id]).await?,
        HoldPoint::Shipping => Vec::new(),
    };
    let event = SagaEvent::of(EventKind::HoldReleased).before(hold.before);
    let payment_token = tokens.into_iter().next().map(|(_, token)| token);
    let facts = Facts { payment_token, detail: Some(told), ..Facts::default() };
    let step = tell_saga(unit, context, hold.order_id, ReleaseHoldCommand::NAME, (event, facts)).await?;
    Ok(step.after.map_or(SagaState::OnHold, |saga| saga.state))
}

/// Open holds before the same step, but for this one.
fn left_beside(all: &[Hold], hold: &Hold) -> usize {
    let is_beside = |other: &&Hold| other.before == hold.before && other.id != hold.id;
    all.iter().filter(is_beside).filter(|other| other.released.is_none()).count()
}
