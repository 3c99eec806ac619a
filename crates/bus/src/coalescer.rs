//! Many callers, one transaction. While one flush runs, arriving requests join the next, up to the moment it gets its
//! unit of work. There is no timer: an idle caller does not wait, and a busy store gets one transaction for hundreds
//! of requests.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::limits::COALESCE_WAITING_MAX;
use crate::{Fault, Stop};

/// Does the work of many callers at once.
#[async_trait]
pub trait Coalesce: Send + Sync + 'static {
    /// What a caller brings.
    type Request: Send + 'static;
    /// What a caller gets.
    type Reply: Send + 'static;

    /// What a flush runs in, for instance a unit of work.
    type Unit: Send + 'static;

    /// Requests in one flush at most.
    fn batch_max(&self) -> usize;

    /// Opens what the next flush runs in. Requests that arrive until then still join that flush.
    ///
    /// # Errors
    /// The store's faults; they fail the callers like those of a flush.
    async fn begin(&self) -> Result<Self::Unit, Fault>;

    /// Answers all, in order, one reply per request. A request that must fail alone gets a reply that says so. A
    /// fault fails every caller of the flush; nothing was done, unless the fault is in doubt.
    async fn flush(&self, unit: Self::Unit, requests: &[Self::Request]) -> Result<Vec<Self::Reply>, Fault>;
}

/// The handle that callers share.
pub struct Coalescer<C: Coalesce> {
    inbox: mpsc::Sender<Waiting<C>>,
}

impl<C: Coalesce> Clone for Coalescer<C> {
    fn clone(&self) -> Self {
        Self { inbox: self.inbox.clone() }
    }
}

struct Waiting<C: Coalesce> {
    request: C::Request,
    answer: oneshot::Sender<Result<C::Reply, Arc<Fault>>>,
}

/// Why there is no reply.
#[derive(Clone, Debug, Error)]
pub enum Overloaded {
    /// Too many callers are waiting; nothing was done.
    #[error("too many requests are waiting; try again in a moment")]
    Full,
    /// The service is stopping; nothing was done, or the answer was lost with it.
    #[error("the service is stopping")]
    Stopping,
    /// The flush failed. Nothing was done, unless the fault is in doubt.
    #[error("{0}")]
    Failed(Arc<Fault>),
}

impl<C: Coalesce> Coalescer<C> {
    /// A handle, and the loop that must be run for it.
    pub fn new(work: Arc<C>) -> (Self, impl Future<Output = ()> + Send + use<C>) {
        Self::stopping_with(work, Stop::new())
    }

    /// The same; the loop ends when stopped and no caller waits any more.
    pub fn stopping_with(work: Arc<C>, stop: Stop) -> (Self, impl Future<Output = ()> + Send + use<C>) {
        let (inbox, waiting) = mpsc::channel(COALESCE_WAITING_MAX);
        (Self { inbox }, serve(work, waiting, stop))
    }

    /// Joins the next flush and waits for it.
    ///
    /// # Errors
    /// [`Overloaded`], which says whether to try again.
    pub async fn submit(&self, request: C::Request) -> Result<C::Reply, Overloaded> {
        let (answer, reply) = oneshot::channel();
        self.inbox.try_send(Waiting { request, answer }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Overloaded::Full,
            mpsc::error::TrySendError::Closed(_) => Overloaded::Stopping,
        })?;
        reply.await.map_err(|_| Overloaded::Stopping)?.map_err(Overloaded::Failed)
    }
}

async fn serve<C: Coalesce>(work: Arc<C>, mut inbox: mpsc::Receiver<Waiting<C>>, stop: Stop) {
    let batch_max = work.batch_max().max(1);
    let mut batch = Vec::new();
    loop {
        let received = tokio::select! {
            biased;
            received = inbox.recv_many(&mut batch, batch_max) => received,
            () = stop.stopped() => {
                inbox.close();
                inbox.recv_many(&mut batch, batch_max).await
            }
        };
        if received == 0 {
            return;
        }
        let begun = AssertUnwindSafe(work.begin()).catch_unwind().await;
        let begun = begun.unwrap_or_else(|panic| Err(Fault::panicked("coalescer.begin", panic.as_ref())));
        while batch.len() < batch_max
            && let Ok(one) = inbox.try_recv()
        {
            batch.push(one);
        }
        answer(work.as_ref(), begun, &mut batch).await;
    }
}

async fn answer<C: Coalesce>(work: &C, begun: Result<C::Unit, Fault>, batch: &mut Vec<Waiting<C>>) {
    let (requests, answers): (Vec<_>, Vec<_>) = batch.drain(..).map(|one| (one.request, one.answer)).unzip();
    let flushed = match begun {
        // A flush that panics fails its own callers; those of the next one must not pay for it.
        Ok(unit) => AssertUnwindSafe(work.flush(unit, &requests))
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| Err(Fault::panicked("coalescer.flush", panic.as_ref()))),
        Err(fault) => Err(fault),
    };
    match flushed {
        Ok(replies) => {
            debug_assert_eq!(replies.len(), answers.len(), "one reply per request");
            for (answer, reply) in answers.into_iter().zip(replies) {
                // A caller that went away does not need its reply.
                let _ = answer.send(Ok(reply));
            }
        }
        Err(fault) => {
            let fault = Arc::new(fault);
            for answer in answers {
                let _ = answer.send(Err(Arc::clone(&fault)));
            }
        }
    }
}
