//! Publishing with confirms: all at once, then every confirm is waited for. A message that the topology says somebody wants is
//! mandatory, so the broker returns what it could bring to no queue, and that is an error too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus::{Fault, Unsent, Verdict};
use futures_util::stream::{FuturesUnordered, StreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{Channel, Confirmation};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::exchanges::{Exchanges, Found};
use super::heard::{Failure, Heard};
use super::holds::{Holds, Standing};
use super::limits::{IDLE_CHANNELS_MAX, IN_FLIGHT_MAX};
use super::link::{Link, Opened, alarm};
use super::post::{Demand, Post};
use super::refusal::{self, Refusal};
use super::steps::has_exchange;

/// Publishes over one link. Each sending has a channel for itself, because the driver hands a returned message to whichever
/// confirm comes next on its channel.
pub(super) struct Publisher {
    link: Link,
    confirm_limit: Duration,
    returns: Arc<watch::Sender<u64>>,
    idle: Mutex<Vec<Opened>>,
    exchanges: Exchanges,
    holds: Holds,
}

impl Publisher {
    pub(super) fn new(link: Link, confirm_limit: Duration, returns: Arc<watch::Sender<u64>>) -> Self {
        let (idle, exchanges, holds) = (Mutex::default(), Exchanges::default(), Holds::default());
        Self { link, confirm_limit, returns, idle, exchanges, holds }
    }

    /// Publishes all and waits for every confirm. A channel on which something went wrong is not used again. What cannot be sent to
    /// its exchange at the moment is told of as refused, and the rest goes.
    pub(super) async fn send(&self, posts: &[Post]) -> Result<(), Unsent> {
        let mut opened = self.take_channel().await.map_err(at_any_time)?;
        let mut done = 0;
        for window in posts.chunks(IN_FLIGHT_MAX) {
            self.send_window(&mut opened, window).await.map_err(|unsent| unsent.after(done))?;
            done += window.len();
        }
        self.put_back(opened);
        Ok(())
    }

    async fn send_window(&self, opened: &mut Opened, posts: &[Post]) -> Result<(), Unsent> {
        let until = Instant::now() + self.confirm_limit;
        let mut heard = Heard::nothing_of(posts.len());
        let (together, mut apart) = self.not_held(posts, &mut heard);
        let together = self.made_ready(opened, posts, &together, &mut heard).await?;
        publish(&opened.channel, posts, &together, &mut heard, until).await;
        if let Some(error) = heard.take_exchange_error() {
            // The broker closed the channel for one of them, and does not say in a form that can be relied on for which.
            if refusal::read(&error) == Refusal::Unknown {
                self.link.doubt();
                self.exchanges.forget();
            }
            apart.extend(heard.silent(&together));
        }
        for places in by_exchange(posts, &apart) {
            self.send_apart(posts, &places, &mut heard, until).await;
        }
        for places in by_exchange(posts, &answers(posts)) {
            self.send_answers(posts, &places, &mut heard, until).await;
        }
        let returned = heard.returned(posts);
        if !returned.is_empty() {
            self.send_again(posts, &returned, &mut heard, until).await;
        }
        self.release(posts, &heard);
        heard.unsent(posts, |failure| self.judge(failure))
    }

    /// Sends what goes to one exchange, on a channel of its own. If that is what the exchange is closed for, it waits.
    async fn send_apart(&self, posts: &[Post], places: &[usize], heard: &mut Heard, until: Instant) {
        let Ok(mut fresh) = self.fresh_channel().await else { return };
        let Ok(ready) = self.made_ready(&mut fresh, posts, places, heard).await else { return };
        publish(&fresh.channel, posts, &ready, heard, until).await;
        match heard.take_exchange_error() {
            None => self.put_back(fresh),
            Some(error) => {
                for place in heard.silent(&ready) {
                    self.hold(posts, place, heard, unusable(&posts[place].exchange, &error));
                }
            }
        }
    }

    /// Sends the answers to one exchange, on a channel of its own. If it is gone, or takes nothing from us, they have no reader.
    async fn send_answers(&self, posts: &[Post], places: &[usize], heard: &mut Heard, until: Instant) {
        let Ok(fresh) = self.fresh_channel().await else { return };
        let exchange = &posts[places[0]].exchange;
        let Ok(looked) = timeout_at(until, has_exchange(&fresh.channel, exchange)).await else { return };
        let left = match looked {
            Ok(true) => {
                publish(&fresh.channel, posts, places, heard, until).await;
                match heard.take_exchange_error() {
                    None => {
                        self.put_back(fresh);
                        return;
                    }
                    Some(error) => (heard.silent(places), unusable(exchange, &error)),
                }
            }
            Ok(false) => (places.to_vec(), format!("the exchange '{exchange}' is not there any more")),
            Err(fault) => {
                tracing::warn!(exchange, %fault, "the exchange of an answer cannot be looked for now");
                return;
            }
        };
        let (unread, why) = left;
        tracing::warn!(exchange, why, count = unread.len(), "answers have no reader and are dropped");
        unread.into_iter().for_each(|place| heard.pass_over(place));
    }

    fn hold(&self, posts: &[Post], place: usize, heard: &mut Heard, why: String) {
        self.holds.hold(&posts[place], &why, self.link.mendings());
        heard.hold(posts, place, why);
    }

    /// The places of what can be published on this channel, or on the one that takes its place if it was closed. What has no reader
    /// is as good as sent, and what goes to an exchange that cannot be used waits.
    async fn made_ready(
        &self,
        opened: &mut Opened,
        posts: &[Post],
        places: &[usize],
        heard: &mut Heard,
    ) -> Result<Vec<usize>, Fault> {
        let mut ready = Vec::with_capacity(places.len());
        for place in places.iter().copied() {
            let post = &posts[place];
            if post.demand == Demand::Wanted {
                ready.push(place);
                continue;
            }
            if self.standing(post) == Standing::Held {
                heard.hold(posts, place, self.holds.why(post));
                continue;
            }
            match self.looked_after(opened, post).await? {
                Found::There => ready.push(place),
                Found::Absent => heard.pass_over(place),
                Found::Unusable(why) => self.hold(posts, place, heard, why),
                Found::Forbidden => {
                    let why =
                        format!("the user may neither declare nor look for the exchange '{}'", post.exchange);
                    self.hold(posts, place, heard, why);
                }
            }
        }
        if !opened.is_up() && !ready.is_empty() {
            *opened = self.fresh_channel().await?;
        }
        Ok(ready)
    }

    /// Has the exchange be there, or finds out that it is, for a user who may not declare it.
    async fn looked_after(&self, opened: &mut Opened, post: &Post) -> Result<Found, Fault> {
        for _ in 0..2 {
            if !opened.is_up() {
                *opened = self.fresh_channel().await?;
            }
            match self.exchanges.look_after(opened, post, self.confirm_limit).await? {
                Found::Forbidden => {}
                found @ (Found::There | Found::Absent | Found::Unusable(_)) => return Ok(found),
            }
        }
        Ok(Found::Forbidden)
    }

    fn standing(&self, post: &Post) -> Standing {
        self.holds.standing(post, self.link.mendings())
    }

    /// The places of what can leave with the others, and of what goes apart because its exchange failed the last time; the rest waits.
    fn not_held(&self, posts: &[Post], heard: &mut Heard) -> (Vec<usize>, Vec<usize>) {
        let (mut together, mut apart) = (Vec::new(), Vec::new());
        let others = posts.iter().enumerate().filter(|(_, post)| post.demand != Demand::Answer);
        for (place, post) in others {
            match self.standing(post) {
                Standing::Free => together.push(place),
                Standing::OnProbation => apart.push(place),
                Standing::Held => heard.hold(posts, place, self.holds.why(post)),
            }
        }
        (together, apart)
    }

    /// Exchanges to which something went hold back nothing any more.
    fn release(&self, posts: &[Post], heard: &Heard) {
        for (place, post) in posts.iter().enumerate() {
            if heard.is_confirmed(posts, place) {
                self.holds.release(post);
            }
        }
    }

    /// Sends what came back once more, as soon as what it lacked was declared again; the readers of the queues are told to see to
    /// theirs. What comes back again waits.
    async fn send_again(&self, posts: &[Post], returned: &[usize], heard: &mut Heard, until: Instant) {
        if returned.iter().any(|place| self.standing(&posts[*place]) == Standing::Free) {
            let count = returned.len();
            tracing::warn!(
                count,
                "the broker has no queue for messages; bindings were deleted there and are declared again"
            );
        }
        self.link.doubt();
        self.returns.send_modify(|count| *count += 1);
        let Ok(fresh) = self.fresh_channel().await else { return };
        publish(&fresh.channel, posts, returned, heard, until).await;
        for place in heard.returned(posts) {
            let post = &posts[place];
            let why = format!(
                "no queue gets what is sent to the exchange '{}': a queue or a binding is missing there, or is otherwise than it should be, and declaring it again did not help",
                post.exchange
            );
            self.hold(posts, place, heard, why);
        }
    }

    /// Sends an answer to an exchange that its receiver has made, if that is there; it may be gone by the next moment, and is none that
    /// we would make. Whether it was.
    pub(super) async fn answer(&self, post: &Post) -> Result<bool, Fault> {
        let sending = async {
            let opened = self.fresh_channel().await?;
            if !has_exchange(&opened.channel, &post.exchange).await? {
                return Ok(false);
            }
            publish_one(&opened.channel, post).await.map_err(|error| refusal::fault(PUBLISH, error))?;
            self.put_back(opened);
            Ok(true)
        };
        let late = |_| Err(Fault::retry(PUBLISH, "the broker took no answer in time"));
        timeout(self.confirm_limit, sending).await.unwrap_or_else(late)
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
            Failure::Broken(error) => refusal::fault(PUBLISH, error),
        }
    }
}

const PUBLISH: &str = "rabbitmq.publish";

/// A broker that no longer lets us in while we are at work will again; that is no fault of any message.
fn at_any_time(mut fault: Fault) -> Fault {
    fault.verdict = Verdict::Retry;
    fault
}

/// Publishes what is at these places, then waits for all of it, until the time is up. Every confirm is heard, whatever the others say,
/// so that none is left for the next user of the channel.
async fn publish(channel: &Channel, posts: &[Post], places: &[usize], heard: &mut Heard, until: Instant) {
    let mut sending: FuturesUnordered<_> = places
        .iter()
        .enumerate()
        .map(|(number, place)| async move { (number, publish_one(channel, &posts[*place]).await) })
        .collect();
    let mut said = Heard::nothing_of(places.len());
    while let Ok(Some((number, confirmation))) = timeout_at(until, sending.next()).await {
        said.note(number, confirmation);
    }
    heard.take_back(posts, places, said);
}

/// The places of answers.
fn answers(posts: &[Post]) -> Vec<usize> {
    let answers = posts.iter().enumerate().filter(|(_, post)| post.demand == Demand::Answer);
    answers.map(|(place, _)| place).collect()
}

/// The places of what goes to each exchange.
fn by_exchange(posts: &[Post], places: &[usize]) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for place in places {
        groups.entry(&posts[*place].exchange).or_default().push(*place);
    }
    groups.into_values().collect()
}

/// Why nothing can be sent to an exchange.
fn unusable(exchange: &str, error: &lapin::Error) -> String {
    match refusal::read(error) {
        Refusal::Forbidden => {
            format!(
                "the user may not write to the exchange '{exchange}'; grant it the right to write: {error}"
            )
        }
        Refusal::Unknown | Refusal::Unfit | Refusal::Away => {
            format!("the exchange '{exchange}' is not there, and could not be declared: {error}")
        }
    }
}

async fn publish_one(channel: &Channel, post: &Post) -> lapin::Result<Confirmation> {
    let options = BasicPublishOptions { mandatory: post.demand == Demand::Wanted, immediate: false };
    let exchange = ShortString::from(post.exchange.as_str());
    let key = ShortString::from(post.routing_key.as_str());
    channel.basic_publish(exchange, key, options, &post.body, post.properties.clone()).await?.await
}
