//! Whether a consumer that hears nothing is still one: a broker may keep it for a queue that was deleted and made anew, and send it
//! nothing ever after. So whoever has heard nothing for a while has the queue's readers counted, and becomes a new consumer
//! now and then whatever they are; at once after a message came back. Costs nothing while there is something to read.

use std::sync::Arc;

use tokio::sync::watch::Receiver;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::limits::{LOOK_AFTER, RENEW_AFTER};
use super::shared::Shared;
use super::steps::readers;

/// What is to be done about a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is one; or the broker could not be asked.
    Stay,
    /// Nobody reads its queue, it included.
    Unread,
    /// It has been silent for long, or a binding was gone, and with it perhaps the queue that it reads.
    Renew,
}

/// The watch over one consumer.
pub(super) struct Watch {
    shared: Arc<Shared>,
    queue: Arc<str>,
    /// Raised when a message came back that some queue should have got.
    returns: Receiver<u64>,
    /// One did, and nothing was heard since.
    in_doubt: bool,
    heard_at: Instant,
    due: Instant,
    /// Whoever waits here may be dropped at any moment; the look goes on.
    looking: Option<JoinHandle<Verdict>>,
}

impl Watch {
    pub(super) fn over(shared: Arc<Shared>, queue: Arc<str>) -> Self {
        let mut returns = shared.returns.subscribe();
        returns.mark_unchanged();
        let now = Instant::now();
        let due = now + LOOK_AFTER;
        Self { shared, queue, returns, in_doubt: false, heard_at: now, due, looking: None }
    }

    /// It has delivered something.
    pub(super) fn heard(&mut self) {
        self.heard_at = Instant::now();
        self.due = self.heard_at + LOOK_AFTER;
        self.in_doubt = false;
        if let Some(looking) = self.looking.take() {
            looking.abort();
        }
    }

    /// Waits for a reason to do something. Safe to drop while waiting. A consumer whose deliveries are in our hands is not made
    /// anew, since they would come again.
    pub(super) async fn verdict(&mut self, held: usize) -> Verdict {
        loop {
            let Some(looking) = &mut self.looking else {
                tokio::select! {
                    () = sleep_until(self.due) => {}
                    Ok(()) = self.returns.changed() => self.in_doubt = true,
                }
                let (shared, queue) = (Arc::clone(&self.shared), Arc::clone(&self.queue));
                self.looking = Some(tokio::spawn(look(shared, queue)));
                continue;
            };
            let seen = looking.await.unwrap_or(Verdict::Stay);
            self.looking = None;
            self.due = Instant::now() + LOOK_AFTER;
            if seen != Verdict::Stay {
                return seen;
            }
            if held == 0 && (self.in_doubt || self.heard_at.elapsed() >= RENEW_AFTER) {
                self.shared.renewals.note(&self.queue);
                return Verdict::Renew;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(looking) = &self.looking {
            looking.abort();
        }
    }
}

async fn look(shared: Arc<Shared>, queue: Arc<str>) -> Verdict {
    let limit = shared.answer_limit;
    let looking = async {
        let opened = shared.consuming.open().await?;
        readers(&opened.channel, &queue).await
    };
    match timeout(limit, looking).await {
        Ok(Ok(Some(0))) => Verdict::Unread,
        Ok(Ok(None)) => {
            // There is no such queue: it is declared again before it is read again.
            shared.consuming.doubt();
            Verdict::Unread
        }
        Ok(Ok(Some(_)) | Err(_)) | Err(_) => Verdict::Stay,
    }
}
