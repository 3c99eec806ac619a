//! Whether the broker is there and its queues have consumers, seen through a small port that whoever connects to one fills.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Check, Finding, Scene};

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
}

/// Looks at the broker.
pub struct BrokerCheck {
    broker: Arc<dyn Broker>,
}

impl BrokerCheck {
    /// Looks at this one.
    #[must_use]
    pub fn new(broker: Arc<dyn Broker>) -> Self {
        Self { broker }
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
        let unread: Vec<&str> =
            queues.iter().filter(|queue| queue.consumers == 0).map(|queue| queue.name.as_str()).collect();
        if !unread.is_empty() {
            return Finding::down(format!("nobody reads {}", unread.join(", ")));
        }
        let messages: u64 = queues.iter().map(|queue| queue.messages).sum();
        Finding::up(format!("{} queues are read, {messages} messages wait in them", queues.len()))
    }
}
