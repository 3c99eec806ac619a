//! What operators see of a broker's error queues and do with them, whichever way they come in. What is moved is written into the audit
//! log first: there may be an entry about messages that stayed where they were, and never a move without an entry. Knows no HTTP and
//! no command line.

use std::collections::BTreeMap;

use application::commands::{Command, CommandPipeline};
use application::pipeline::Context;
use application::ports::{AuditEntry, UnitOfWork};
use async_trait::async_trait;
use bus::{ErrorQueue, ErrorQueues, Fault, SetAside, TakenErrors, Verdict};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::operations::Operations;

/// Messages that are looked at in one go.
pub(crate) const LOOK_MAX: usize = 200;

/// Messages of each error queue that are looked at for the list.
const LISTED_MAX: usize = 100;

/// Messages that an entry of the log names.
const NAMED_MAX: usize = 20;

/// An error queue as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorQueueView {
    pub(crate) name: String,
    pub(crate) queue: String,
    pub(crate) messages: u64,
    /// Messages by their causes, as far as they were looked at.
    pub(crate) causes: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_reason: Option<String>,
    /// Of the last message that was looked at: of the hundredth if there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_reason: Option<String>,
}

/// All error queues as they are shown.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorQueuesView {
    /// Whether there is a broker; without one there are no error queues.
    pub(crate) has_broker: bool,
    pub(crate) items: Vec<ErrorQueueView>,
}

/// A message in an error queue as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct SetAsideView {
    /// Its place, from 1 on.
    pub(crate) place: usize,
    pub(crate) mark: Uuid,
    pub(crate) message_id: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) cause: &'static str,
    pub(crate) reason: String,
    pub(crate) sent_at: Option<Timestamp>,
    pub(crate) died_at: Option<Timestamp>,
    pub(crate) content_type: String,
    pub(crate) headers: BTreeMap<String, String>,
    /// As JSON if it is JSON, else as text with whatever is no text replaced.
    pub(crate) body: Value,
}

impl SetAsideView {
    fn of((index, message): (usize, SetAside)) -> Self {
        let SetAside { mark, message_id, kind, cause, reason, sent_at, died_at, content_type, headers, body } =
            message;
        let body = serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
        let (place, cause) = (index + 1, cause.as_str());
        Self { place, mark, message_id, kind, cause, reason, sent_at, died_at, content_type, headers, body }
    }
}

/// What is done with messages of an error queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorAct {
    /// They go back into the queue that they came from.
    PutBack,
    /// They are gone.
    Discard,
}

/// Which messages: the first so many of an error queue, if these are still those that the mark names.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) count: usize,
    pub(crate) mark: Uuid,
}

/// Why nothing could be shown or moved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("there is no broker, so there are no error queues; dead letters lie in the database")]
    NoBroker,
    #[error("no error queue is called '{0}'")]
    Unknown(String),
    #[error(
        "something else lies at the head of '{0}' by now, or fewer messages than {1}; nothing was moved: look again"
    )]
    Changed(String, usize),
    #[error("another looks into '{0}' or moves its messages at this moment; nothing was moved: try again")]
    Busy(String),
    /// Part of it may have been done.
    #[error("the broker did not do all of it: {0}")]
    Broker(#[source] Fault),
    #[error("the store is away, and nothing is moved without an entry in its log")]
    Store(#[source] Fault),
}

impl Refused {
    fn of_broker(name: &str, fault: Fault) -> Self {
        match fault.verdict {
            Verdict::GiveUp => Self::Unknown(name.to_owned()),
            Verdict::Conflict => Self::Busy(name.to_owned()),
            Verdict::Retry | Verdict::Stale | Verdict::LeaveToOthers => Self::Broker(fault),
        }
    }
}

fn port(operations: &Operations) -> Result<&dyn ErrorQueues, Refused> {
    operations.error_queues.as_deref().ok_or(Refused::NoBroker)
}

/// All error queues, those that hold something with the reasons of their first and last message.
pub(crate) async fn list(operations: &Operations) -> Result<ErrorQueuesView, Refused> {
    let Ok(queues) = port(operations) else {
        return Ok(ErrorQueuesView { has_broker: false, items: Vec::new() });
    };
    let mut items = Vec::new();
    for found in queues.list_error_queues().await.map_err(Refused::Broker)? {
        let ErrorQueue { name, queue, messages } = found;
        let seen = match messages {
            0 => Vec::new(),
            _ => match queues.look_at_errors(&name, LISTED_MAX).await {
                Ok(seen) => seen,
                // Whoever moves its messages keeps nobody from seeing the list.
                Err(fault) if fault.verdict == Verdict::Conflict => Vec::new(),
                Err(fault) => return Err(Refused::of_broker(&name, fault)),
            },
        };
        let reason = |message: Option<&SetAside>| message.map(|message| message.reason.clone());
        let (first_reason, last_reason) = (reason(seen.first()), reason(seen.last()));
        let mut causes = BTreeMap::new();
        for message in &seen {
            *causes.entry(message.cause.as_str()).or_default() += 1;
        }
        items.push(ErrorQueueView { name, queue, messages, causes, first_reason, last_reason });
    }
    Ok(ErrorQueuesView { has_broker: true, items })
}

/// The first messages of an error queue; they stay there.
pub(crate) async fn look(
    operations: &Operations,
    name: &str,
    max: usize,
) -> Result<Vec<SetAsideView>, Refused> {
    let seen = port(operations)?.look_at_errors(name, max.min(LOOK_MAX)).await;
    let seen = seen.map_err(|fault| Refused::of_broker(name, fault))?;
    Ok(seen.into_iter().enumerate().map(SetAsideView::of).collect())
}

/// Moves exactly what is wanted, or nothing.
pub(crate) async fn carry_out(
    operations: &Operations,
    commands: &CommandPipeline,
    act: ErrorAct,
    wanted: &Wanted,
    (actor, note): (&str, &str),
) -> Result<(), Refused> {
    let Wanted { name, count, mark } = wanted;
    let taken = port(operations)?.take_errors(name, *count, *mark).await;
    let taken = taken.map_err(|fault| Refused::of_broker(name, fault))?;
    let taken = taken.ok_or_else(|| Refused::Changed(name.clone(), *count))?;
    let at = commands.context().clock.now();
    let entry = entry(act, name, taken.as_ref(), (actor, note), at);
    commands.run(&Noted(entry)).await.map_err(Refused::Store)?;
    match act {
        ErrorAct::PutBack => taken.put_back().await,
        ErrorAct::Discard => taken.discard().await,
    }
    .map_err(Refused::Broker)
}

fn entry(
    act: ErrorAct,
    name: &str,
    taken: &dyn TakenErrors,
    (actor, note): (&str, &str),
    at: Timestamp,
) -> AuditEntry {
    let action = match act {
        ErrorAct::PutBack => "error-queues put-back",
        ErrorAct::Discard => "error-queues discard",
    };
    let messages = taken.messages();
    let name_of =
        |message: &SetAside| message.message_id.clone().unwrap_or_else(|| "one without an id".to_owned());
    let mut named: Vec<String> = messages.iter().take(NAMED_MAX).map(name_of).collect();
    if messages.len() > NAMED_MAX {
        named.push(format!("{} more", messages.len() - NAMED_MAX));
    }
    let what = format!("{} messages: {}", messages.len(), named.join(", "));
    let note = if note.is_empty() { what } else { format!("{note} ({what})") };
    let (actor, action) = (actor.to_owned(), action.to_owned());
    AuditEntry { at, actor, action, subject: format!("error queue {name}"), note }
}

/// Writes an entry into the audit log.
struct Noted(AuditEntry);

#[async_trait]
impl Command for Noted {
    type Reply = ();

    const NAME: &'static str = "NoteAct";

    async fn handle(&self, unit: &mut dyn UnitOfWork, _: &Context) -> Result<(), Fault> {
        unit.audit().record(std::slice::from_ref(&self.0)).await
    }
}
