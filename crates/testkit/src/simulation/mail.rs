//! Webhooks on their way: each copy arrives when it arrives, in any order, and a provider that gets no answer tries again.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use application::commands::TakeProviderNewsCommand;
use application::ports::{NewsKind, Provider, ProviderNews};
use domain::OrderId;
use jiff::Timestamp;

use super::errands::Errands;
use super::fleet::Fleet;
use super::journal::Journal;
use super::provider_line::pause;

/// How long a provider waits for an answer to its webhook, and then before it tries again.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it tries.
const TRIES_MAX: u32 = 100;

/// The post office.
pub(super) struct Mail {
    pub(super) errands: Errands,
    pub(super) journal: Arc<Journal>,
    /// Set once the workers exist; providers are made before them. Not owned, or a run would never be gone.
    pub(super) fleet: OnceLock<Weak<Fleet>>,
    /// Events that the house has taken: none may be without a place.
    pub(super) taken: Arc<Mutex<Vec<ProviderNews>>>,
}

impl Mail {
    /// Every event that the house has taken.
    pub(super) fn taken(&self) -> Vec<ProviderNews> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends the copies of one event off, each after its time.
    pub(super) fn post(&self, event_id: &str, order_id: OrderId, kind: &NewsKind, letters: &[Duration]) {
        let news = ProviderNews::honest(event_id, order_id, kind.clone(), Timestamp::UNIX_EPOCH);
        letters.iter().for_each(|after| self.send(news.clone(), *after));
    }

    /// Sends one copy off.
    pub(super) fn send(&self, news: ProviderNews, after: Duration) {
        let Some(fleet) = self.fleet.get().and_then(Weak::upgrade) else { return };
        let (journal, taken) = (Arc::clone(&self.journal), Arc::clone(&self.taken));
        self.errands.run(async move {
            pause(after).await;
            if deliver(&fleet, &journal, news.clone()).await == Delivered::Yes {
                taken.lock().unwrap_or_else(PoisonError::into_inner).push(news);
            }
        });
    }
}

/// Whether a letter was taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Delivered {
    Yes,
    No,
}

async fn deliver(fleet: &Fleet, journal: &Journal, news: ProviderNews) -> Delivered {
    let event_id = news.event_id.clone();
    let provider = news.kind.told_by().unwrap_or(Provider::Payments);
    let command = TakeProviderNewsCommand { provider, news: vec![news] };
    for attempt in 1..=TRIES_MAX {
        if let Some(door) = fleet.door() {
            let answer = tokio::time::timeout(PATIENCE, door.commands.run(&command)).await;
            if let Ok(Ok(taken)) = answer {
                let fresh = taken.fresh();
                journal.note(format_args!("webhook {event_id}: attempt {attempt}, {fresh} new"));
                return Delivered::Yes;
            }
        }
        pause(PATIENCE).await;
    }
    journal.note(format_args!("webhook {event_id}: given up"));
    Delivered::No
}
