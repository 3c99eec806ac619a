//! Handlers that are plain async functions: for one message, or for a batch of them.

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;

use crate::handling::Receiver;
use crate::{Fault, Message, Unit, Work};

/// An async function that handles `W` in the unit of work `U`: `async fn name(unit: &mut U, work: W) -> Result<(), Fault>`.
///
/// The bus implements it for every such function; `W` is `&mut Work<M>` for one message, `&mut [Work<M>]` for a batch.
pub trait Handler<'a, U: ?Sized + 'a, W: 'a>: Send + Sync + 'static {
    /// The handling under way.
    type Handling: Future<Output = Result<(), Fault>> + Send + 'a;

    /// Begins to handle.
    fn call(&self, unit: &'a mut U, work: W) -> Self::Handling;
}

impl<'a, F, H, U, W> Handler<'a, U, W> for F
where
    F: Fn(&'a mut U, W) -> H + Send + Sync + 'static,
    H: Future<Output = Result<(), Fault>> + Send + 'a,
    U: ?Sized + 'a,
    W: 'a,
{
    type Handling = H;

    fn call(&self, unit: &'a mut U, work: W) -> H {
        self(unit, work)
    }
}

/// A function that handles one message at a time.
pub(crate) struct Each<F, M> {
    pub(crate) queue: &'static str,
    pub(crate) handler: Arc<F>,
    pub(crate) message: PhantomData<fn() -> M>,
}

#[async_trait]
impl<U, F, M> Receiver<U> for Each<F, M>
where
    U: Unit + ?Sized + 'static,
    F: for<'a> Handler<'a, U, &'a mut Work<M>>,
    M: Message,
{
    type Message = M;
    type Answer = ();

    fn queue(&self) -> &'static str {
        self.queue
    }

    fn without_effect(&self) -> Option<()> {
        Some(())
    }

    async fn handle(&self, unit: &mut U, batch: &mut [Work<M>]) -> Result<(), Fault> {
        for work in batch {
            self.handler.call(unit, work).await?;
        }
        Ok(())
    }
}

/// A function that handles a batch.
pub(crate) struct Whole<F, M> {
    pub(crate) queue: &'static str,
    pub(crate) handler: Arc<F>,
    pub(crate) message: PhantomData<fn() -> M>,
}

#[async_trait]
impl<U, F, M> Receiver<U> for Whole<F, M>
where
    U: Unit + ?Sized + 'static,
    F: for<'a> Handler<'a, U, &'a mut [Work<M>]>,
    M: Message,
{
    type Message = M;
    type Answer = ();

    fn queue(&self) -> &'static str {
        self.queue
    }

    fn without_effect(&self) -> Option<()> {
        Some(())
    }

    async fn handle(&self, unit: &mut U, batch: &mut [Work<M>]) -> Result<(), Fault> {
        self.handler.call(unit, batch).await
    }
}
