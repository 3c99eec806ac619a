//! A command under a client's key: done once, however often it is requested. The key is stored in the transaction of
//! the effect, so no crash comes between them. A refusal is not stored, so the corrected request may use the same
//! key.

use async_trait::async_trait;
use bus::Fault;

use super::Command;
use crate::context::Context;
use crate::ports::{Answer, KeptAnswer, RequestKey, UnitOfWork};

/// A command and the key that it came with, if any.
pub struct Once<'a, C, F> {
    /// The key.
    pub key: Option<&'a RequestKey>,
    /// What to do.
    pub command: &'a C,
    /// The answer to a reply; none for a refusal, which is not stored.
    pub answer: F,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnceReply<R> {
    /// Done now.
    Done(Answer),
    /// Done before under this key, with this answer.
    Replayed(Answer),
    /// The key belongs to another request of this caller for the same operation.
    Reused,
    /// Not done; the key stays free.
    Refused(R),
}

#[async_trait]
impl<C, F, R> Command for Once<'_, C, F>
where
    C: Command,
    F: Fn(C::Reply) -> Result<Answer, R> + Send + Sync,
    R: Send,
{
    type Reply = OnceReply<R>;

    const NAME: &'static str = C::NAME;

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<OnceReply<R>, Fault> {
        if let Some(key) = self.key
            && let Some(kept) = unit.idempotency().kept(key).await?
        {
            return Ok(again(key, kept));
        }
        let answer = match (self.answer)(self.command.handle(unit, context).await?) {
            Ok(answer) => answer,
            Err(refusal) => return Ok(OnceReply::Refused(refusal)),
        };
        if let Some(key) = self.key {
            unit.idempotency().keep(key, &answer, context.clock.now()).await?;
        }
        Ok(OnceReply::Done(answer))
    }
}

fn again<R>(key: &RequestKey, kept: KeptAnswer) -> OnceReply<R> {
    if kept.digest == key.digest { OnceReply::Replayed(kept.answer) } else { OnceReply::Reused }
}
