//! The batch loop: receive, perform, handle, commit, acknowledge. Batches form by themselves: whatever is ready when the
//! last batch is done is the next one. A batch that fails is bisected until the message to blame stands alone.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;

use crate::consumer::{Effects, Work};
use crate::limits::{BACKOFF_MAX, BACKOFF_MIN, BATCH_MAX, CONFLICT_ATTEMPTS_MAX};
use crate::{
    Clock, Consumer, Delivery, Disposition, Fault, Feed, IdSource, Message, Receipt, RetryPolicy, Settlement,
    Stop, Store, Unit, Verdict, jittered,
};

/// How an endpoint treats its messages.
#[derive(Clone, Copy, Debug)]
pub struct EndpointPolicy {
    /// Messages in one transaction at most.
    pub batch_max: usize,
    /// Delayed redelivery of a message that cannot be handled, before it becomes a dead letter.
    pub redelivery: RetryPolicy,
}

impl Default for EndpointPolicy {
    fn default() -> Self {
        Self {
            batch_max: BATCH_MAX,
            redelivery: RetryPolicy::exponential(5, Duration::from_secs(1), Duration::from_secs(60)),
        }
    }
}

/// A queue, its consumer, and the loop between them.
pub struct Endpoint<C, U: Unit + ?Sized> {
    consumer: Arc<C>,
    store: Arc<dyn Store<U>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    policy: EndpointPolicy,
}

type WorkOf<C, U> = Work<<C as Consumer<U>>::Message, <C as Consumer<U>>::Answer>;

/// What became of a message before its batch: its effect is done, or it cannot be handled.
enum Prepared<W> {
    Ready(W),
    Spoilt(Delivery, Fault),
}

impl<C, U> Endpoint<C, U>
where
    C: Consumer<U>,
    U: Unit + ?Sized + 'static,
{
    /// An endpoint for this consumer.
    pub fn new(
        consumer: Arc<C>,
        store: Arc<dyn Store<U>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        policy: EndpointPolicy,
    ) -> Self {
        Self { consumer, store, clock, ids, policy }
    }

    /// Runs until stopped. What is already received is finished, effects under way included; nothing new is taken.
    pub async fn run(&self, mut feed: Box<dyn Feed>, stop: Stop) {
        let mut effects = JoinSet::new();
        let mut pause = BACKOFF_MIN;
        loop {
            match self.gather(feed.as_mut(), &mut effects, &stop).await {
                Ok(None) => return,
                Ok(Some(batch)) => {
                    pause = BACKOFF_MIN;
                    self.finish(feed.as_mut(), batch, &stop).await;
                }
                Err(fault) => {
                    tracing::warn!(queue = self.consumer.queue(), %fault, "transport is away");
                    stop.sleep(jittered(pause, self.ids.as_ref())).await;
                    pause = (pause * 2).min(BACKOFF_MAX);
                }
            }
        }
    }

    /// Waits until something is ready and returns all that is. None when stopped and nothing is under way.
    async fn gather(
        &self,
        feed: &mut dyn Feed,
        effects: &mut JoinSet<Prepared<WorkOf<C, U>>>,
        stop: &Stop,
    ) -> Result<Option<Vec<Prepared<WorkOf<C, U>>>>, Fault> {
        loop {
            let room = self.room(effects.len());
            tokio::select! {
                biased;
                Some(done) = effects.join_next() => return Ok(Some(self.drain(done, effects))),
                () = stop.stopped(), if effects.is_empty() => return Ok(None),
                received = feed.receive(room), if room > 0 && !stop.is_stopped() => {
                    if let Some(batch) = self.begin(received?, effects) {
                        return Ok(Some(batch));
                    }
                }
            }
        }
    }

    /// How many more messages may be taken.
    fn room(&self, under_way: usize) -> usize {
        match self.consumer.effects() {
            Effects::None => self.policy.batch_max,
            Effects::Outside { at_once_max } => {
                at_once_max.saturating_sub(under_way).min(self.policy.batch_max)
            }
        }
    }

    /// Starts the effects of what was received; without effects it is ready at once.
    fn begin(
        &self,
        received: Vec<Delivery>,
        effects: &mut JoinSet<Prepared<WorkOf<C, U>>>,
    ) -> Option<Vec<Prepared<WorkOf<C, U>>>> {
        match self.consumer.effects() {
            Effects::Outside { .. } => {
                for delivery in received {
                    effects.spawn(prepare(Arc::clone(&self.consumer), delivery));
                }
                None
            }
            Effects::None => {
                let ready =
                    received.into_iter().map(|delivery| prepare(Arc::clone(&self.consumer), delivery));
                let ready: Option<Vec<_>> = ready.map(FutureExt::now_or_never).collect();
                Some(ready.expect("a consumer that declares no effects answers at once"))
            }
        }
    }

    /// All effects that are done by now, up to a batch.
    fn drain(
        &self,
        first: Result<Prepared<WorkOf<C, U>>, tokio::task::JoinError>,
        effects: &mut JoinSet<Prepared<WorkOf<C, U>>>,
    ) -> Vec<Prepared<WorkOf<C, U>>> {
        let mut batch = vec![first.expect("an effect's panic is caught within it, and none is aborted")];
        while batch.len() < self.policy.batch_max {
            match effects.try_join_next() {
                Some(done) => {
                    batch.push(done.expect("an effect's panic is caught within it, and none is aborted"))
                }
                None => break,
            }
        }
        batch
    }

    /// Carries a batch to its end: committed, redelivered or dead-lettered, message by message if need be.
    async fn finish(&self, feed: &mut dyn Feed, batch: Vec<Prepared<WorkOf<C, U>>>, stop: &Stop) {
        let mut ready = Vec::with_capacity(batch.len());
        for prepared in batch {
            match prepared {
                Prepared::Ready(work) => ready.push(work),
                Prepared::Spoilt(delivery, fault) => self.set_aside(feed, &delivery, &fault, stop).await,
            }
        }
        let mut parts = if ready.is_empty() { Vec::new() } else { vec![ready] };
        while let Some(part) = parts.pop() {
            if let Err((mut part, fault)) = self.settle_part(feed, part, stop).await {
                if part.len() > 1 {
                    let later = part.split_off(part.len() / 2);
                    parts.push(later);
                    parts.push(part);
                } else if fault.verdict == Verdict::Stale {
                    self.acknowledge(feed, &receipts(&part)).await;
                } else if let Some(work) = part.first() {
                    self.set_aside(feed, work.delivery(), &fault, stop).await;
                }
            }
        }
    }

    /// Handles and commits one part, waiting for the store as long as it takes. Gives the part back if it is to be split.
    async fn settle_part(
        &self,
        feed: &mut dyn Feed,
        mut part: Vec<WorkOf<C, U>>,
        stop: &Stop,
    ) -> Result<(), (Vec<WorkOf<C, U>>, Fault)> {
        let mut conflicts = 0;
        let mut pause = BACKOFF_MIN;
        loop {
            let Err(fault) = self.attempt(&mut part).await else {
                self.acknowledge(feed, &receipts(&part)).await;
                return Ok(());
            };
            match fault.verdict {
                Verdict::Conflict if conflicts < CONFLICT_ATTEMPTS_MAX => conflicts += 1,
                Verdict::Retry if stop.is_stopped() => return Ok(()),
                Verdict::Retry => {
                    tracing::warn!(queue = self.consumer.queue(), %fault, "store is away");
                    stop.sleep(jittered(pause, self.ids.as_ref())).await;
                    pause = (pause * 2).min(BACKOFF_MAX);
                }
                Verdict::Conflict | Verdict::Stale | Verdict::GiveUp => return Err((part, fault)),
            }
        }
    }

    /// One transaction over the part.
    async fn attempt(&self, part: &mut [WorkOf<C, U>]) -> Result<(), Fault> {
        part.iter_mut().for_each(Work::reset);
        let mut unit = self.store.begin().await?;
        let handled = AssertUnwindSafe(self.consumer.handle(unit.as_mut(), part)).catch_unwind().await;
        handled.unwrap_or_else(|panic| Err(Fault::give_up("consumer.handle", panic_text(panic.as_ref()))))?;
        let at = self.clock.now();
        let settle = |work: &WorkOf<C, U>| Settlement {
            delivery: work.delivery().clone(),
            disposition: work.disposition().clone(),
            at,
        };
        unit.settle(part.iter().map(settle).collect()).await?;
        unit.commit().await
    }

    /// Delayed redelivery, or the dead letters when it has had its chances.
    async fn set_aside(&self, feed: &mut dyn Feed, delivery: &Delivery, fault: &Fault, stop: &Stop) {
        let disposition = self.fate(delivery, fault);
        let mut pause = BACKOFF_MIN;
        while let Err(away) = self.store_fate(delivery, &disposition).await {
            if away.verdict == Verdict::Stale {
                break;
            }
            if stop.is_stopped() {
                return;
            }
            tracing::warn!(queue = self.consumer.queue(), fault = %away, "store is away");
            stop.sleep(jittered(pause, self.ids.as_ref())).await;
            pause = (pause * 2).min(BACKOFF_MAX);
        }
        self.acknowledge(feed, std::slice::from_ref(&delivery.receipt)).await;
    }

    fn fate(&self, delivery: &Delivery, fault: &Fault) -> Disposition {
        let queue = self.consumer.queue();
        let reason = fault.to_string();
        match self.policy.redelivery.pause(delivery.envelope.attempt + 1, None, self.ids.as_ref()) {
            Some(pause) => {
                tracing::warn!(queue, message = %delivery.envelope.id, reason, "message comes again later");
                let due_at = self.clock.now().saturating_add(pause).unwrap_or(jiff::Timestamp::MAX);
                Disposition::Redeliver { due_at, reason }
            }
            None => {
                tracing::error!(queue, message = %delivery.envelope.id, reason, "message goes to the dead letters");
                Disposition::DeadLetter { reason }
            }
        }
    }

    async fn store_fate(&self, delivery: &Delivery, disposition: &Disposition) -> Result<(), Fault> {
        let mut unit = self.store.begin().await?;
        let settlement =
            Settlement { delivery: delivery.clone(), disposition: disposition.clone(), at: self.clock.now() };
        unit.settle(vec![settlement]).await?;
        unit.commit().await
    }

    /// A failed acknowledgement only means that the deliveries come again; the commit has made them repeats.
    async fn acknowledge(&self, feed: &mut dyn Feed, receipts: &[Receipt]) {
        if let Err(fault) = feed.acknowledge(receipts).await {
            tracing::warn!(queue = self.consumer.queue(), %fault, "acknowledgement lost; the messages will come again");
        }
    }
}

async fn prepare<C, U>(consumer: Arc<C>, delivery: Delivery) -> Prepared<WorkOf<C, U>>
where
    C: Consumer<U>,
    U: Unit + ?Sized,
{
    let envelope = Arc::clone(&delivery.envelope);
    let message = match C::Message::decode(&envelope.kind, &envelope.body) {
        Ok(message) => message,
        Err(fault) => return Prepared::Spoilt(delivery, fault),
    };
    match AssertUnwindSafe(consumer.perform(&message, &envelope)).catch_unwind().await {
        Ok(Ok(answer)) => Prepared::Ready(Work::new(delivery, message, answer)),
        Ok(Err(fault)) => Prepared::Spoilt(delivery, fault),
        Err(panic) => {
            Prepared::Spoilt(delivery, Fault::give_up("consumer.perform", panic_text(panic.as_ref())))
        }
    }
}

fn receipts<M, A>(part: &[Work<M, A>]) -> Vec<Receipt> {
    part.iter().map(|work| work.delivery().receipt.clone()).collect()
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panicked: {}", text.unwrap_or_else(|| "without a text".to_owned()))
}
