//! One channel that consumes one queue, with what it delivered and what was said about it. Ends with its channel; what was not
//! acknowledged by then is delivered again, on another one.

use std::collections::VecDeque;
use std::sync::Arc;

use bus::{Delivery, Fault, Origin, Receipt};
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    BasicRejectOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::culprits::Way;
use super::limits::{OPENED_ALONE_FOR, PREFETCH_ALONE};
use super::link::{Link, Opened};
use super::properties;
use super::receipts::{Ack, Mark, Outstanding};
use super::refusal::{self, Refusal};
use super::shared::Shared;
use super::unreadable::{SetAside, Unreadable};
use super::watch::{Verdict, Watch};
use super::wire::WireError;

/// A consuming channel.
pub(super) struct Session {
    shared: Arc<Shared>,
    queue: Arc<str>,
    /// The queue's name as it is known here, for receipts.
    bare: Arc<str>,
    kinds: Vec<&'static str>,
    link: Arc<Link>,
    /// Whether no other queue is read on its connection.
    is_alone: bool,
    /// Which one that is, counted from the link's first.
    connection: u64,
    channel: Channel,
    consumer: Consumer,
    generation: u64,
    outstanding: Outstanding,
    /// What cannot be read, on its way to the error queue.
    aside: JoinSet<SetAside>,
    /// When each of them arrived, the oldest first; what is done by now stays until it is the oldest.
    arrivals: VecDeque<(u64, Instant)>,
    watch: Watch,
}

/// What a consumer has to say.
pub(super) enum Next {
    /// Messages; none if what came could not be read.
    Deliveries(Vec<Delivery>),
    /// It is of no use and to be made anew.
    Anew,
    /// It hears nothing, so another one is to take its place.
    Renewed,
}

impl Session {
    /// Opens a channel and begins to consume.
    pub(super) async fn open(shared: Arc<Shared>, queue: Arc<str>) -> Result<Self, Fault> {
        let way = shared.culprits.way(&queue).await;
        let (link, is_alone) = match &way {
            Way::Together | Way::InTurn(_) => (Arc::clone(&shared.consuming), false),
            Way::Alone(link) => (Arc::clone(link), true),
        };
        let opened = link.open().await?;
        let (channel, connection) = (opened.channel.clone(), opened.epoch);
        let generation = shared.next_generation();
        let prefetch = if is_alone { PREFETCH_ALONE } else { shared.prefetch };
        let limit = shared.answer_limit;
        let Ok(consumed) = timeout(limit, consume(&channel, &shared, &queue, generation, prefetch)).await
        else {
            // A quorum queue that has no leader yet can swallow the question: RabbitMQ's channel then waits for ever. The others
            // of this connection do not suffer from it, so they stay. This one is closed: if the broker does answer one day, nobody
            // would read what it then sends here.
            link.bury(opened);
            let text = format!(
                "the broker did not say within {limit:?} that '{queue}' is read; the channel is closed and another one tried"
            );
            return Err(Fault::retry(RECEIVE, text));
        };
        let consumed = match (consumed, &way) {
            (Ok(consumer), Way::InTurn(_)) => stands(&opened, consumer).await,
            (consumed, _) => consumed,
        };
        if consumed.as_ref().is_err_and(refusal::is_breakdown) {
            match &way {
                Way::Together => shared.culprits.broke(connection),
                Way::InTurn(_) => shared.culprits.blame(&queue, connection, &link),
                Way::Alone(_) => shared.culprits.blame_again(&queue),
            }
        }
        let consumer = consumed.map_err(|error| not_consumed(&link, &queue, error))?;
        let kinds = shared.declaration.topology().kinds(&queue).collect();
        let (outstanding, arrivals) = (Outstanding::default(), VecDeque::new());
        let watch = Watch::over(Arc::clone(&shared), Arc::clone(&queue));
        let bare = Arc::from(shared.bare(&queue));
        Ok(Self {
            shared,
            queue,
            bare,
            kinds,
            link,
            is_alone,
            connection,
            channel,
            consumer,
            generation,
            outstanding,
            aside: JoinSet::new(),
            arrivals,
            watch,
        })
    }

    /// Waits for a delivery and returns all that are there, up to `max`. Nothing is waited for once one was taken, so that
    /// whoever drops this future loses nothing.
    pub(super) async fn next(&mut self, max: usize) -> Result<Next, Fault> {
        let mut deliveries = Vec::new();
        let mut next = loop {
            tokio::select! {
                biased;
                // One that panicked stays unacknowledged, and comes again.
                Some(Ok(done)) = self.aside.join_next() => self.settle_aside(&done),
                next = self.consumer.next() => break next,
                verdict = self.watch.verdict(self.outstanding.len()) => return Ok(self.anew(verdict)),
            }
        };
        self.watch.heard();
        for room in (0..max).rev() {
            // What was taken before the end of the stream counts no more: it comes again.
            let delivery = self.judge(next)?;
            deliveries.extend(self.take(delivery)?);
            if room == 0 {
                break;
            }
            match self.consumer.next().now_or_never() {
                Some(arrived) => next = arrived,
                None => break,
            }
        }
        self.note_held();
        Ok(Next::Deliveries(deliveries))
    }

    fn anew(&self, verdict: Verdict) -> Next {
        let queue = &*self.queue;
        match verdict {
            Verdict::Stay => Next::Deliveries(Vec::new()),
            Verdict::Unread => {
                tracing::warn!(queue, "nobody reads the queue, this consumer included; it is opened anew");
                Next::Anew
            }
            Verdict::Renew => {
                tracing::debug!(queue, "a consumer that hears nothing is opened anew");
                Next::Renewed
            }
        }
    }

    /// Whether deliveries are in our hands.
    pub(super) fn holds_any(&self) -> bool {
        self.outstanding.len() > 0
    }

    /// Tells how many deliveries are in our hands, and since when.
    fn note_held(&mut self) {
        while self.arrivals.front().is_some_and(|(tag, _)| !self.outstanding.holds(*tag)) {
            self.arrivals.pop_front();
        }
        let oldest = self.arrivals.front().map(|(_, at)| *at);
        self.shared.held.note(&self.queue, self.generation, self.outstanding.len(), oldest);
    }

    fn judge(
        &self,
        next: Option<lapin::Result<lapin::message::Delivery>>,
    ) -> Result<lapin::message::Delivery, Fault> {
        match next {
            Some(Ok(delivery)) => Ok(delivery),
            Some(Err(error)) => {
                match refusal::is_breakdown(&error) {
                    true if self.is_alone => self.shared.culprits.blame_again(&self.queue),
                    true => self.shared.culprits.broke(self.connection),
                    false => {}
                }
                Err(Fault::retry(RECEIVE, error))
            }
            None => {
                self.link.doubt();
                Err(Fault::retry(RECEIVE, "the broker ended the consumer; its queue was deleted or moved"))
            }
        }
    }

    /// A delivery of ours, or nothing if it cannot be read and goes to the error queue.
    fn take(&mut self, delivery: lapin::message::Delivery) -> Result<Option<Delivery>, Fault> {
        let tag = delivery.delivery_tag;
        let mark = Mark { generation: self.generation, tag };
        let token = mark.token().ok_or_else(|| Fault::retry(RECEIVE, "the channel has counted too far"))?;
        self.outstanding.add(tag);
        self.arrivals.push_back((tag, Instant::now()));
        let properties = delivery.properties;
        let parcel = properties::parcel(&properties, delivery.data);
        match self.shared.codec.decode_in_time(&parcel, &self.kinds, self.shared.clock.now()) {
            Ok(envelope) => {
                let receipt = Receipt { queue: Arc::clone(&self.bare), origin: Origin::Broker(token) };
                Ok(Some(Delivery { envelope: Arc::new(envelope), receipt }))
            }
            Err(error) => {
                let id = parcel.message_id.as_deref().unwrap_or("without an id");
                if matches!(error, WireError::Expired { .. }) {
                    tracing::warn!(queue = &*self.queue, message_id = id, %error, "message has expired; it goes to the error queue");
                } else {
                    tracing::error!(queue = &*self.queue, message_id = id, %error, "message cannot be read; it goes to the error queue");
                }
                let unreadable = Unreadable { queue: Arc::clone(&self.queue), properties, parcel, error };
                let (shared, kinds) = (Arc::clone(&self.shared), self.kinds.clone());
                self.aside.spawn(async move {
                    SetAside { tag, is_safe: unreadable.set_aside(&shared, &kinds).await }
                });
                Ok(None)
            }
        }
    }

    /// What lies in the error queue is done here. What could not be put there goes without its reason, by the broker's own hand.
    /// The first poll puts the frame in the line; there is nothing else to wait for.
    fn settle_aside(&mut self, done: &SetAside) {
        let SetAside { tag, is_safe } = *done;
        self.outstanding.forget(tag);
        if is_safe {
            let _ = self.channel.basic_ack(tag, BasicAckOptions { multiple: false }).now_or_never();
        } else {
            let _ = self.channel.basic_reject(tag, BasicRejectOptions { requeue: false }).now_or_never();
        }
        self.note_held();
    }

    /// Tells the broker that these are done, those of them that are this channel's; returns how many are not.
    pub(super) async fn acknowledge(&mut self, receipts: &[Receipt]) -> Result<usize, Fault> {
        let marks: Vec<Mark> = receipts.iter().filter_map(Receipt::mark).map(Mark::of).collect();
        let own = marks.iter().filter(|mark| mark.is_of(self.generation)).map(|mark| mark.tag);
        let foreign = marks.iter().filter(|mark| !mark.is_of(self.generation)).count();
        let acks = self.outstanding.settle(own);
        self.note_held();
        let said = join_all(acks.into_iter().map(|ack| self.say(ack))).await;
        said.into_iter().collect::<Result<(), _>>()?;
        Ok(foreign)
    }

    async fn say(&self, ack: Ack) -> Result<(), Fault> {
        let (tag, multiple) = match ack {
            Ack::One(tag) => (tag, false),
            Ack::UpTo(tag) => (tag, true),
        };
        let said = self.channel.basic_ack(tag, BasicAckOptions { multiple });
        said.await.map_err(|error| Fault::retry("rabbitmq.acknowledge", error))
    }
}

/// Has the broker send what is in a queue.
async fn consume(
    channel: &Channel,
    shared: &Shared,
    queue: &str,
    generation: u64,
    prefetch: u16,
) -> lapin::Result<Consumer> {
    channel.basic_qos(prefetch, BasicQosOptions { global: false }).await?;
    let tag = ShortString::from(format!("{}-{generation}", shared.codec.naming().program()));
    let options = BasicConsumeOptions::default();
    channel.basic_consume(ShortString::from(queue), tag, options, FieldTable::default()).await
}

/// The consumer, if its connection still stands after a moment; else what befell it. What was delivered meanwhile on one that does not
/// comes again.
async fn stands(opened: &Opened, mut consumer: Consumer) -> lapin::Result<Consumer> {
    let ending = async {
        let mut looks = tokio::time::interval(OPENED_ALONE_FOR / 50);
        while opened.is_up() {
            looks.tick().await;
        }
    };
    if timeout(OPENED_ALONE_FOR, ending).await.is_err() {
        return Ok(consumer);
    }
    while let Some(delivered) = consumer.next().await {
        delivered?;
    }
    Ok(consumer)
}

/// What it means that a queue cannot be read.
fn not_consumed(link: &Link, queue: &str, error: lapin::Error) -> Fault {
    match refusal::read(&error) {
        Refusal::Unknown => {
            link.doubt();
            Fault::retry(RECEIVE, error)
        }
        Refusal::Forbidden => {
            let text =
                format!("the user may not read the queue '{queue}'; grant it the right to read: {error}");
            Fault::retry(RECEIVE, text)
        }
        Refusal::Away | Refusal::Unfit => Fault::retry(RECEIVE, error),
    }
}

impl Drop for Session {
    /// Hands back what is left before the channel closes: from RabbitMQ 4.3 on, what is handed back does not count towards the
    /// delivery limit, and what a closed channel leaves behind does.
    fn drop(&mut self) {
        self.shared.held.note(&self.queue, self.generation, 0, None);
        if !self.channel.status().connected() {
            return;
        }
        let cancel = BasicCancelOptions { nowait: true };
        let _ = self.channel.basic_cancel(self.consumer.tag(), cancel).now_or_never();
        if self.outstanding.len() > 0 {
            let all = BasicNackOptions { multiple: true, requeue: true };
            let _ = self.channel.basic_nack(0, all).now_or_never();
        }
    }
}

const RECEIVE: &str = "rabbitmq.receive";
