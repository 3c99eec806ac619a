//! Whether a provider answers, by what was seen of the calls that were made anyway.

use std::sync::Arc;

use async_trait::async_trait;
use bus::BreakerState;
use jiff::Timestamp;

use super::{Check, Finding, Scene};
use crate::observe::ProviderWatch;

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

    async fn look(&self, _: &Scene) -> Finding {
        let last = self.watch.last();
        let answered = match last.answered_at {
            Some(at) => format!("last answered at {at}"),
            None => "has not been called yet, or has not answered".to_owned(),
        };
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
