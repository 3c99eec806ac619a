//! Whether the webhook endpoints get their events.

use std::sync::Arc;

use application::ports::{EndpointState, WebhookEndpoint, WebhookEndpoints};
use async_trait::async_trait;
use jiff::SignedDuration;

use super::{Check, Finding, Scene};

/// How long an endpoint may be away before it is told.
const AWAY_TOLD: SignedDuration = SignedDuration::from_mins(10);

/// Whether an endpoint was closed without a person's wish, or has been away for a while.
pub(super) struct WebhookEndpointsCheck(pub(super) Arc<dyn WebhookEndpoints>);

#[async_trait]
impl Check for WebhookEndpointsCheck {
    fn name(&self) -> &'static str {
        "webhook-endpoints"
    }

    async fn look(&self, scene: &Scene) -> Finding {
        let Ok(endpoints) = self.0.endpoints().await else {
            return Finding::down("not known: the store does not answer");
        };
        let is_away = |it: &WebhookEndpoint| {
            it.failing_since.is_some_and(|since| scene.now.duration_since(since) > AWAY_TOLD)
        };
        let is_ill = |it: &&WebhookEndpoint| match it.state {
            EndpointState::Active => is_away(it),
            EndpointState::Paused => false,
            EndpointState::Closed => true,
        };
        let ill: Vec<String> =
            endpoints.iter().filter(is_ill).map(|it| format!("{}: {}", it.id, it.trouble)).collect();
        if ill.is_empty() {
            return Finding::up(format!(
                "{} endpoints get their events",
                endpoints.len() - paused(&endpoints)
            ));
        }
        Finding::degraded(format!(
            "{}; look at them with `orderwright webhook-endpoints list`, and let them go on with `webhook-endpoints resume`",
            ill.join("; ")
        ))
    }
}

fn paused(endpoints: &[WebhookEndpoint]) -> usize {
    endpoints.iter().filter(|it| it.state == EndpointState::Paused).count()
}
