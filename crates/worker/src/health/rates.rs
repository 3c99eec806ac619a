//! Whether messages go through: how many a second, and how many of them cannot be handled.

use std::sync::{Arc, Mutex, PoisonError};

use application::consumers::UNKNOWN_ORDER;
use async_trait::async_trait;
use bus::{DeadLetterFilter, DeadLetters};
use tokio::time::Instant;

use super::{Check, Finding, Scene};
use crate::metrics::{Metric, Registry};

/// Messages within one round from which on their share of failures means something.
const MESSAGES_MIN: f64 = 20.0;

/// Compares what this worker has counted with the round before.
pub(super) struct MessageRatesCheck {
    registry: Arc<Registry>,
    dead_letters: Arc<dyn DeadLetters>,
    before: Mutex<Option<(Instant, Totals)>>,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    all: f64,
    put_off: f64,
    dead: f64,
}

impl MessageRatesCheck {
    pub(super) fn new(registry: Arc<Registry>, dead_letters: Arc<dyn DeadLetters>) -> Self {
        Self { registry, dead_letters, before: Mutex::new(None) }
    }

    /// What is said of dead letters about orders that are not here; nothing if there are none.
    async fn unknown_orders(&self) -> String {
        let filter = DeadLetterFilter {
            reason_contains: Some(UNKNOWN_ORDER.to_owned()),
            ..DeadLetterFilter::default()
        };
        match self.dead_letters.count_dead_letters(&filter).await {
            Ok(0) | Err(_) => String::new(),
            Ok(count) => format!(
                "; {count} dead letters are of unknown orders, so somebody else's messages come here \
                 (`orderwright dead-letters list --reason \"{UNKNOWN_ORDER}\"`)"
            ),
        }
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        let (_, readings) = self.registry.read().swap_remove(Metric::MessagesConsumed as usize);
        for reading in readings {
            totals.all += reading.value;
            match reading.labels.last().map(String::as_str) {
                Some("redelivered") => totals.put_off += reading.value,
                Some("dead_lettered") => totals.dead += reading.value,
                Some(_) | None => {}
            }
        }
        totals
    }
}

#[async_trait]
impl Check for MessageRatesCheck {
    fn name(&self) -> &'static str {
        "message-rates"
    }

    async fn look(&self, scene: &Scene) -> Finding {
        let now = self.totals();
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner).replace((scene.at, now));
        let Some((at, then)) = before else { return Finding::up("this is the first round") };
        let seconds = scene.at.duration_since(at).as_secs_f64().max(0.001);
        let (all, put_off, dead) = (now.all - then.all, now.put_off - then.put_off, now.dead - then.dead);
        let rate = all / seconds;
        if dead > 0.0 {
            let unknown = self.unknown_orders().await;
            let said = format!("{dead} messages became dead letters; {rate:.1} messages/s{unknown}");
            return Finding::degraded(said);
        }
        if all >= MESSAGES_MIN && put_off > all / 2.0 {
            return Finding::degraded(format!(
                "{put_off} of {all} messages were put off; {rate:.1} messages/s"
            ));
        }
        Finding::up(format!("{rate:.1} messages/s, {:.1}/s of them put off", put_off / seconds))
    }
}
