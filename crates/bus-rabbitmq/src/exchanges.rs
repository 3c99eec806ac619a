//! Exchanges that are not of the topology and have to be there before something is published to them, since publishing to one that is not
//! there would close the channel.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus::{Fault, Verdict};
use lapin::Channel;
use tokio::time::{Instant, timeout};

use super::limits::{AMISS_PAUSE_MAX, KNOWN_EXCHANGES_MAX};
use super::link::Opened;
use super::post::{Demand, Post};
use super::steps::{bind_exchange, declare_exchange, has_exchange, is_forbidden, name};

/// What is known of them.
#[derive(Default)]
pub(super) struct Exchanges(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The connection on which they were found there.
    epoch: u64,
    there: BTreeSet<String>,
    /// Whether that connection's user may not declare any.
    only_looks: bool,
    /// When each was last found missing, by a user who may not declare it.
    absent: BTreeMap<String, Instant>,
}

/// What came of looking after one.
#[derive(Debug)]
pub(super) enum Found {
    /// It is there.
    There,
    /// It is not, and may not be declared from here; so nobody can have bound it.
    Absent,
    /// The user may not declare it. It is to be looked for, on another channel.
    Forbidden,
    /// It cannot be used, for this reason.
    Unusable(String),
}

impl Exchanges {
    /// Has the exchange of a message be there. A refusal closes the channel.
    pub(super) async fn look_after(
        &self,
        opened: &Opened,
        post: &Post,
        limit: Duration,
    ) -> Result<Found, Fault> {
        if let Some(found) = self.known(opened.epoch, &post.exchange) {
            return Ok(found);
        }
        let looking = async {
            if self.only_looks(opened.epoch) {
                return Ok(if has_exchange(&opened.channel, &post.exchange).await? {
                    Found::There
                } else {
                    Found::Absent
                });
            }
            declare_for(&opened.channel, post).await.map(|()| Found::There)
        };
        let late = |_| Err(Fault::retry("rabbitmq.publish", "the broker declared no exchange in time"));
        let found = match timeout(limit, looking).await.unwrap_or_else(late) {
            Err(fault) if is_forbidden(&fault) => Found::Forbidden,
            Err(fault) if fault.verdict == Verdict::GiveUp => Found::Unusable(fault.to_string()),
            found => found?,
        };
        self.note(opened.epoch, &post.exchange, &found);
        Ok(found)
    }

    /// They may have been deleted.
    pub(super) fn forget(&self) {
        self.lock().there.clear();
    }

    fn known(&self, epoch: u64, exchange: &str) -> Option<Found> {
        let known = self.lock();
        if known.epoch == epoch && known.there.contains(exchange) {
            return Some(Found::There);
        }
        known.absent.get(exchange).filter(|at| at.elapsed() < AMISS_PAUSE_MAX).map(|_| Found::Absent)
    }

    fn only_looks(&self, epoch: u64) -> bool {
        let known = self.lock();
        known.epoch == epoch && known.only_looks
    }

    fn note(&self, epoch: u64, exchange: &str, found: &Found) {
        let mut known = self.lock();
        if known.epoch != epoch || known.there.len() >= KNOWN_EXCHANGES_MAX {
            let absent = std::mem::take(&mut known.absent);
            *known = Known { epoch, absent, ..Known::default() };
        }
        match found {
            Found::There => {
                known.there.insert(exchange.to_owned());
                known.absent.remove(exchange);
            }
            Found::Absent => {
                if known.absent.insert(exchange.to_owned(), Instant::now()).is_none() {
                    tracing::warn!(
                        exchange,
                        "the exchange is not there and the user may not declare it, so what would go there has no reader and counts as sent"
                    );
                }
            }
            Found::Forbidden => known.only_looks = true,
            Found::Unusable(_) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn declare_for(channel: &Channel, post: &Post) -> Result<(), Fault> {
    name(&post.exchange)?;
    declare_exchange(channel, &post.exchange).await?;
    match post.demand {
        Demand::Wanted | Demand::Optional | Demand::Answer => Ok(()),
        Demand::Fault { all } => {
            declare_exchange(channel, all).await?;
            bind_exchange(channel, all, &post.exchange).await
        }
    }
}
