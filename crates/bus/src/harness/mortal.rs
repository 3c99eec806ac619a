//! Futures that end where a test wants it, without any notice.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

use crate::Stop;

/// A future that is dropped after a given number of waits.
pub struct Mortal<F> {
    life: Option<Pin<Box<F>>>,
    waits_left: u32,
}

/// How the future ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was dropped at its last wait.
    Died,
    /// It completed before that.
    Finished,
}

impl<F: Future<Output = ()>> Mortal<F> {
    /// A future that may wait this many times.
    pub fn new(life: F, waits: u32) -> Self {
        Self { life: Some(Box::pin(life)), waits_left: waits }
    }

    /// Lives until it ends or dies, and is told to stop when what is `watching` has seen enough.
    ///
    /// # Panics
    /// If what is watching did.
    pub async fn until(mut self, mut watching: JoinHandle<()>, stop: &Stop) -> End {
        tokio::select! {
            biased;
            end = &mut self => {
                watching.abort();
                end
            }
            done = &mut watching => {
                done.expect("nothing went wrong");
                stop.stop();
                self.await
            }
        }
    }
}

impl<F: Future<Output = ()>> Future for Mortal<F> {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<End> {
        let Some(life) = self.life.as_mut() else { return Poll::Ready(End::Died) };
        if life.as_mut().poll(context).is_ready() {
            return Poll::Ready(End::Finished);
        }
        if self.waits_left == 0 {
            self.life = None;
            return Poll::Ready(End::Died);
        }
        self.waits_left -= 1;
        Poll::Pending
    }
}
