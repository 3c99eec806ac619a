//! Marks an unmatched provider event as seen by a person.

use async_trait::async_trait;
use bus::Fault;

use super::Command;
use crate::context::Context;
use crate::ports::{AuditEntry, Seen, UnitOfWork};

/// Mark this event as seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeeToEventCommand {
    /// Its place in the list.
    pub position: i64,
    /// Who has seen it.
    pub actor: String,
    /// Their note.
    pub note: String,
}

#[async_trait]
impl Command for SeeToEventCommand {
    type Reply = Seen;

    const NAME: &'static str = "SeeToEventCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<Seen, Fault> {
        let now = context.clock.now();
        let seen = unit.unmatched().mark_seen(self.position, &self.actor, &self.note, now).await?;
        if seen == Seen::Now {
            let entry = AuditEntry {
                at: now,
                actor: self.actor.clone(),
                action: "provider-events seen".to_owned(),
                subject: format!("unmatched event {}", self.position),
                note: self.note.clone(),
            };
            unit.audit().record(&[entry]).await?;
        }
        Ok(seen)
    }
}
