//! A queue's stream of deliveries over one channel after another. A loss is told once, as a fault; the next asking opens anew.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Delivery, Fault, Feed, Receipt};
use tokio::task::{JoinError, JoinHandle};

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
    /// Whoever waits for deliveries may be dropped at any moment and ask again; opening must get on all the same. It gets on when the
    /// feed is dropped, too: the session then goes at once and hands back what it was given. Broken off between the question and the
    /// answer, the consumer would stay at the broker, and hold for nobody what is delivered to it.
    Opening(JoinHandle<Result<Session, Fault>>),
    Open(Box<Session>),
    /// The one hears nothing, so another one is opened. Until that is there, and if it does not come, the first goes on.
    Renewing(Box<Session>, JoinHandle<Result<Session, Fault>>),
}

impl RabbitMqFeed {
    /// A feed that opens when it is first asked.
    pub(super) const fn new(shared: Arc<Shared>, queue: Arc<str>) -> Self {
        Self { shared, queue, state: State::Closed }
    }

    /// Opens another session beside the one that hears nothing.
    fn renew(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Closed) {
            State::Open(session) => State::Renewing(session, self.open()),
            other @ (State::Closed | State::Opening(_) | State::Renewing(..)) => other,
        };
    }

    /// Goes on with the new session, unless it could not be opened, or the old one has been given something after all.
    fn take_over(&mut self, opened: Result<Session, Fault>) {
        self.shared.troubles.note(&self.queue, opened.as_ref().err());
        self.state = match (std::mem::replace(&mut self.state, State::Closed), opened) {
            (State::Renewing(old, _), Ok(_)) if old.holds_any() => State::Open(old),
            (State::Renewing(old, _), Err(fault)) => {
                tracing::warn!(queue = &*self.queue, %fault, "no new consumer could be opened; the old one stays");
                State::Open(old)
            }
            (_, Ok(new)) => State::Open(Box::new(new)),
            (other, Err(_)) => other,
        };
    }

    /// The session has ended: goes on with the one that is being opened, if there is one.
    fn turn_to_other(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Closed) {
            State::Renewing(_, opening) => State::Opening(opening),
            State::Closed | State::Opening(_) | State::Open(_) => State::Closed,
        };
    }

    fn open(&self) -> JoinHandle<Result<Session, Fault>> {
        tokio::spawn(Session::open(Arc::clone(&self.shared), Arc::clone(&self.queue)))
    }
}

#[async_trait]
impl Feed for RabbitMqFeed {
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Fault> {
        let max = max.max(1);
        loop {
            match &mut self.state {
                State::Closed => self.state = State::Opening(self.open()),
                State::Opening(opening) => {
                    let opened = done(opening.await);
                    self.shared.troubles.note(&self.queue, opened.as_ref().err());
                    self.state = State::Closed;
                    self.state = State::Open(Box::new(opened?));
                }
                State::Open(session) => match session.next(max).await {
                    Ok(Next::Deliveries(deliveries)) if deliveries.is_empty() => {}
                    Ok(Next::Deliveries(deliveries)) => return Ok(deliveries),
                    Ok(Next::Anew) => self.state = State::Closed,
                    Ok(Next::Renewed) => self.renew(),
                    Err(fault) => {
                        self.state = State::Closed;
                        return Err(fault);
                    }
                },
                State::Renewing(session, opening) => {
                    let next = tokio::select! {
                        biased;
                        opened = opening => Err(done(opened)),
                        next = session.next(max) => Ok(next),
                    };
                    match next {
                        Err(opened) => self.take_over(opened),
                        Ok(Ok(Next::Deliveries(deliveries))) if deliveries.is_empty() => {}
                        Ok(Ok(Next::Deliveries(deliveries))) => return Ok(deliveries),
                        Ok(Ok(Next::Anew | Next::Renewed)) => {}
                        Ok(Err(fault)) => {
                            self.turn_to_other();
                            return Err(fault);
                        }
                    }
                }
            }
        }
    }

    async fn acknowledge(&mut self, receipts: &[Receipt]) -> Result<(), Fault> {
        let foreign = match &mut self.state {
            State::Open(session) | State::Renewing(session, _) => match session.acknowledge(receipts).await {
                Ok(foreign) => foreign,
                Err(fault) => {
                    self.turn_to_other();
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

/// What became of an opening.
fn done(opened: Result<Result<Session, Fault>, JoinError>) -> Result<Session, Fault> {
    opened.map_err(|error| Fault::retry("rabbitmq.receive", error))?
}
