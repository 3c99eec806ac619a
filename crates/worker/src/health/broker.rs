//! Whether the broker is there, its queues have consumers and nothing was set aside, seen through a small port that whoever connects
//! to one fills.

use std::iter::once;
use std::sync::Arc;

use async_trait::async_trait;

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
}

/// A queue at the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerQueue {
    /// Its name.
    pub name: String,
    /// Messages that are ready.
    pub messages: u64,
    /// Who reads it.
    pub consumers: u64,
    /// Where the broker puts what the queue could not take.
    pub error_queue: String,
    /// Messages that lie there, until a person does something about them.
    pub set_aside: u64,
}

/// Looks at the broker.
pub struct BrokerCheck {
    broker: Arc<dyn Broker>,
    registry: Arc<Registry>,
}

impl BrokerCheck {
    /// Looks at this one, and shows what was set aside there.
    #[must_use]
    pub fn new(broker: Arc<dyn Broker>, registry: Arc<Registry>) -> Self {
        Self { broker, registry }
    }

    fn show(&self, queues: &[BrokerQueue]) {
        for queue in queues {
            self.registry.set(Metric::ErrorQueueDepth, &[&queue.name], queue.set_aside as f64);
        }
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
        self.show(&queues);
        let ill = [unread(&queues), set_aside(&queues)].into_iter().flatten();
        Finding::worst_of(once(read(&queues)).chain(ill))
    }
}

fn read(queues: &[BrokerQueue]) -> Finding {
    let messages: u64 = queues.iter().map(|queue| queue.messages).sum();
    Finding::up(format!("{} queues are read, {messages} messages wait in them", queues.len()))
}

fn unread(queues: &[BrokerQueue]) -> Option<Finding> {
    let unread: Vec<&str> =
        queues.iter().filter(|queue| queue.consumers == 0).map(|queue| queue.name.as_str()).collect();
    (!unread.is_empty()).then(|| Finding::down(format!("nobody reads {}", unread.join(", "))))
}

fn set_aside(queues: &[BrokerQueue]) -> Option<Finding> {
    let aside: Vec<String> = queues
        .iter()
        .filter(|queue| queue.set_aside > 0)
        .map(|queue| format!("{} in {}", queue.set_aside, queue.error_queue))
        .collect();
    let say = || {
        format!(
            "messages that could not be read, or were delivered too often, were set aside: {}; put them back or delete them there (runbook, 'Error queues')",
            aside.join(", ")
        )
    };
    (!aside.is_empty()).then(|| Finding::degraded(say()))
}
