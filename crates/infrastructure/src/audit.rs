//! What is noted of what operators do with the bus.

use application::ports::AuditEntry;
use bus::Redriven;
use jiff::Timestamp;

/// Somebody has put a dead letter back.
pub(crate) fn redriven(letter: &Redriven<'_>, actor: &str, at: Timestamp) -> AuditEntry {
    AuditEntry {
        at,
        actor: actor.to_owned(),
        action: "redrive".to_owned(),
        subject: format!("dead letter {}", letter.position),
        note: format!("{} {} to {}", letter.envelope.kind, letter.envelope.id, letter.queue),
    }
}
