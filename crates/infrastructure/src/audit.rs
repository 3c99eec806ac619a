//! What is noted of what operators do with the bus and with receivers of webhooks.

use application::ports::AuditEntry;
use bus::Redriven;
use jiff::Timestamp;

/// Somebody has put a dead letter back.
pub(crate) fn redriven(letter: &Redriven<'_>, actor: &str, at: Timestamp) -> AuditEntry {
    AuditEntry {
        at,
        actor: actor.to_owned(),
        action: "dead-letters redrive".to_owned(),
        subject: format!("dead letter {}", letter.position),
        note: format!("{} {} to {}", letter.envelope.kind, letter.envelope.id, letter.queue),
    }
}

/// Somebody lets a receiver of webhooks have them again.
pub(crate) fn reopened(address: &str, actor: &str, at: Timestamp) -> AuditEntry {
    AuditEntry {
        at,
        actor: actor.to_owned(),
        action: "endpoints reopen".to_owned(),
        subject: format!("endpoint {address}"),
        note: String::new(),
    }
}
