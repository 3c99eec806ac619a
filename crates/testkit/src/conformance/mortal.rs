//! Lives that end where a sweep wants it, and say nothing of it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use tokio::runtime::Builder;
use tokio::task::block_in_place;

/// What may be ended at any moment.
pub(super) type Life = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A life that ends after it has waited so many times.
pub(super) struct Mortal {
    life: Option<Life>,
    waits_left: u32,
}

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Died,
    Finished,
}

impl Future for Mortal {
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

impl Mortal {
    /// A life that may wait so many times.
    pub(super) const fn new(life: Life, waits: u32) -> Self {
        Self { life: Some(life), waits_left: waits }
    }
}

/// Runs a life in a runtime of its own, which ends with it: nothing that it has left behind runs any more, so that it gives up no
/// claim and takes leave of nobody. Its connections close, as those of a process that was killed.
pub(super) fn apart<T: Send>(life: impl Future<Output = T> + Send) -> T {
    let alone = || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("there are threads");
        let end = runtime.block_on(life);
        runtime.shutdown_background();
        end
    };
    let ended = block_in_place(|| thread::scope(|scope| scope.spawn(alone).join()));
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
