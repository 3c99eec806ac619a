//! Error queues on memory, for tests of what persons do with them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::shared::lock;
use crate::{AsideCause, ErrorQueue, ErrorQueues, Fault, SetAside, TakenErrors};

/// Error queues on memory, each named after its queue with `_error` behind it. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryErrorQueues(Arc<Mutex<Rows>>);

#[derive(Default)]
struct Rows {
    /// Messages by the names of their queues, each with its cause and its reason.
    aside: BTreeMap<String, Vec<(Bytes, AsideCause, String)>>,
    returned: Vec<(String, Bytes)>,
    is_away: bool,
}

impl MemoryErrorQueues {
    /// Error queues beside these queues.
    #[must_use]
    pub fn beside(queues: &[&str]) -> Self {
        let aside = queues.iter().map(|queue| ((*queue).to_owned(), Vec::new())).collect();
        Self(Arc::new(Mutex::new(Rows { aside, ..Rows::default() })))
    }

    /// Sets a message of a queue aside.
    pub fn set_aside(&self, queue: &str, body: &'static str, reason: &str) {
        self.set_aside_as(queue, body, AsideCause::Unreadable, reason);
    }

    /// The same for this cause.
    pub fn set_aside_as(&self, queue: &str, body: &'static str, cause: AsideCause, reason: &str) {
        let message = (Bytes::from_static(body.as_bytes()), cause, reason.to_owned());
        lock(&self.0).aside.entry(queue.to_owned()).or_default().push(message);
    }

    /// What was put back, with the queue that it went to.
    #[must_use]
    pub fn returned(&self) -> Vec<(String, Bytes)> {
        lock(&self.0).returned.clone()
    }

    /// From now on the broker is away, or is not.
    pub fn be_away(&self, is_away: bool) {
        lock(&self.0).is_away = is_away;
    }

    fn queue_of(&self, name: &str) -> Result<String, Fault> {
        let rows = lock(&self.0);
        if rows.is_away {
            return Err(Fault::retry("error_queues.look", "the broker is away"));
        }
        let queue = name.strip_suffix("_error").filter(|queue| rows.aside.contains_key(*queue));
        queue
            .map(str::to_owned)
            .ok_or_else(|| Fault::give_up("error_queues.look", format!("no error queue is called '{name}'")))
    }
}

#[async_trait]
impl ErrorQueues for MemoryErrorQueues {
    async fn list_error_queues(&self) -> Result<Vec<ErrorQueue>, Fault> {
        let rows = lock(&self.0);
        if rows.is_away {
            return Err(Fault::retry("error_queues.list", "the broker is away"));
        }
        let queue = |(queue, messages): (&String, &Vec<_>)| ErrorQueue {
            name: format!("{queue}_error"),
            queue: queue.clone(),
            messages: messages.len() as u64,
        };
        Ok(rows.aside.iter().map(queue).collect())
    }

    async fn look_at_errors(&self, name: &str, max: usize) -> Result<Vec<SetAside>, Fault> {
        let queue = self.queue_of(name)?;
        let rows = lock(&self.0);
        let mut mark = Uuid::nil();
        let seen = rows.aside.get(&queue).into_iter().flatten().take(max).map(|(body, cause, reason)| {
            mark = SetAside::mark_behind(mark, body);
            SetAside {
                mark,
                message_id: None,
                kind: None,
                cause: *cause,
                reason: reason.clone(),
                sent_at: None,
                died_at: None,
                content_type: "application/json".to_owned(),
                headers: BTreeMap::new(),
                body: body.clone(),
            }
        });
        Ok(seen.collect())
    }

    async fn take_errors(
        &self,
        name: &str,
        count: usize,
        mark: Uuid,
    ) -> Result<Option<Box<dyn TakenErrors>>, Fault> {
        let queue = self.queue_of(name)?;
        let seen = self.look_at_errors(name, count).await?;
        if seen.len() != count || seen.last().is_none_or(|last| last.mark != mark) {
            return Ok(None);
        }
        Ok(Some(Box::new(Taken { rows: Arc::clone(&self.0), queue, seen })))
    }
}

/// Messages that are held. On memory nobody else can take them meanwhile, so they stay where they are until the end.
struct Taken {
    rows: Arc<Mutex<Rows>>,
    queue: String,
    seen: Vec<SetAside>,
}

impl Taken {
    fn remove(&self) {
        if let Some(aside) = lock(&self.rows).aside.get_mut(&self.queue) {
            aside.drain(..self.seen.len().min(aside.len()));
        }
    }
}

#[async_trait]
impl TakenErrors for Taken {
    fn messages(&self) -> &[SetAside] {
        &self.seen
    }

    async fn put_back(self: Box<Self>) -> Result<(), Fault> {
        self.remove();
        let returned = self.seen.iter().map(|seen| (self.queue.clone(), seen.body.clone()));
        lock(&self.rows).returned.extend(returned);
        Ok(())
    }

    async fn discard(self: Box<Self>) -> Result<(), Fault> {
        self.remove();
        Ok(())
    }
}
