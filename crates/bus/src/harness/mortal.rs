//! Lives that end where a test wants it, and say nothing of it.

use std::pin::Pin;
use std::task::{Context, Poll};

/// A future that dies after it has waited so many times: what is left of it is dropped there.
pub struct Mortal<F> {
    life: Option<Pin<Box<F>>>,
    waits_left: u32,
}

/// How a mortal future ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At the wait that was one too many.
    Died,
    /// By itself, before that.
    Finished,
}

impl<F: Future<Output = ()>> Mortal<F> {
    /// A life that may wait so many times.
    pub fn new(life: F, waits: u32) -> Self {
        Self { life: Some(Box::pin(life)), waits_left: waits }
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
