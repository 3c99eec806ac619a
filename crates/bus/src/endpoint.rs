//! The batch loop: receive, perform, handle, commit, acknowledge. Batches form by themselves: the messages that are
//! ready when the last batch is done are the next one. A batch that fails is bisected until the bad message stands
//! alone.

mod parts;

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Fuse, FusedFuture, FutureExt};
use jiff::Timestamp;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use self::parts::Parts;
use crate::consumer::Work;
use crate::handling::{
    Effectful, Plain, Receiver, Spoilt, WorkOf, handle, prepare, prepare_at_once, split_overtaken,
};
use crate::limits::{
    BATCH_MAX, CONFLICT_ATTEMPTS_MAX, LEFT_FOR, PERFORM_MAX, REASON_CHARS_MAX, WHOLE_ATTEMPTS_MAX,
};
use crate::retry::Backoff;
use crate::vetting::{Unhandled, may_be_foreign, prepare_vetted, vetting};
use crate::{
    Chain, Clock, Consumer, Delivery, Disposition, EffectConsumer, Fault, Feed, IdSource, Origin, Receipt,
    RetryPolicy, Settlement, Stop, Store, Unit, Verdict,
};

/// How an endpoint treats its messages.
#[derive(Clone, Copy, Debug)]
pub struct EndpointPolicy {
    /// Messages in one transaction at most.
    pub batch_max: usize,
    /// Effects under way at once, if its consumer has effects; at least one, at most
    /// [`PERFORM_MAX`](crate::limits::PERFORM_MAX).
    pub effects_max: usize,
    /// Delayed redelivery of a message that cannot be handled, before it becomes a dead letter.
    pub redelivery: RetryPolicy,
}

impl Default for EndpointPolicy {
    fn default() -> Self {
        Self {
            batch_max: BATCH_MAX,
            effects_max: PERFORM_MAX,
            redelivery: RetryPolicy::exponential(5, Duration::from_secs(1), Duration::from_secs(60)),
        }
    }
}

/// A queue, its consumer, and the loop between them.
pub struct Endpoint<U: Unit + ?Sized> {
    queue: &'static str,
    batches: Box<dyn Batches<U>>,
}

impl<U: Unit + ?Sized + 'static> Endpoint<U> {
    /// An endpoint for this consumer.
    pub fn new<C: Consumer<U>>(
        consumer: Arc<C>,
        store: Arc<dyn Store<U>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        policy: EndpointPolicy,
    ) -> Self {
        Self::receiving(Plain(consumer), store, clock, ids, policy)
    }

    /// An endpoint for this consumer, which calls the outside.
    pub fn with_effects<C: EffectConsumer<U>>(
        consumer: Arc<C>,
        store: Arc<dyn Store<U>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        policy: EndpointPolicy,
    ) -> Self {
        Self::receiving(Effectful(consumer), store, clock, ids, policy)
    }

    pub(crate) fn receiving<C: Receiver<U>>(
        consumer: C,
        store: Arc<dyn Store<U>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        policy: EndpointPolicy,
    ) -> Self {
        let (queue, consumer) = (consumer.queue(), Arc::new(consumer));
        let chain = Arc::new(Chain::new(Arc::clone(&clock)));
        Self { queue, batches: Box::new(BatchLoop { consumer, store, clock, ids, policy, chain }) }
    }

    /// The same endpoint with inline dispatch of what a batch publishes.
    #[must_use]
    pub fn following(mut self, chain: Arc<Chain<U>>) -> Self {
        self.batches.follow(chain);
        self
    }

    /// The queue that it reads.
    #[must_use]
    pub const fn queue(&self) -> &'static str {
        self.queue
    }

    /// Runs until stopped. Received messages are finished, effects in progress included; no new ones are taken. While
    /// one batch commits, the next gathers and starts its effects. The batch is cut after `begin` returns: messages
    /// that arrive while we wait for a transaction still join it.
    pub async fn run(&self, feed: Box<dyn Feed>, stop: Stop) {
        self.batches.run(feed, stop).await;
    }
}

/// The loop of an endpoint, whatever its messages.
#[async_trait]
trait Batches<U: Unit + ?Sized>: Send + Sync {
    fn follow(&mut self, chain: Arc<Chain<U>>);

    async fn run(&self, feed: Box<dyn Feed>, stop: Stop);
}

struct BatchLoop<C, U: Unit + ?Sized> {
    consumer: Arc<C>,
    store: Arc<dyn Store<U>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    policy: EndpointPolicy,
    chain: Arc<Chain<U>>,
}

/// The state of a message before its batch: its effect is done, or it cannot be handled.
type Prepared<C, U> = Result<WorkOf<C, U>, Unhandled>;

/// Incoming work: effects in progress, messages for the next batch, and whether the transport may be asked.
struct Intake<P> {
    effects: JoinSet<P>,
    ready: VecDeque<P>,
    closed_until: Instant,
    backoff: Backoff,
}

impl<P: 'static> Intake<P> {
    fn new() -> Self {
        Self {
            effects: JoinSet::new(),
            ready: VecDeque::new(),
            closed_until: Instant::now(),
            backoff: Backoff::default(),
        }
    }

    /// Takes one finished effect, and all others that are finished.
    fn collect(&mut self, first: Result<P, JoinError>) {
        let mut next = Some(first);
        while let Some(done) = next {
            self.ready.push_back(done.expect("an effect's panic is caught within it, and none is aborted"));
            next = self.effects.try_join_next();
        }
    }

    /// The ready messages that fit in one batch.
    fn take_batch(&mut self, max: usize) -> Vec<P> {
        let count = self.ready.len().min(max);
        self.ready.drain(..count).collect()
    }
}

/// How a transaction over some deliveries ended.
enum Ended {
    Committed,
    /// The store is away and we are stopping: nothing is stored, the deliveries come again.
    Abandoned,
    /// It fails with these deliveries together.
    Failed(Fault),
}

#[async_trait]
impl<C, U> Batches<U> for BatchLoop<C, U>
where
    C: Receiver<U>,
    U: Unit + ?Sized + 'static,
{
    fn follow(&mut self, chain: Arc<Chain<U>>) {
        self.chain = chain;
    }

    async fn run(&self, mut feed: Box<dyn Feed>, stop: Stop) {
        let mut intake: Intake<Prepared<C, U>> = Intake::new();
        let mut beginning = pin!(Fuse::terminated());
        let mut finishing = pin!(Fuse::terminated());
        loop {
            if finishing.is_terminated() && beginning.is_terminated() {
                if !intake.ready.is_empty() {
                    beginning.set(self.store.begin().fuse());
                } else if stop.is_stopped() && intake.effects.is_empty() {
                    return;
                }
            }
            let open = !stop.is_stopped();
            let room = if open { self.room(&intake) } else { 0 };
            tokio::select! {
                biased;
                settled = &mut finishing, if !finishing.is_terminated() => {
                    let settled: Vec<Receipt> = settled;
                    self.acknowledge(feed.as_mut(), &settled).await;
                }
                Some(done) = intake.effects.join_next() => intake.collect(done),
                received = receive(feed.as_mut(), room, intake.closed_until), if room > 0 => match received {
                    Ok(received) => self.begin(received, &mut intake, &stop),
                    Err(fault) => self.hold_off(&mut intake, &fault),
                },
                begun = &mut beginning, if !beginning.is_terminated() => {
                    let batch = intake.take_batch(self.policy.batch_max.max(1));
                    finishing.set(self.finish(batch, begun.ok(), &stop).fuse());
                }
                () = stop.stopped(), if open => {}
            }
        }
    }
}

impl<C, U> BatchLoop<C, U>
where
    C: Receiver<U>,
    U: Unit + ?Sized + 'static,
{
    /// The transport is away: take nothing for a while. Effects in progress still finish.
    fn hold_off(&self, intake: &mut Intake<Prepared<C, U>>, fault: &Fault) {
        tracing::warn!(queue = self.consumer.queue(), %fault, "transport is away");
        intake.closed_until = Instant::now() + intake.backoff.next(self.ids.as_ref());
    }

    /// How many more messages may be taken: one batch ahead, and no more effects at once than the consumer allows.
    fn room(&self, intake: &Intake<Prepared<C, U>>) -> usize {
        let batch_max = self.policy.batch_max.max(1);
        let under_way = intake.effects.len();
        let ahead = batch_max.saturating_sub(intake.ready.len());
        if self.consumer.without_effect().is_some() {
            return ahead;
        }
        self.policy.effects_max.clamp(1, PERFORM_MAX).saturating_sub(under_way).min(ahead)
    }

    /// Starts the effects of received messages; without effects they are ready at once. Messages that another program
    /// may have written are checked first, all together.
    fn begin(&self, received: Vec<Delivery>, intake: &mut Intake<Prepared<C, U>>, stop: &Stop) {
        intake.backoff = Backoff::default();
        if self.consumer.without_effect().is_some() {
            let prepared = received.into_iter().filter_map(|delivery| {
                self.consumer.without_effect().map(|answer| prepare_at_once(delivery, answer))
            });
            intake.ready.extend(prepared.map(|prepared| prepared.map_err(Unhandled::Spoilt)));
            return;
        }
        let (doubtful, own): (Vec<Delivery>, Vec<Delivery>) = received.into_iter().partition(may_be_foreign);
        for delivery in own {
            intake
                .effects
                .spawn(prepare(Arc::clone(&self.consumer), delivery).map(|it| it.map_err(Unhandled::Spoilt)));
        }
        let consumer = || Arc::clone(&self.consumer);
        let (store, ids) = (Arc::clone(&self.store), Arc::clone(&self.ids));
        let vetting = vetting(consumer(), store, ids, &doubtful, stop.clone());
        for (place, delivery) in doubtful.into_iter().enumerate() {
            intake.effects.spawn(prepare_vetted(consumer(), delivery, vetting.clone(), place));
        }
    }

    /// Finishes a batch: each message is committed, redelivered or dead-lettered, one by one if necessary. Returns
    /// the settled messages, to be acknowledged.
    async fn finish(&self, batch: Vec<Prepared<C, U>>, unit: Option<Box<U>>, stop: &Stop) -> Vec<Receipt> {
        let (mut ready, mut spoilt) = (Vec::with_capacity(batch.len()), Vec::new());
        for prepared in batch {
            match prepared {
                Ok(work) => ready.push(work),
                Err(Unhandled::Spoilt(it)) => spoilt.push(self.fate_of(it)),
                Err(Unhandled::Decided(delivery, disposition)) => {
                    spoilt.push(Settlement { delivery, disposition, at: self.clock.now() });
                }
            }
        }
        // An unused unit must be dropped before the next begins.
        let mut unit = unit.filter(|_| !ready.is_empty());
        let mut done = Vec::with_capacity(ready.len());
        let mut parts = Parts::new(ready);
        while let Some(mut part) = parts.next() {
            match self.settle_part(&mut part, &mut unit, stop).await {
                Ended::Committed => {
                    let (overtaken, settled) = split_overtaken(part);
                    done.extend(receipts(&settled));
                    parts.push(overtaken);
                }
                Ended::Abandoned => {}
                Ended::Failed(_) if part.len() > 1 => parts.halve(part),
                Ended::Failed(fault) if fault.verdict == Verdict::Stale => done.extend(receipts(&part)),
                Ended::Failed(fault) => {
                    let fates = part.iter().map(|work| self.fate(work.delivery().clone(), &fault)).collect();
                    done.extend(self.set_aside(fates, stop).await);
                }
            }
        }
        done.extend(self.set_aside(spoilt, stop).await);
        done
    }

    /// Handles and commits one part, and waits for the store as long as it takes. But if the store answers and still
    /// cannot finish the part, the part is halved.
    async fn settle_part(&self, part: &mut [WorkOf<C, U>], unit: &mut Option<Box<U>>, stop: &Stop) -> Ended {
        let (mut conflicts, mut unfinished) = (0, 0);
        let mut backoff = Backoff::default();
        loop {
            let attempted = match self.begun(unit.take()).await {
                Ok(unit) => self.attempt(part, unit).await.inspect_err(|_| unfinished += 1),
                Err(away) => Err(away),
            };
            let Err(fault) = attempted else {
                return Ended::Committed;
            };
            match fault.verdict {
                Verdict::Conflict if conflicts < CONFLICT_ATTEMPTS_MAX => conflicts += 1,
                Verdict::Retry if stop.is_stopped() => return Ended::Abandoned,
                Verdict::Retry if unfinished > WHOLE_ATTEMPTS_MAX && part.len() > 1 => {
                    return Ended::Failed(fault);
                }
                Verdict::Retry => {
                    tracing::warn!(queue = self.consumer.queue(), %fault, "store is away");
                    backoff.wait(self.ids.as_ref(), stop).await;
                }
                Verdict::Conflict | Verdict::Stale | Verdict::LeaveToOthers | Verdict::GiveUp => {
                    return Ended::Failed(fault);
                }
            }
        }
    }

    /// The open unit, or a new one.
    async fn begun(&self, unit: Option<Box<U>>) -> Result<Box<U>, Fault> {
        match unit {
            Some(unit) => Ok(unit),
            None => self.store.begin().await,
        }
    }

    /// One transaction over the part.
    async fn attempt(&self, part: &mut [WorkOf<C, U>], mut unit: Box<U>) -> Result<(), Fault> {
        handle(self.consumer.as_ref(), unit.as_mut(), part, self.clock.as_ref()).await?;
        self.chain.follow(unit.as_mut()).await?;
        unit.commit().await
    }

    /// Stores the fate of messages that could not be handled; in one transaction unless one of them makes it fail.
    async fn set_aside(&self, fates: Vec<Settlement>, stop: &Stop) -> Vec<Receipt> {
        let mut done = Vec::new();
        let mut parts = Parts::new(fates);
        while let Some(part) = parts.next() {
            let receipts = part.iter().map(|fate| fate.delivery.receipt.clone());
            match self.settle_fates(&part, stop).await {
                Ended::Committed => done.extend(receipts),
                Ended::Abandoned => {}
                Ended::Failed(_) if part.len() > 1 => parts.halve(part),
                Ended::Failed(fault) if fault.verdict == Verdict::Stale => done.extend(receipts),
                // Not acknowledged, so not lost: it comes again after the next start and holds up no other until
                // then.
                Ended::Failed(fault) => {
                    tracing::error!(queue = self.consumer.queue(), %fault, "message cannot even be set aside");
                }
            }
        }
        done
    }

    async fn settle_fates(&self, fates: &[Settlement], stop: &Stop) -> Ended {
        let mut backoff = Backoff::default();
        loop {
            let Err(fault) = self.store_fates(fates).await else {
                return Ended::Committed;
            };
            match fault.verdict {
                Verdict::Stale | Verdict::LeaveToOthers | Verdict::GiveUp => return Ended::Failed(fault),
                Verdict::Retry | Verdict::Conflict if stop.is_stopped() => return Ended::Abandoned,
                Verdict::Retry | Verdict::Conflict => {
                    tracing::warn!(queue = self.consumer.queue(), %fault, "store is away");
                    backoff.wait(self.ids.as_ref(), stop).await;
                }
            }
        }
    }

    async fn store_fates(&self, fates: &[Settlement]) -> Result<(), Fault> {
        let mut unit = self.store.begin().await?;
        unit.settle(fates.to_vec()).await?;
        unit.commit().await
    }

    /// What another program wrote and cannot be read here dies at once: it will not read better the next time. What our own
    /// store kept may be written by a newer version of this program, so it comes again.
    fn fate_of(&self, spoilt: Spoilt) -> Settlement {
        let Spoilt { delivery, fault, is_unreadable } = spoilt;
        let is_from_outside = matches!(delivery.receipt.origin, Origin::Broker(_));
        if !is_unreadable || !is_from_outside || fault.verdict == Verdict::LeaveToOthers {
            return self.fate(delivery, &fault);
        }
        let reason = storable(&fault.to_string());
        self.log_dead(&delivery, &reason);
        Settlement { delivery, disposition: Disposition::DeadLetter { reason }, at: self.clock.now() }
    }

    fn log_dead(&self, delivery: &Delivery, reason: &str) {
        let (message_id, correlation_id) = (delivery.envelope.id, delivery.envelope.correlation_id);
        tracing::error!(queue = self.consumer.queue(), %message_id, %correlation_id, reason, "message goes to the dead letters");
    }

    /// Delayed redelivery, or the dead letters when all attempts are used. Work for a newer program has no limit of
    /// attempts.
    fn fate(&self, delivery: Delivery, fault: &Fault) -> Settlement {
        let queue = self.consumer.queue();
        let at = self.clock.now();
        if fault.verdict == Verdict::LeaveToOthers {
            tracing::warn!(queue, message_id = %delivery.envelope.id, %fault, "message is left to a newer program");
            let until = at.saturating_add(LEFT_FOR).unwrap_or(Timestamp::MAX);
            return Settlement { delivery, disposition: Disposition::Park { until }, at };
        }
        let reason = storable(&fault.to_string());
        let attempt = delivery.envelope.attempt.saturating_add(1);
        let (message_id, correlation_id) = (delivery.envelope.id, delivery.envelope.correlation_id);
        let disposition = match self.policy.redelivery.pause(attempt, None, self.ids.as_ref()) {
            Some(pause) => {
                tracing::warn!(queue, %message_id, %correlation_id, reason, "message comes again later");
                Disposition::Redeliver { due_at: at.saturating_add(pause).unwrap_or(Timestamp::MAX), reason }
            }
            None => {
                self.log_dead(&delivery, &reason);
                Disposition::DeadLetter { reason }
            }
        };
        Settlement { delivery, disposition, at }
    }

    /// A failed acknowledgement only means that the deliveries come again; the commit has made them repeats.
    async fn acknowledge(&self, feed: &mut dyn Feed, receipts: &[Receipt]) {
        if receipts.is_empty() {
            return;
        }
        if let Err(fault) = feed.acknowledge(receipts).await {
            tracing::warn!(queue = self.consumer.queue(), %fault, "acknowledgement lost; the messages will come again");
        }
    }
}

/// Asks the transport, but not before `opens_at`. Safe to drop while waiting.
async fn receive(feed: &mut dyn Feed, max: usize, opens_at: Instant) -> Result<Vec<Delivery>, Fault> {
    if opens_at > Instant::now() {
        tokio::time::sleep_until(opens_at).await;
    }
    feed.receive(max).await
}

/// A reason that every store can keep: bounded, and without control characters.
fn storable(reason: &str) -> String {
    let moves = |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let printable = |c: char| if c.is_control() || moves(c) { ' ' } else { c };
    reason.chars().take(REASON_CHARS_MAX).map(printable).collect()
}

fn receipts<M, A>(part: &[Work<M, A>]) -> Vec<Receipt> {
    part.iter().map(|work| work.delivery().receipt.clone()).collect()
}
