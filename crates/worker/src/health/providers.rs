//! Whether a provider answers, by what was seen of the calls that were made anyway.

use std::sync::Arc;

use async_trait::async_trait;
use bus::BreakerState;
use jiff::Timestamp;

use super::{Check, Finding, Scene};
use crate::observe::{PAYMENT_GATEWAY, ProviderWatch};

/// Calls in a row without an answer that are no accident any more.
const UNANSWERED_MAX: u64 = 3;

/// One provider.
pub(super) struct ProviderCheck {
    watch: Arc<ProviderWatch>,
}

impl ProviderCheck {
    pub(super) const fn new(watch: Arc<ProviderWatch>) -> Self {
        Self { watch }
    }
}

#[async_trait]
impl Check for ProviderCheck {
    fn name(&self) -> &'static str {
        self.watch.name
    }

    async fn look(&self, scene: &Scene) -> Finding {
        Finding::worst_of([self.takes_turns(scene), self.answers(scene)])
    }
}

impl ProviderCheck {
    /// The calls that wait for it, as text; none if there are none.
    fn backlog(&self, scene: &Scene) -> String {
        let turns = self.watch.turns();
        let calls = match turns.waiting {
            0 => String::new(),
            waiting => {
                format!("; {waiting} calls wait for their turn, for {} s now", turns.waiting_for.as_secs())
            }
        };
        let asks = if self.watch.name == PAYMENT_GATEWAY { "inventory_reserved" } else { "paid" };
        let orders = scene.store().map_or(0, |store| store.sagas(asks));
        let undone = scene.store().map_or(0, |store| store.sagas("compensating"));
        match (orders, undone) {
            (0, 0) => calls,
            (orders, 0) => format!("{calls}; {orders} orders wait for it"),
            (orders, undone) => format!("{calls}; {orders} orders wait for it, {undone} are being undone"),
        }
    }

    /// A backlog is in order as long as it moves.
    fn takes_turns(&self, scene: &Scene) -> Finding {
        let turns = self.watch.turns();
        match turns.closed_for {
            Some(wait) if turns.waiting > 0 => Finding::degraded(format!(
                "throttles or is away, and is left alone for {} s{}",
                wait.as_secs() + 1,
                self.backlog(scene)
            )),
            Some(_) | None => Finding::up(""),
        }
    }

    fn answers(&self, scene: &Scene) -> Finding {
        let last = self.watch.last();
        let answered = match last.answered_at {
            Some(at) => format!("last answered at {at}"),
            None => "has not been called yet, or has not answered".to_owned(),
        };
        let answered = format!("{answered}{}", self.backlog(scene));
        match self.watch.breaker() {
            BreakerState::Open { until } => {
                Finding::down(format!("does not answer; is asked again at {until}; {answered}"))
            }
            BreakerState::Probing { .. } => Finding::down(format!("is being asked again; {answered}")),
            BreakerState::Closed { .. } if last.unanswered >= UNANSWERED_MAX => {
                let unanswered = last.unanswered;
                let at = last.unanswered_at.as_ref().map_or_else(String::new, Timestamp::to_string);
                Finding::degraded(format!(
                    "{unanswered} calls in a row without an answer, the last at {at}; {answered}"
                ))
            }
            BreakerState::Closed { .. } => Finding::up(answered),
        }
    }
}
