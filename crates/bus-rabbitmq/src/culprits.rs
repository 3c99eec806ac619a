//! Which queue has a message that makes the broker close the connection whenever it is delivered (reply code 541). The close names no
//! queue and takes every consumer of the connection along. So after two of them consumers are opened one by one, and the one that
//! brings the next gets a connection and a pause of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Line, OwnedMutexGuard};
use tokio::time::{Instant, sleep_until};

use super::limits::{AMISS_PAUSE_MAX, AMISS_PAUSE_MIN, AMISS_REMEMBERED};
use super::link::Link;

/// What is known of connections that broke like this.
#[derive(Default)]
pub(super) struct Culprits {
    state: Mutex<State>,
    line: Arc<Line<()>>,
}

#[derive(Default)]
struct State {
    /// The last shared connection that broke so for no known reason, and when.
    broken: Option<(u64, Instant)>,
    /// Up to this connection all is explained.
    explained: u64,
    one_by_one_until: Option<Instant>,
    alone: BTreeMap<Arc<str>, Alone>,
}

/// A queue that is read on a connection of its own.
struct Alone {
    link: Arc<Link>,
    blamed_at: Instant,
    pause: Duration,
}

impl Alone {
    fn is_remembered(&self) -> bool {
        Instant::now() < self.blamed_at + self.pause + AMISS_REMEMBERED
    }
}

/// How a consumer is opened.
pub(super) enum Way {
    /// On the shared connection, along with all the others.
    Together,
    /// On the shared connection, while no other consumer is opened.
    InTurn(#[expect(dead_code, reason = "its end lets the next one in")] OwnedMutexGuard<()>),
    /// On a connection of its own.
    Alone(Arc<Link>),
}

impl Culprits {
    /// How the consumer of a queue is opened, once it may be.
    pub(super) async fn way(&self, queue: &Arc<str>) -> Way {
        loop {
            let alone = self
                .state()
                .alone
                .get(queue)
                .map(|alone| (Arc::clone(&alone.link), alone.blamed_at + alone.pause));
            if let Some((link, from)) = alone {
                sleep_until(from).await;
                return Way::Alone(link);
            }
            if !self.state().is_one_by_one() {
                return Way::Together;
            }
            let turn = Arc::clone(&self.line).lock_owned().await;
            let state = self.state();
            if state.is_one_by_one() && !state.alone.contains_key(queue) {
                return Way::InTurn(turn);
            }
        }
    }

    /// The shared connection with this number broke so. Every consumer of it says this.
    pub(super) fn broke(&self, connection: u64) {
        let now = Instant::now();
        let mut state = self.state();
        if connection <= state.explained {
            return;
        }
        match state.broken {
            Some((known, _)) if known == connection => return,
            Some((_, at)) if at + AMISS_REMEMBERED > now => {
                state.one_by_one_until = Some(now + AMISS_REMEMBERED);
                tracing::warn!(
                    "the broker closes the connection again and again (541); consumers are opened one by one to find out for which queue"
                );
            }
            Some(_) | None => {}
        }
        state.broken = Some((connection, now));
    }

    /// The consumer of this queue brought it about, on the shared connection with this number.
    pub(super) fn blame(&self, queue: &Arc<str>, connection: u64, shared: &Link) {
        let mut state = self.state();
        state.explained = state.explained.max(connection);
        (state.broken, state.one_by_one_until) = (None, None);
        let alone = Alone {
            link: Arc::new(shared.another(queue)),
            blamed_at: Instant::now(),
            pause: AMISS_PAUSE_MIN,
        };
        tracing::error!("{}; from now on it is read on a connection of its own", said(queue));
        state.alone.insert(Arc::clone(queue), alone);
    }

    /// The connection of this queue alone broke so.
    pub(super) fn blame_again(&self, queue: &Arc<str>) {
        if let Some(alone) = self.state().alone.get_mut(queue) {
            let longer = (alone.pause * 2).min(AMISS_PAUSE_MAX);
            alone.pause = if alone.is_remembered() { longer } else { AMISS_PAUSE_MIN };
            alone.blamed_at = Instant::now();
        }
    }

    /// What is known.
    pub(super) fn told(&self) -> Vec<String> {
        let state = self.state();
        let ill = state.alone.iter().filter(|(_, alone)| alone.is_remembered());
        ill.map(|(queue, _)| said(queue)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_one_by_one(&self) -> bool {
        self.one_by_one_until.is_some_and(|until| Instant::now() < until)
    }
}

fn said(queue: &str) -> String {
    format!(
        "the broker closes the connection (541) when it delivers a message of the queue '{queue}', which it cannot put into AMQP 0-9-1; see the runbook, 'INTERNAL_ERROR (541)'"
    )
}
