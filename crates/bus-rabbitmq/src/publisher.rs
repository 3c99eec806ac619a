//! Publishing with confirms: all at once, then every confirm is waited for. A message that the topology says somebody wants is
//! mandatory, so the broker returns what it could bring to no queue, and that is an error too.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus::{Fault, Unsent, Verdict};
use futures_util::stream::{FuturesUnordered, StreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{Channel, Confirmation};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::heard::{Failure, Heard};
use super::holds::{Holds, Standing};
use super::limits::{IDLE_CHANNELS_MAX, IN_FLIGHT_MAX, KNOWN_EXCHANGES_MAX};
use super::link::{Link, Opened, alarm};
use super::post::{Demand, Post};
use super::properties;
use super::refusal::{self, Refusal};
use super::steps::{bind_exchange, declare_exchange, name};

/// Publishes over one link. Each sending has a channel for itself, because the driver hands a returned message to whichever
/// confirm comes next on its channel.
pub(super) struct Publisher {
    link: Link,
    confirm_limit: Duration,
    returns: Arc<watch::Sender<u64>>,
    idle: Mutex<Vec<Opened>>,
    known: Mutex<Known>,
    holds: Holds,
}

/// Exchanges that were declared on the way, on the present connection.
#[derive(Default)]
struct Known {
    epoch: u64,
    exchanges: HashSet<String>,
}

impl Publisher {
    pub(super) fn new(link: Link, confirm_limit: Duration, returns: Arc<watch::Sender<u64>>) -> Self {
        let (idle, known, holds) = (Mutex::default(), Mutex::default(), Holds::default());
        Self { link, confirm_limit, returns, idle, known, holds }
    }

    /// Publishes all and waits for every confirm. A channel on which something went wrong is not used again. What cannot be sent to
    /// its exchange at the moment is told of as refused, and the rest goes.
    pub(super) async fn send(&self, posts: &[Post]) -> Result<(), Unsent> {
        let opened = self.take_channel().await.map_err(at_any_time)?;
        let mut done = 0;
        for window in posts.chunks(IN_FLIGHT_MAX) {
            self.send_window(&opened, window).await.map_err(|unsent| unsent.after(done))?;
            done += window.len();
        }
        self.put_back(opened);
        Ok(())
    }

    async fn send_window(&self, opened: &Opened, posts: &[Post]) -> Result<(), Unsent> {
        let until = Instant::now() + self.confirm_limit;
        let mut heard = Heard::nothing_of(posts.len());
        let places = self.not_held(posts, &mut heard);
        let going: Vec<&Post> = places.iter().map(|place| &posts[*place]).collect();
        self.declare_exchanges(opened, &going).await?;
        heard.take_back(posts, &places, publish(&opened.channel, &going, until).await);
        let returned = heard.returned(posts);
        if !returned.is_empty() {
            self.send_again(posts, &returned, &mut heard, until).await;
        }
        self.release(posts, &places, &heard);
        heard.unsent(posts, |failure| self.judge(failure))
    }

    /// The places of what can leave now; the rest waits.
    fn not_held(&self, posts: &[Post], heard: &mut Heard) -> Vec<usize> {
        let mendings = self.link.mendings();
        let (held, going): (Vec<usize>, _) = (0..posts.len())
            .partition(|place| self.holds.standing(&posts[*place], mendings) == Standing::Held);
        for place in held {
            heard.hold(posts, place, self.holds.why(&posts[place]));
        }
        going
    }

    /// Exchanges to which something went hold back nothing any more.
    fn release(&self, posts: &[Post], places: &[usize], heard: &Heard) {
        for place in places.iter().filter(|place| heard.is_confirmed(posts, **place)) {
            self.holds.release(&posts[*place]);
        }
    }

    /// Sends what came back once more, as soon as what it lacked was declared again; the readers of the queues are told to see to
    /// theirs. What comes back again waits.
    async fn send_again(&self, posts: &[Post], returned: &[usize], heard: &mut Heard, until: Instant) {
        let mendings = self.link.mendings();
        if returned.iter().any(|place| self.holds.standing(&posts[*place], mendings) == Standing::Free) {
            let count = returned.len();
            tracing::warn!(
                count,
                "the broker has no queue for messages; bindings were deleted there and are declared again"
            );
        }
        self.link.doubt();
        self.returns.send_modify(|count| *count += 1);
        let Ok(fresh) = self.fresh_channel().await else { return };
        let again: Vec<&Post> = returned.iter().map(|place| &posts[*place]).collect();
        heard.take_back(posts, returned, publish(&fresh.channel, &again, until).await);
        for place in heard.returned(posts) {
            let post = &posts[place];
            let why = format!(
                "no queue gets what is sent to the exchange '{}': a queue or a binding is missing there, or is otherwise than it should be, and declaring it again did not help",
                post.exchange
            );
            self.holds.hold(post, &why, mendings);
            heard.hold(posts, place, why);
        }
    }

    /// Exchanges to which nothing can be sent at the moment, and why.
    pub(super) fn held(&self) -> Vec<String> {
        self.holds.told()
    }

    /// Declares everything on a connection that may be there already.
    pub(super) async fn declare_again(&self) -> Result<(), Fault> {
        self.link.redeclare();
        self.fresh_channel().await.map(|opened| self.put_back(opened))
    }

    /// Connects if that has not happened yet.
    pub(super) async fn warm_up(&self) -> Result<(), Fault> {
        let opened = self.take_channel().await?;
        self.put_back(opened);
        Ok(())
    }

    /// The way to the broker, for a question.
    pub(super) const fn link(&self) -> &Link {
        &self.link
    }

    /// A channel with nothing outstanding on it.
    async fn take_channel(&self) -> Result<Opened, Fault> {
        while let Some(opened) = self.pop_idle() {
            if !opened.is_up() {
                continue;
            }
            if opened.is_blocked() {
                self.put_back(opened);
                return Err(alarm());
            }
            return Ok(opened);
        }
        self.fresh_channel().await
    }

    /// A channel that nobody has used.
    async fn fresh_channel(&self) -> Result<Opened, Fault> {
        let opened = self.link.open().await?;
        let confirms = opened.channel.confirm_select(ConfirmSelectOptions::default());
        timeout(self.confirm_limit, confirms)
            .await
            .map_err(|_| Fault::retry(PUBLISH, "the broker did not turn confirms on in time"))?
            .map_err(|error| refusal::fault(PUBLISH, error))?;
        Ok(opened)
    }

    fn pop_idle(&self) -> Option<Opened> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Only a channel on which everything was confirmed comes back here; any other is closed by being dropped.
    fn put_back(&self, opened: Opened) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CHANNELS_MAX {
            idle.push(opened);
        }
    }

    /// Publishing to an exchange that is not there would close the channel.
    async fn declare_exchanges(&self, opened: &Opened, posts: &[&Post]) -> Result<(), Fault> {
        for post in posts {
            if post.demand == Demand::Wanted || self.is_known(opened.epoch, &post.exchange) {
                continue;
            }
            let declaring = declare_for(&opened.channel, post);
            timeout(self.confirm_limit, declaring)
                .await
                .map_err(|_| Fault::retry(PUBLISH, "the broker declared no exchange in time"))??;
            self.note(opened.epoch, &post.exchange);
        }
        Ok(())
    }

    fn is_known(&self, epoch: u64, exchange: &str) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.epoch == epoch && known.exchanges.contains(exchange)
    }

    fn note(&self, epoch: u64, exchange: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.epoch != epoch || known.exchanges.len() >= KNOWN_EXCHANGES_MAX {
            *known = Known { epoch, exchanges: HashSet::new() };
        }
        known.exchanges.insert(exchange.to_owned());
    }

    fn judge(&self, failure: Failure) -> Fault {
        match failure {
            Failure::Returned(names) => {
                let text = format!(
                    "the broker has no queue for {}; bindings were deleted there and will be declared again",
                    names.join(", ")
                );
                Fault::retry(PUBLISH, text)
            }
            Failure::Held(reasons) => Fault::retry(PUBLISH, reasons.join("; ")),
            Failure::Refused(ids) => {
                let ids = ids.join(", ");
                Fault::retry(
                    PUBLISH,
                    format!("the broker refused to keep {ids}: a queue is full or has no leader"),
                )
            }
            Failure::Silent(count) => {
                let limit = self.confirm_limit;
                Fault::retry(PUBLISH, format!("the broker did not confirm {count} messages within {limit:?}"))
            }
            Failure::Broken(error) => {
                let refusal = refusal::read(&error);
                if refusal == Refusal::Unknown {
                    self.link.doubt();
                    *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known::default();
                }
                if refusal == Refusal::Forbidden {
                    let text = format!(
                        "the user may not write to an exchange; grant it the right to write: {error}"
                    );
                    return Fault::retry(PUBLISH, text);
                }
                refusal::fault(PUBLISH, error)
            }
        }
    }
}

const PUBLISH: &str = "rabbitmq.publish";

/// A broker that no longer lets us in while we are at work will again; that is no fault of any message.
fn at_any_time(mut fault: Fault) -> Fault {
    fault.verdict = Verdict::Retry;
    fault
}

/// Publishes all, then waits for all, until the time is up. Every confirm is heard, whatever the others say, so that none is
/// left for the next user of the channel.
async fn publish(channel: &Channel, posts: &[&Post], until: Instant) -> Heard {
    let mut sending: FuturesUnordered<_> = posts
        .iter()
        .enumerate()
        .map(|(place, post)| async move { (place, publish_one(channel, post).await) })
        .collect();
    let mut heard = Heard::nothing_of(posts.len());
    while let Ok(Some((place, confirmation))) = timeout_at(until, sending.next()).await {
        heard.note(place, confirmation);
    }
    heard
}

async fn publish_one(channel: &Channel, post: &Post) -> lapin::Result<Confirmation> {
    let options = BasicPublishOptions { mandatory: post.demand == Demand::Wanted, immediate: false };
    let exchange = ShortString::from(post.exchange.as_str());
    let key = ShortString::from(post.routing_key.as_str());
    let properties = properties::of(&post.parcel);
    channel.basic_publish(exchange, key, options, &post.parcel.body, properties).await?.await
}

async fn declare_for(channel: &Channel, post: &Post) -> Result<(), Fault> {
    name(&post.exchange)?;
    declare_exchange(channel, &post.exchange).await?;
    match post.demand {
        Demand::Wanted | Demand::Optional => Ok(()),
        Demand::Fault { all } => {
            declare_exchange(channel, all).await?;
            bind_exchange(channel, all, &post.exchange).await
        }
    }
}
