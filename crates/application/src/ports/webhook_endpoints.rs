//! Webhook endpoints: programs of others that are sent the events of orders, each from its own place in the log. An endpoint
//! that is away is tried later from the same place; an event that it refuses is set aside and tried on its own.

use async_trait::async_trait;
use bus::{Fault, Signed};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::Page;
use crate::saga::named::named;

/// Endpoints at most.
pub const WEBHOOK_ENDPOINTS_MAX: usize = 100;

/// A webhook endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookEndpoint {
    /// Its id.
    pub id: Uuid,
    /// Where events are sent.
    pub url: String,
    /// Only these types of events; all if there is none.
    pub types: Vec<String>,
    /// What it is for, in words.
    pub note: String,
    /// Signs what is sent: `whsec_` and base64.
    pub secret: String,
    /// The one before it, which signs as well while its owner changes over.
    pub previous_secret: Option<String>,
    /// When the secret was changed last.
    pub rotated_at: Option<Timestamp>,
    /// Whether it gets events.
    pub state: EndpointState,
    /// Why it is closed, or what was answered last if it does not get on; empty if all is well.
    pub trouble: String,
    /// The position up to which events were sent or set aside.
    pub position: i64,
    /// Attempts in a row of which none got through.
    pub failures: u32,
    /// Since when none gets through.
    pub failing_since: Option<Timestamp>,
    /// When it is tried again, if it is away.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows with each change that a person makes.
    pub revision: i64,
}

/// The secret is never shown by accident.
impl std::fmt::Debug for WebhookEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookEndpoint")
            .field("id", &self.id)
            .field("url", &self.url)
            .field("types", &self.types)
            .field("state", &self.state)
            .field("position", &self.position)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

/// How long the secret before the last one signs as well.
pub const OLD_SECRET_KEPT: SignedDuration = SignedDuration::from_hours(24);

impl WebhookEndpoint {
    /// The secrets that sign at this moment.
    #[must_use]
    pub fn secrets(&self, now: Timestamp) -> Vec<&str> {
        let is_kept = |at: Timestamp| now.duration_since(at) < OLD_SECRET_KEPT;
        let old = self.previous_secret.as_deref().filter(|_| self.rotated_at.is_some_and(is_kept));
        std::iter::once(self.secret.as_str()).chain(old).collect()
    }
}

/// Whether an endpoint gets events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// It does.
    Active,
    /// A person has paused it; it goes on where it stopped.
    Paused,
    /// It answered 410, or was away for too long.
    Closed,
}

named!(EndpointState: Active = "active", Paused = "paused", Closed = "closed");

/// What a person changes about an endpoint; what is left out stays.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EndpointChange {
    /// Where events are sent.
    pub url: Option<String>,
    /// Which events.
    pub types: Option<Vec<String>>,
    /// What it is for.
    pub note: Option<String>,
    /// Paused, or active again.
    pub state: Option<EndpointState>,
    /// A new secret; the one of before signs as well for a day.
    pub secret: Option<String>,
    /// The position to go on behind.
    pub position: Option<i64>,
}

impl EndpointChange {
    /// The endpoint with these changes, made at this moment. One that is made active is tried at once.
    #[must_use]
    pub fn applied(&self, endpoint: WebhookEndpoint, now: Timestamp) -> WebhookEndpoint {
        let mut changed = WebhookEndpoint { revision: endpoint.revision + 1, ..endpoint };
        if let Some(url) = &self.url {
            changed.url.clone_from(url);
        }
        if let Some(types) = &self.types {
            changed.types.clone_from(types);
        }
        if let Some(note) = &self.note {
            changed.note.clone_from(note);
        }
        if let Some(secret) = &self.secret {
            changed.previous_secret = Some(std::mem::replace(&mut changed.secret, secret.clone()));
            changed.rotated_at = Some(now);
        }
        if let Some(state) = self.state {
            changed.state = state;
        }
        if let Some(position) = self.position {
            changed.position = position;
        }
        if self.state == Some(EndpointState::Active) || self.url.is_some() {
            changed.trouble.clear();
            changed.failures = 0;
            changed.failing_since = None;
            changed.next_attempt_at = None;
        }
        changed
    }

    /// What is changed, in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut words = Vec::new();
        words.extend(self.url.as_ref().map(|_| "address".to_owned()));
        words.extend(self.types.as_ref().map(|_| "types".to_owned()));
        words.extend(self.note.as_ref().map(|_| "note".to_owned()));
        words.extend(self.state.map(|state| state.to_string()));
        words.extend(self.secret.as_ref().map(|_| "new secret".to_owned()));
        words.extend(self.position.map(|position| format!("on behind {position}")));
        words.join(", ")
    }
}

/// What became of sending one event to one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It took the event.
    Delivered,
    /// It did not yet, and is tried again.
    Waiting,
    /// It did not, and is tried no more unless a person asks for it.
    Failed,
}

named!(DeliveryState: Delivered = "delivered", Waiting = "waiting", Failed = "failed");

/// The delivery of one event to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The event.
    pub position: i64,
    /// The event's order.
    pub order_id: Uuid,
    /// What happened.
    pub event_type: String,
    /// What became of it.
    pub state: DeliveryState,
    /// Attempts until now.
    pub attempts: u32,
    /// When it was tried last.
    pub last_at: Timestamp,
    /// When it is tried again.
    pub next_at: Option<Timestamp>,
    /// Milliseconds that the last attempt took.
    pub took_ms: u32,
    /// What was answered last, or why there was no answer.
    pub answer: String,
    /// The revision of the endpoint that it was sent to: a person who changes the endpoint may want it sent again.
    pub revision: i64,
}

/// How far an endpoint came, and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The revision of the endpoint that the attempts were made for.
    pub revision: i64,
    /// The position that the attempts began behind.
    pub from: i64,
    /// The position that is done.
    pub to: i64,
    /// What became of each event.
    pub deliveries: Vec<Delivery>,
    /// What was answered last if none got through; empty if all is well.
    pub trouble: String,
    /// Attempts in a row of which none got through.
    pub failures: u32,
    /// Since when.
    pub failing_since: Option<Timestamp>,
    /// When it is tried again.
    pub next_attempt_at: Option<Timestamp>,
    /// Whether it is sent nothing any more.
    pub closes: bool,
}

/// Which deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only these.
    pub state: Option<DeliveryState>,
    /// Only those of events before this position.
    pub before: Option<i64>,
}

/// What is sent once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redelivery {
    /// One event, whatever became of it.
    One(i64),
    /// Those that failed, oldest first, up to so many.
    Failed(usize),
}

/// What persons do with webhook endpoints, each noted in the log of what persons did.
#[async_trait]
pub trait WebhookEndpointRepository: Send {
    /// Adds an endpoint, unless there are [`WEBHOOK_ENDPOINTS_MAX`]. Returns whether it was added.
    ///
    /// # Errors
    /// Those of the store.
    async fn add(&mut self, endpoint: &WebhookEndpoint, by: &Signed<'_>) -> Result<bool, Fault>;

    /// Changes one and returns it; none if there is no such.
    ///
    /// # Errors
    /// Those of the store.
    async fn change(
        &mut self,
        id: Uuid,
        change: &EndpointChange,
        by: &Signed<'_>,
    ) -> Result<Option<WebhookEndpoint>, Fault>;

    /// Removes one with its deliveries; returns whether there was one.
    ///
    /// # Errors
    /// Those of the store.
    async fn remove(&mut self, id: Uuid, by: &Signed<'_>) -> Result<bool, Fault>;

    /// Has events sent once more; returns how many.
    ///
    /// # Errors
    /// Those of the store.
    async fn redeliver(&mut self, id: Uuid, what: Redelivery, by: &Signed<'_>) -> Result<usize, Fault>;
}

/// Webhook endpoints as stored, and how far each has the events.
#[async_trait]
pub trait WebhookEndpoints: Send + Sync + 'static {
    /// All of them, oldest first.
    ///
    /// # Errors
    /// Those of the store.
    async fn endpoints(&self) -> Result<Vec<WebhookEndpoint>, Fault>;

    /// Notes what became of events that were sent. Returns false, and notes nothing, if the endpoint is gone, was changed by a person
    /// meanwhile, or stands at another position than the attempts began at.
    ///
    /// # Errors
    /// Those of the store.
    async fn note_progress(&self, id: Uuid, progress: &Progress) -> Result<bool, Fault>;

    /// The deliveries to one endpoint, newest event first, up to `max`.
    ///
    /// # Errors
    /// Those of the store.
    async fn deliveries(&self, id: Uuid, filter: DeliveryFilter, max: usize)
    -> Result<Page<Delivery>, Fault>;

    /// Deliveries that wait and whose time has come, up to `max`.
    ///
    /// # Errors
    /// Those of the store.
    async fn due_deliveries(&self, id: Uuid, now: Timestamp, max: usize) -> Result<Vec<Delivery>, Fault>;
}
