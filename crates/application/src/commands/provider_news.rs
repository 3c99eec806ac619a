//! Takes provider events from webhooks: each once, in any order. An event of an order of ours goes to its history and
//! its rows; any other goes to the list of unmatched events. None is dropped.

mod desk;
mod money;
mod parcels;

use async_trait::async_trait;
use bus::{Admission, Fault};
use domain::OrderId;
use uuid::Uuid;

pub(super) use self::desk::Desk;
use super::Command;
use crate::context::Context;
use crate::ports::{Mismatch, Provider, ProviderNews, UnitOfWork};

/// Take these events of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeProviderNewsCommand {
    /// The provider; event ids are unique within it.
    pub provider: Provider,
    /// The events.
    pub news: Vec<ProviderNews>,
}

/// What came of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewsFate {
    /// It is new, and went to its order.
    Taken,
    /// It was taken before.
    Repeat,
    /// It is new, and belongs to no order.
    Unmatched(Mismatch),
}

/// The result: what came of each event, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewsTaken(pub Vec<NewsFate>);

impl NewsTaken {
    /// Events that are new.
    #[must_use]
    pub fn fresh(&self) -> usize {
        self.0.iter().filter(|fate| **fate != NewsFate::Repeat).count()
    }

    /// New events without an order.
    #[must_use]
    pub fn unmatched(&self) -> usize {
        self.0.iter().filter(|fate| matches!(fate, NewsFate::Unmatched(_))).count()
    }
}

#[async_trait]
impl Command for TakeProviderNewsCommand {
    type Reply = NewsTaken;

    const NAME: &'static str = "TakeProviderNewsCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<NewsTaken, Fault> {
        let now = context.clock.now();
        let ids: Vec<String> = self.news.iter().map(inbox_id).collect();
        let admissions = unit.admit(self.provider.as_str(), &ids, now).await?;
        let fresh: Vec<&ProviderNews> = self
            .news
            .iter()
            .zip(&admissions)
            .filter(|(_, seen)| **seen == Admission::New)
            .map(|(news, _)| news)
            .collect();
        let mut desk = Desk::open(unit, self.provider, &fresh, context, now).await?;
        let mut fates = Vec::with_capacity(self.news.len());
        for (news, seen) in self.news.iter().zip(admissions) {
            fates.push(match seen {
                Admission::New => desk.take(news),
                Admission::Repeat => NewsFate::Repeat,
            });
        }
        desk.close(unit).await?;
        Ok(NewsTaken(fates))
    }
}

/// The inbox id of an event. The order's id comes first: providers give out random ids, and among a million of them
/// almost every one would fall on a page of its own. What the event says comes last: the same id with other content is
/// another event.
fn inbox_id(news: &ProviderNews) -> String {
    let content = Uuid::new_v5(&Uuid::nil(), news.in_words().as_bytes()).as_fields().0;
    match order_of(news) {
        Some(order_id) => format!("{}/{}/{content:08x}", order_id.0.simple(), news.event_id),
        None => format!("-/{}/{content:08x}", news.event_id),
    }
}

fn order_of(news: &ProviderNews) -> Option<OrderId> {
    news.reference.parse().ok()
}
