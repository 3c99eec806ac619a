//! What is noted of what operators do with the bus and with receivers of webhooks.

use application::ports::AuditEntry;
use bus::{LetterAct, MovedLetter, PauseAct, Signed};
use jiff::Timestamp;
use uuid::Uuid;

/// Somebody has put a dead letter back, or archived it.
pub(crate) fn letter_moved(act: LetterAct, letter: &MovedLetter<'_>, by: &Signed<'_>) -> AuditEntry {
    let action = match act {
        LetterAct::Redrive => "dead-letters redrive",
        LetterAct::Archive => "dead-letters discard",
    };
    let message = format!("{} {} of {}", letter.envelope.kind, letter.envelope.id, letter.queue);
    AuditEntry {
        at: by.at,
        actor: by.actor.to_owned(),
        action: action.to_owned(),
        subject: format!("dead letter {}", letter.position),
        note: if by.note.is_empty() { message } else { format!("{} ({message})", by.note) },
    }
}

/// Somebody has paused the consumer of a queue, or resumed it.
pub(crate) fn consumer_moved(act: PauseAct, queue: &str, by: &Signed<'_>) -> AuditEntry {
    let action = match act {
        PauseAct::Pause => "queues pause",
        PauseAct::Resume => "queues resume",
    };
    AuditEntry {
        at: by.at,
        actor: by.actor.to_owned(),
        action: action.to_owned(),
        subject: format!("queue {queue}"),
        note: by.note.to_owned(),
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

/// An address without its parameters, which may hold a secret.
pub(crate) fn address_shown(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// Somebody has done something to a webhook endpoint.
pub(crate) fn endpoint_moved(action: &str, id: Uuid, what: &str, by: &Signed<'_>) -> AuditEntry {
    let note = match (by.note, what) {
        (note, "") => note.to_owned(),
        ("", what) => what.to_owned(),
        (note, what) => format!("{note} ({what})"),
    };
    AuditEntry {
        at: by.at,
        actor: by.actor.to_owned(),
        action: format!("webhook-endpoints {action}"),
        subject: format!("webhook endpoint {id}"),
        note,
    }
}
