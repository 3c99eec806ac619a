//! What a person may do about a saga that needs attention; each is recorded with who and why. The payment's own row stays
//! what the gateway said; that it was settled by hand is known to the saga.

use std::fmt;

use async_trait::async_trait;
use bus::{Envelope, Fault, MessageId, Outcome};
use bytes::Bytes;
use domain::OrderId;

use super::Command;
use crate::messages::correlation;
use crate::pipeline::Context;
use crate::ports::{AuditEntry, UnitOfWork};
use crate::saga::{EventKind, Facts, Happening, SagaEvent, SagaState, carry_out};

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SagaOperation {
    /// Try the undoing again.
    Retry,
    /// Take the undoing as settled by hand, and go on with the next.
    Skip,
    /// Close the order, taking every open undoing as settled by hand; stock is given back all the same.
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

/// Do it to this saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperateSagaCommand {
    /// Whose saga.
    pub order_id: OrderId,
    /// What.
    pub operation: SagaOperation,
    /// Who.
    pub actor: String,
    /// Why, in their words.
    pub note: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperateReply {
    /// Done; the saga now stands here.
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
        let now = context.clock.now();
        let id = MessageId(context.ids.next(now));
        let cause = Envelope::first(id, correlation(self.order_id), Self::NAME, Bytes::new(), now);
        let happening = Happening {
            order_id: self.order_id,
            event: SagaEvent::of(self.operation.event()).within(context.settings.limits),
            cause: &cause,
            facts: Facts {
                detail: Some(format!("{} by {}: {}", self.operation, self.actor, self.note)),
                actor: Some(self.actor.clone()),
                ..Facts::default()
            },
        };
        let steps = carry_out(unit, &[happening], now).await?;
        let step = steps.first().expect("one step per happening");
        let Some(saga) = &step.after else { return Ok(OperateReply::NotFound) };
        if let Outcome::Refused(why) = step.outcome {
            return Ok(OperateReply::Refused { state: saga.state, why });
        }
        let entry = AuditEntry {
            at: now,
            actor: self.actor.clone(),
            action: format!("sagas {}", self.operation),
            subject: self.order_id.to_string(),
            note: self.note.clone(),
        };
        unit.audit().record(&[entry]).await?;
        Ok(OperateReply::Done(saga.state))
    }
}
