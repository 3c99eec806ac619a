//! An operator's decision about a saga that needs attention, recorded with name and reason. The payment's row stays
//! what the gateway said; the saga knows what was settled by hand.

use std::fmt;

use async_trait::async_trait;
use bus::{Fault, Outcome};
use domain::OrderId;

use super::Command;
use super::tell_saga::tell_saga;
use crate::context::Context;
use crate::ports::{AuditEntry, UnitOfWork};
use crate::saga::{EventKind, Facts, SagaEvent, SagaState};

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SagaOperation {
    /// Retry the compensation step.
    Retry,
    /// Count the step as settled by hand, and go on with the next.
    Skip,
    /// Close the order and count every open step as settled by hand; stock is released all the same.
    Force,
}

impl SagaOperation {
    const fn event(self) -> EventKind {
        match self {
            Self::Retry => EventKind::OperatorRetry,
            Self::Skip => EventKind::OperatorSkip,
            Self::Force => EventKind::OperatorForce,
        }
    }
}

impl fmt::Display for SagaOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Retry => "retry",
            Self::Skip => "skip",
            Self::Force => "force",
        })
    }
}

/// Apply it to this saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperateSagaCommand {
    /// The order.
    pub order_id: OrderId,
    /// What.
    pub operation: SagaOperation,
    /// Who.
    pub actor: String,
    /// The reason.
    pub note: String,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperateReply {
    /// Done; the saga's new state.
    Done(SagaState),
    /// Not possible in this state.
    Refused {
        /// Where the saga stands.
        state: SagaState,
        /// Why not.
        why: &'static str,
    },
    /// No such saga.
    NotFound,
}

#[async_trait]
impl Command for OperateSagaCommand {
    type Reply = OperateReply;

    const NAME: &'static str = "OperateSagaCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<OperateReply, Fault> {
        let facts = Facts {
            detail: Some(format!("{} by {}: {}", self.operation, self.actor, self.note)),
            actor: Some(self.actor.clone()),
            ..Facts::default()
        };
        let told = (SagaEvent::of(self.operation.event()), facts);
        let step = tell_saga(unit, context, self.order_id, Self::NAME, told).await?;
        let Some(saga) = &step.after else { return Ok(OperateReply::NotFound) };
        if let Outcome::Refused(why) = step.outcome {
            return Ok(OperateReply::Refused { state: saga.state, why });
        }
        let entry = AuditEntry {
            at: context.clock.now(),
            actor: self.actor.clone(),
            action: format!("sagas {}", self.operation),
            subject: self.order_id.to_string(),
            note: self.note.clone(),
        };
        unit.audit().record(&[entry]).await?;
        Ok(OperateReply::Done(saga.state))
    }
}
