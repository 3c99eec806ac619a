//! What lies in the queues and who reads them. Only looks.

use std::sync::Arc;
use std::time::Duration;

use bus::{Fault, Verdict};
use futures_util::future::{try_join, try_join_all};
use lapin::Channel;

use super::link::Link;
use super::steps::ask;
use super::wire::Naming;

/// A queue as the broker sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// Its name.
    pub queue: String,
    /// Messages that are ready.
    pub messages: u32,
    /// Who reads it.
    pub consumers: u32,
    /// Where the broker puts what the queue could not take.
    pub error_queue: String,
    /// Messages that lie there.
    pub set_aside: u32,
    /// Messages that this process was given and has not acknowledged.
    pub held: usize,
    /// For how long the oldest of them.
    pub held_for: Duration,
}

impl QueueDepth {
    fn unknown(queue: &str) -> Self {
        Self {
            queue: queue.to_owned(),
            messages: 0,
            consumers: 0,
            error_queue: Naming::error_queue(queue),
            set_aside: 0,
            held: 0,
            held_for: Duration::ZERO,
        }
    }
}

/// Asks for each queue without declaring any. All are asked at once, so that it takes one way to the broker and back; one by one if
/// something is amiss with one of them.
pub(super) async fn of(link: &Link, queues: &[Arc<str>]) -> Result<Vec<QueueDepth>, Fault> {
    let opened = link.open().await?;
    match try_join_all(queues.iter().map(|queue| depth(&opened.channel, queue))).await {
        // Another connection may hold a queue for itself.
        Err(fault) if fault.verdict == Verdict::GiveUp => one_by_one(link, queues).await,
        depths => depths,
    }
}

/// A queue that is amiss closes the channel on which it is asked for. Nothing is known of it, so it has no messages and no readers.
async fn one_by_one(link: &Link, queues: &[Arc<str>]) -> Result<Vec<QueueDepth>, Fault> {
    let (mut depths, mut unused) = (Vec::new(), None);
    for queue in queues {
        let opened = match unused.take() {
            Some(opened) => opened,
            None => link.open().await?,
        };
        match depth(&opened.channel, queue).await {
            Ok(depth) => {
                depths.push(depth);
                unused = Some(opened);
            }
            Err(fault) if fault.verdict == Verdict::GiveUp => depths.push(QueueDepth::unknown(queue)),
            Err(fault) => return Err(fault),
        }
    }
    Ok(depths)
}

async fn depth(channel: &Channel, queue: &str) -> Result<QueueDepth, Fault> {
    let error_queue = Naming::error_queue(queue);
    let (seen, aside) = try_join(ask(channel, queue), ask(channel, &error_queue)).await?;
    Ok(QueueDepth {
        messages: seen.message_count(),
        consumers: seen.consumer_count(),
        set_aside: aside.message_count(),
        ..QueueDepth::unknown(queue)
    })
}
