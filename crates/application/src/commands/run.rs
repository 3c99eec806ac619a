//! The pipeline around every command that does not come from a queue: trace, transaction, retry and duration.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{Chain, Fault, Store, Verdict};

use crate::context::Context;
use crate::pipeline::chain;
use crate::ports::{AnyUnit, UnitOfWork};

/// How often a command is repeated after a conflict.
const CONFLICTS_MAX: u32 = 8;

/// A command, done in one unit of work.
#[async_trait]
pub trait Command: Send + Sync {
    /// The answer to the caller.
    type Reply: Send;

    /// Its name, for traces.
    const NAME: &'static str;

    /// Handles it. It may run again after a conflict, so it must decide from what it reads.
    ///
    /// # Errors
    /// Those of the store; a "no" of the business is a reply.
    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<Self::Reply, Fault>;
}

/// Runs commands.
#[derive(Clone)]
pub struct CommandPipeline {
    store: Arc<dyn Store<dyn UnitOfWork>>,
    context: Arc<Context>,
    chain: Arc<Chain<AnyUnit>>,
}

impl CommandPipeline {
    /// A pipeline over this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store<dyn UnitOfWork>>, context: Arc<Context>) -> Self {
        let chain = chain(&context);
        Self { store, context, chain }
    }

    /// What handlers may use.
    #[must_use]
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Runs a command in a transaction of its own.
    ///
    /// # Errors
    /// Those of the store, after a bounded number of conflicts.
    pub async fn run<C: Command>(&self, command: &C) -> Result<C::Reply, Fault> {
        let unit = self.begin().await?;
        self.run_in(unit, command).await
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn begin(&self) -> Result<Box<dyn UnitOfWork>, Fault> {
        self.store.begin().await
    }

    /// Runs a command in this transaction, or in further ones after a conflict.
    ///
    /// # Errors
    /// Those of the store, after a bounded number of conflicts.
    pub async fn run_in<C: Command>(
        &self,
        unit: Box<dyn UnitOfWork>,
        command: &C,
    ) -> Result<C::Reply, Fault> {
        let mut unit = Some(unit);
        let started = self.context.clock.now();
        let mut conflicts = 0;
        let result = loop {
            match self.attempt(unit.take(), command).await {
                Err(fault) if fault.verdict == Verdict::Conflict && conflicts < CONFLICTS_MAX => {
                    conflicts += 1;
                }
                result => break result,
            }
        };
        let took_us = self.context.clock.now().duration_since(started).as_micros();
        match &result {
            Ok(_) => tracing::debug!(command = C::NAME, took_us, conflicts, "command done"),
            Err(fault) => tracing::warn!(command = C::NAME, took_us, conflicts, %fault, "command failed"),
        }
        result
    }

    async fn attempt<C: Command>(
        &self,
        unit: Option<Box<dyn UnitOfWork>>,
        command: &C,
    ) -> Result<C::Reply, Fault> {
        let mut unit = match unit {
            Some(unit) => unit,
            None => self.store.begin().await?,
        };
        let reply = command.handle(unit.as_mut(), &self.context).await?;
        self.chain.follow(unit.as_mut()).await?;
        unit.commit().await.map_err(Fault::at_commit)?;
        Ok(reply)
    }
}
