//! Whether the broker is there, its queues have consumers and nothing was set aside, seen through a small port that whoever connects
//! to one fills.

use std::iter::once;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bus::{Fault, PauseBoard};
use uuid::Uuid;

use super::{Check, Finding, Scene};
use crate::metrics::{Metric, Registry};

/// A broker, as its health is seen. Must only look.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// The queues that are read here, if the broker answers.
    ///
    /// # Errors
    /// What is wrong with the connection, in words without secrets.
    async fn queues(&self) -> Result<Vec<BrokerQueue>, String>;

    /// What it has otherwise than it should be, found while everything else goes on.
    fn unfit(&self) -> Vec<String> {
        Vec::new()
    }

    /// Says that what is read here is for this database and no other. The one act of this port.
    ///
    /// # Errors
    /// [`bus::Verdict::GiveUp`] if it is for another one.
    async fn claim(&self, _database: Uuid) -> Result<(), Fault> {
        Ok(())
    }
}

/// A queue at the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerQueue {
    /// Its name.
    pub name: String,
    /// Messages that are ready.
    pub messages: u64,
    /// Who reads it, as the broker counts.
    pub consumers: u64,
    /// Who should: one for each worker that is alive.
    pub readers: u64,
    /// Where the broker puts what the queue could not take.
    pub error_queue: String,
    /// Messages that lie there, until a person does something about them.
    pub set_aside: u64,
    /// Messages that this process was given and has not acknowledged.
    pub held: u64,
    /// For how long the oldest of them.
    pub held_for: Duration,
}

/// How long a message may lie unacknowledged: longer than any call with its retries, and well below the broker's own limit.
const HELD_MAX: Duration = Duration::from_secs(5 * 60);

/// Looks at the broker.
pub struct BrokerCheck {
    broker: Arc<dyn Broker>,
    registry: Arc<Registry>,
    pauses: PauseBoard,
}

impl BrokerCheck {
    /// Looks at this one, and shows what was set aside there. Nobody need read a queue that is paused.
    #[must_use]
    pub fn new(broker: Arc<dyn Broker>, registry: Arc<Registry>, pauses: PauseBoard) -> Self {
        Self { broker, registry, pauses }
    }

    fn show(&self, queues: &[BrokerQueue], unfit: &[String]) {
        for queue in queues {
            let set = |metric, value| self.registry.set(metric, &[&queue.name], value);
            set(Metric::ErrorQueueDepth, queue.set_aside as f64);
            set(Metric::BrokerConsumers, queue.consumers as f64);
            set(Metric::BrokerConsumersUnserved, queue.consumers.saturating_sub(queue.readers) as f64);
            set(Metric::BrokerHeldAge, queue.held_for.as_secs_f64());
        }
        self.registry.set(Metric::BrokerUnfit, &[], unfit.len() as f64);
    }

    fn unread(&self, queues: &[BrokerQueue]) -> Option<Finding> {
        let is_unread = |queue: &&BrokerQueue| queue.consumers == 0 && !self.pauses.is_paused(&queue.name);
        let unread: Vec<&str> = queues.iter().filter(is_unread).map(|queue| queue.name.as_str()).collect();
        (!unread.is_empty()).then(|| Finding::down(format!("nobody reads {}", unread.join(", "))))
    }
}

#[async_trait]
impl Check for BrokerCheck {
    fn name(&self) -> &'static str {
        "broker"
    }

    async fn look(&self, _: &Scene) -> Finding {
        let queues = match self.broker.queues().await {
            Ok(queues) => queues,
            Err(why) => return Finding::down(why),
        };
        let amiss = self.broker.unfit();
        self.show(&queues, &amiss);
        let ill =
            [self.unread(&queues), set_aside(&queues), crowded(&queues), held_up(&queues), unfit(&amiss)]
                .into_iter()
                .flatten();
        Finding::worst_of(once(read(&queues)).chain(ill))
    }
}

fn read(queues: &[BrokerQueue]) -> Finding {
    let messages: u64 = queues.iter().map(|queue| queue.messages).sum();
    Finding::up(format!("{} queues are read, {messages} messages wait in them", queues.len()))
}

/// A consumer that nobody serves takes messages and never acknowledges them.
fn crowded(queues: &[BrokerQueue]) -> Option<Finding> {
    let crowded: Vec<String> = queues
        .iter()
        .filter(|queue| queue.consumers > queue.readers)
        .map(|queue| {
            format!("{} has {} consumers for {} workers", queue.name, queue.consumers, queue.readers)
        })
        .collect();
    let say = || {
        format!(
            "more consumers than workers, so some may hold messages that nobody handles: {}; close connections that no worker has (runbook, 'OrderwrightConsumersUnserved')",
            crowded.join(", ")
        )
    };
    (!crowded.is_empty()).then(|| Finding::degraded(say()))
}

fn held_up(queues: &[BrokerQueue]) -> Option<Finding> {
    let held: Vec<String> = queues
        .iter()
        .filter(|queue| queue.held_for > HELD_MAX)
        .map(|queue| {
            format!("{} of {}, the oldest for {} s", queue.held, queue.name, queue.held_for.as_secs())
        })
        .collect();
    (!held.is_empty()).then(|| {
        Finding::degraded(format!("messages lie unacknowledged in this worker: {}", held.join("; ")))
    })
}

fn unfit(unfit: &[String]) -> Option<Finding> {
    (!unfit.is_empty()).then(|| Finding::degraded(unfit.join("; ")))
}

fn set_aside(queues: &[BrokerQueue]) -> Option<Finding> {
    let aside: Vec<String> = queues
        .iter()
        .filter(|queue| queue.set_aside > 0)
        .map(|queue| format!("{} in {}", queue.set_aside, queue.error_queue))
        .collect();
    let say = || {
        format!(
            "messages that could not be read, had expired, or were delivered too often, were set aside: {}; `error-queues list` counts the causes; put them back or delete them there (runbook, 'Error queues')",
            aside.join(", ")
        )
    };
    (!aside.is_empty()).then(|| Finding::degraded(say()))
}
