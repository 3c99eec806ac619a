//! A queue's stream of deliveries over one channel after another. A loss is told once, as a fault; the next asking opens anew.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Delivery, Fault, Feed, Receipt};
use tokio::task::JoinHandle;

use super::session::{Next, Session};
use super::shared::Shared;

/// A feed of one queue.
pub(super) struct RabbitMqFeed {
    shared: Arc<Shared>,
    queue: Arc<str>,
    state: State,
}

enum State {
    Closed,
    /// Whoever waits for deliveries may be dropped at any moment and ask again; opening must get on all the same.
    Opening(JoinHandle<Result<Session, Fault>>),
    Open(Box<Session>),
}

impl RabbitMqFeed {
    /// A feed that opens when it is first asked.
    pub(super) const fn new(shared: Arc<Shared>, queue: Arc<str>) -> Self {
        Self { shared, queue, state: State::Closed }
    }

    fn open(&self) -> JoinHandle<Result<Session, Fault>> {
        tokio::spawn(Session::open(Arc::clone(&self.shared), Arc::clone(&self.queue)))
    }
}

#[async_trait]
impl Feed for RabbitMqFeed {
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Fault> {
        loop {
            match &mut self.state {
                State::Closed => self.state = State::Opening(self.open()),
                State::Opening(opening) => {
                    let opened = opening.await;
                    self.state = State::Closed;
                    let opened = opened.map_err(|error| Fault::retry("rabbitmq.receive", error))?;
                    self.state = State::Open(Box::new(opened?));
                }
                State::Open(session) => match session.next(max.max(1)).await {
                    Ok(Next::Deliveries(deliveries)) if deliveries.is_empty() => {}
                    Ok(Next::Deliveries(deliveries)) => return Ok(deliveries),
                    Ok(Next::Anew) => self.state = State::Closed,
                    Err(fault) => {
                        self.state = State::Closed;
                        return Err(fault);
                    }
                },
            }
        }
    }

    async fn acknowledge(&mut self, receipts: &[Receipt]) -> Result<(), Fault> {
        let foreign = match &mut self.state {
            State::Open(session) => match session.acknowledge(receipts).await {
                Ok(foreign) => foreign,
                Err(fault) => {
                    self.state = State::Closed;
                    return Err(fault);
                }
            },
            State::Closed | State::Opening(_) => receipts.len(),
        };
        if foreign == 0 {
            return Ok(());
        }
        let text = format!("{foreign} deliveries are of a channel that is closed; they come again");
        Err(Fault::retry("rabbitmq.acknowledge", text))
    }
}

impl Drop for RabbitMqFeed {
    fn drop(&mut self) {
        match &self.state {
            State::Opening(opening) => opening.abort(),
            State::Closed | State::Open(_) => {}
        }
    }
}
