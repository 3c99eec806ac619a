//! Takes an unmatched provider event once more: the order that it belongs to may be known by now.

use async_trait::async_trait;
use bus::Fault;

use super::Command;
use super::provider_news::Desk;
use crate::context::Context;
use crate::ports::{AuditEntry, Mismatch, Seen, UnitOfWork};

/// Take this event again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeEventAgainCommand {
    /// Its place in the list.
    pub position: i64,
    /// Who asks for it.
    pub actor: String,
    /// Their note.
    pub note: String,
}

/// The result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakenAgain {
    /// It went to its order, and is marked as seen.
    Taken,
    /// It still belongs to no order, and stays as it was.
    Unmatched(Mismatch),
    /// It was taken, or seen to, before.
    Before,
    /// There is no such event.
    NotFound,
}

#[async_trait]
impl Command for TakeEventAgainCommand {
    type Reply = TakenAgain;

    const NAME: &'static str = "TakeEventAgainCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<TakenAgain, Fault> {
        let now = context.clock.now();
        let Some((provider, news)) = unit.unmatched().get(self.position).await? else {
            return Ok(TakenAgain::NotFound);
        };
        let mut desk = Desk::open(unit, provider, &[&news], context, now).await?;
        if let Err(mismatch) = desk.match_up(&news) {
            return Ok(TakenAgain::Unmatched(mismatch));
        }
        match unit.unmatched().mark_seen(self.position, &self.actor, &self.note, now).await? {
            Seen::Now => {}
            Seen::Before => return Ok(TakenAgain::Before),
            Seen::NotFound => return Ok(TakenAgain::NotFound),
        }
        desk.close(unit).await?;
        let entry = AuditEntry {
            at: now,
            actor: self.actor.clone(),
            action: "provider-events take-again".to_owned(),
            subject: format!("unmatched event {}", self.position),
            note: self.note.clone(),
        };
        unit.audit().record(&[entry]).await?;
        Ok(TakenAgain::Taken)
    }
}
