//! Webhooks on their way: each copy arrives when it arrives, in any order, and a provider that gets no answer tries again.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use application::commands::{NewsKind, ProviderNews, TakeProviderNewsCommand};
use domain::OrderId;

use super::errands::Errands;
use super::fleet::Fleet;
use super::journal::Journal;
use super::provider_line::pause;

/// How long a provider waits for an answer to its webhook, and then before it tries again.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it tries.
const TRIES_MAX: u32 = 10;

/// The post office.
pub(super) struct Mail {
    pub(super) errands: Errands,
    pub(super) journal: Arc<Journal>,
    /// Set once the workers exist; providers are made before them. Not owned, or a run would never be gone.
    pub(super) fleet: OnceLock<Weak<Fleet>>,
}

impl Mail {
    /// Sends the copies of one event off, each after its time.
    pub(super) fn post(&self, event_id: &str, order_id: OrderId, kind: &NewsKind, letters: &[Duration]) {
        let Some(fleet) = self.fleet.get().and_then(Weak::upgrade) else { return };
        for after in letters {
            let news = ProviderNews { event_id: event_id.to_owned(), order_id, kind: kind.clone() };
            let (fleet, journal, after) = (Arc::clone(&fleet), Arc::clone(&self.journal), *after);
            self.errands.run(async move {
                pause(after).await;
                deliver(&fleet, &journal, news).await;
            });
        }
    }
}

async fn deliver(fleet: &Fleet, journal: &Journal, news: ProviderNews) {
    let event_id = news.event_id.clone();
    let command = TakeProviderNewsCommand { source: "simulation".to_owned(), news: vec![news] };
    for attempt in 1..=TRIES_MAX {
        if let Some(door) = fleet.door() {
            let answer = tokio::time::timeout(PATIENCE, door.commands.run(&command)).await;
            if let Ok(Ok(fresh)) = answer {
                journal.note(format_args!("webhook {event_id}: attempt {attempt}, {fresh} new"));
                return;
            }
        }
        pause(PATIENCE).await;
    }
    journal.note(format_args!("webhook {event_id}: given up"));
}
