//! Turns at the error queues. A message is looked at by getting it, so two who look at once each get a part, and give it back in
//! another order. Within a process a lock keeps them apart; over processes an exclusive queue at the broker does, which only one
//! connection can have. It is consumed by the channel that looks, and goes with it, however that ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bus::Fault;
use lapin::Consumer;
use lapin::options::{BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::limits::{TURN_LIMIT, TURN_PAUSE};
use super::link::{Link, Opened};
use super::refusal::{self, Refusal};
use super::steps;

const TURN: &str = "error_queues.turn";

/// What keeps those apart who look at the same error queue.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

/// A turn at one error queue; it ends when this is dropped and its channel is closed.
pub(super) struct Turn {
    _here: OwnedMutexGuard<()>,
    /// None if this user may not declare the queue that keeps processes apart.
    _everywhere: Option<Consumer>,
}

impl Turns {
    /// Waits for a turn, and opens the channel that has it.
    ///
    /// # Errors
    /// [`bus::Verdict::Conflict`] if others have it for too long; else those of the broker.
    pub(super) async fn take(&self, link: &Link, name: &str) -> Result<(Turn, Opened), Fault> {
        let until = Instant::now() + TURN_LIMIT;
        let here = timeout_at(until, self.of(name).lock_owned()).await.map_err(|_| busy(name))?;
        let Ok(queue) = steps::name(&format!("{name}.turn")) else {
            // There is no room for a name of it.
            return Ok((Turn { _here: here, _everywhere: None }, link.open().await?));
        };
        loop {
            let opened = link.open().await?;
            let refused = match claim(&opened, queue.clone()).await {
                Ok(consumer) => return Ok((Turn { _here: here, _everywhere: Some(consumer) }, opened)),
                Err(refused) => refused,
            };
            // It is not there either if it went with the turn before, between its declaration and its use.
            if refusal::is_locked(&refused) || refusal::read(&refused) == Refusal::Unknown {
                let next = Instant::now() + TURN_PAUSE;
                if next >= until {
                    return Err(busy(name));
                }
                sleep_until(next).await;
            } else if refusal::read(&refused) == Refusal::Forbidden {
                tracing::debug!(
                    error_queue = name,
                    "without the right to configure, only this process takes turns"
                );
                return Ok((Turn { _here: here, _everywhere: None }, link.open().await?));
            } else {
                return Err(refusal::fault(TURN, refused));
            }
        }
    }

    fn of(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(name.to_owned()).or_default())
    }
}

/// The queue ends with its last consumer, and that with its channel.
async fn claim(opened: &Opened, queue: ShortString) -> lapin::Result<Consumer> {
    let options =
        QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    opened.channel.queue_declare(queue.clone(), options, FieldTable::default()).await?;
    let (tag, options) = (ShortString::from("turn"), BasicConsumeOptions::default());
    opened.channel.basic_consume(queue, tag, options, FieldTable::default()).await
}

fn busy(name: &str) -> Fault {
    Fault::conflict(TURN, format!("another looks into '{name}' at this moment"))
}
