//! Sends the events of orders to webhook endpoints, each from its own place in the log. Of several workers the eldest does so for
//! all. Events of one order go out in order; those of different orders beside each other. An endpoint that is away is tried
//! later from the same place; an event that it refuses is set aside and tried on its own, so that it holds up no other.
//! At least once: what was sent and not noted is sent again under the same id.

mod sending;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use application::ports::{
    EndpointState, EventFilter, EventsRead, OrderEventLog, WebhookEndpoint, WebhookEndpoints,
};
use bus::{Clock, Fault, Stop};
use providers::notifications::{Signer, WebhookClient};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::any_store::Upkeep;
use crate::metrics::Registry;
use crate::observe::Pulses;
use sending::Run;

/// How often it is looked for new events, and for new endpoints while there is none.
const LOOK: Duration = Duration::from_millis(500);
const IDLE_LOOK: Duration = Duration::from_secs(2);

/// Events, and deliveries that were set aside, that go to an endpoint before it is noted what became of them.
const EVENTS_MAX: usize = 100;
const DUE_MAX: usize = 16;

/// What the service works with.
pub struct Parts {
    /// The events.
    pub events: Arc<dyn OrderEventLog>,
    /// The endpoints.
    pub endpoints: Arc<dyn WebhookEndpoints>,
    /// Says whether this worker is the eldest.
    pub upkeep: Arc<dyn Upkeep>,
    /// Goes to them.
    pub client: WebhookClient,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Counts what becomes of it.
    pub registry: Arc<Registry>,
    /// Shows that the service lives.
    pub pulses: Arc<Pulses>,
}

/// Sends events to webhook endpoints.
pub struct WebhookDeliveryService {
    parts: Parts,
}

/// Whether an endpoint has more to come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum More {
    Yes,
    No,
}

impl WebhookDeliveryService {
    /// Its name.
    pub const NAME: &'static str = "webhook-delivery-service";

    /// A service with these parts.
    #[must_use]
    pub const fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// How often it shows that it lives.
    #[must_use]
    pub const fn every() -> Duration {
        IDLE_LOOK
    }

    /// Looks again and again. A slow endpoint holds up itself alone.
    pub async fn run(self: Arc<Self>, stop: Stop) {
        let mut tasks = JoinSet::new();
        let mut busy = HashMap::new();
        while !stop.is_stopped() {
            let pause = match self.active().await {
                Ok(endpoints) => {
                    self.parts.pulses.beat(Self::NAME);
                    let pause = if endpoints.is_empty() { IDLE_LOOK } else { LOOK };
                    let free = |it: &WebhookEndpoint| !busy.values().any(|id| *id == it.id);
                    for endpoint in endpoints.into_iter().filter(free).collect::<Vec<_>>() {
                        let id = endpoint.id;
                        let service = Arc::clone(&self);
                        let task = tasks.spawn(async move { service.serve(endpoint).await });
                        busy.insert(task.id(), id);
                    }
                    pause
                }
                Err(fault) => {
                    self.parts.pulses.fail(Self::NAME, &fault);
                    tracing::warn!(%fault, "webhook endpoints get nothing at the moment");
                    IDLE_LOOK
                }
            };
            wait(&mut tasks, &mut busy, &stop, pause).await;
        }
    }

    /// The endpoints that get events, if it is this worker that sends them.
    async fn active(&self) -> Result<Vec<WebhookEndpoint>, Fault> {
        if !self.parts.upkeep.is_eldest().await? {
            return Ok(Vec::new());
        }
        let mut endpoints = self.parts.endpoints.endpoints().await?;
        endpoints.retain(|endpoint| endpoint.state == EndpointState::Active);
        Ok(endpoints)
    }

    /// Sends what is due to one endpoint, and notes what became of it.
    async fn serve(&self, endpoint: WebhookEndpoint) -> More {
        let id = endpoint.id;
        match self.step(endpoint).await {
            Ok(more) => more,
            Err(fault) => {
                tracing::warn!(endpoint = %id, %fault, "a webhook endpoint gets nothing at the moment");
                More::No
            }
        }
    }

    async fn step(&self, endpoint: WebhookEndpoint) -> Result<More, Fault> {
        let parts = &self.parts;
        let now = parts.clock.now();
        if endpoint.next_attempt_at.is_some_and(|at| at > now) {
            return Ok(More::No);
        }
        let signer = Signer::new(endpoint.secrets(now))
            .map_err(|error| Fault::give_up("webhook_endpoints.sign", error.to_string()))?;
        let mut run = Run::new(parts, &endpoint, &signer);
        let due = parts.endpoints.due_deliveries(endpoint.id, now, DUE_MAX).await?;
        let has_due = !due.is_empty();
        run.again(due).await?;
        let mut more = More::No;
        if !has_due || !run.is_over() {
            let filter = EventFilter { after: endpoint.position, types: endpoint.types.clone() };
            match parts.events.events(&filter, EVENTS_MAX).await? {
                EventsRead::Page(page) => {
                    let has_more = page.has_more;
                    let is_whole = run.send(page).await?;
                    more = if has_more && is_whole { More::Yes } else { More::No };
                }
                EventsRead::Swept { up_to } => run.skip_to(up_to),
                EventsRead::Beyond { newest } => run.note_beyond(newest),
            }
        }
        if let Some(progress) = run.progress() {
            parts.endpoints.note_progress(endpoint.id, &progress).await?;
        }
        Ok(more)
    }
}

/// Waits for the next look, or until an endpoint is done that has more to come.
async fn wait(
    tasks: &mut JoinSet<More>,
    busy: &mut HashMap<tokio::task::Id, Uuid>,
    stop: &Stop,
    pause: Duration,
) {
    let pause = stop.sleep(pause);
    tokio::pin!(pause);
    loop {
        tokio::select! {
            () = &mut pause => return,
            Some(ended) = tasks.join_next_with_id(), if !tasks.is_empty() => {
                let (task, more) = match ended {
                    Ok((task, more)) => (task, more),
                    Err(error) => {
                        tracing::error!(%error, "sending to a webhook endpoint broke off");
                        (error.id(), More::No)
                    }
                };
                busy.remove(&task);
                if more == More::Yes {
                    return;
                }
            }
        }
    }
}
