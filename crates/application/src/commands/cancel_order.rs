//! Cancels an order, if that is still possible.

use async_trait::async_trait;
use bus::{Envelope, Fault, MessageId, Outcome};
use bytes::Bytes;
use domain::{CancelReason, OrderId};

use super::Command;
use crate::context::Context;
use crate::messages::correlation;
use crate::ports::UnitOfWork;
use crate::saga::{EventKind, Facts, Happening, SagaEvent, SagaState, carry_out};

/// Cancel this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelOrderCommand {
    /// Which.
    pub order_id: OrderId,
    /// The reason: the customer's or an operator's decision.
    pub reason: CancelReason,
    /// Who asks.
    pub actor: String,
    /// Their note.
    pub note: String,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelReply {
    /// It is being cancelled; its steps are being reversed.
    Accepted,
    /// It was cancelled before, or is being cancelled.
    Already,
    /// Too late.
    Refused {
        /// Where the saga stands.
        state: SagaState,
        /// Why that is too late, and what can be done instead.
        why: &'static str,
    },
    /// No such order.
    NotFound,
}

#[async_trait]
impl Command for CancelOrderCommand {
    type Reply = CancelReply;

    const NAME: &'static str = "CancelOrderCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<CancelReply, Fault> {
        let now = context.clock.now();
        let id = MessageId(context.ids.next(now));
        let cause = Envelope::first(id, correlation(self.order_id), Self::NAME, Bytes::new(), now);
        let happening = Happening {
            order_id: self.order_id,
            event: SagaEvent::of(EventKind::CancelRequested)
                .because(self.reason)
                .within(context.settings.limits),
            cause: &cause,
            facts: Facts {
                detail: (!self.note.is_empty()).then(|| self.note.clone()),
                actor: Some(self.actor.clone()),
                ..Facts::default()
            },
        };
        let steps = carry_out(unit, &[happening], now).await?;
        let step = steps.first().expect("one step per happening");
        Ok(match (&step.after, step.outcome) {
            (None, _) => CancelReply::NotFound,
            (Some(saga), Outcome::Refused(why)) => CancelReply::Refused { state: saga.state, why },
            (Some(_), Outcome::Moved) => CancelReply::Accepted,
            (Some(_), Outcome::Ignored(_) | Outcome::Early) => CancelReply::Already,
        })
    }
}
