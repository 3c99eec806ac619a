//! Webhook endpoints as persons and programs see and change them, over HTTP and on the command line alike. What is wrong with a
//! wish is said before anything is done; a secret is shown once, when it is made.

use std::net::IpAddr;

use application::ports::{
    Delivery, EVENT_TYPES, EndpointChange, EndpointState, WEBHOOK_ENDPOINTS_MAX, WebhookEndpoint,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bus::Fault;
use jiff::Timestamp;
use providers::notifications::{check_address, is_public};
use rand::TryRngCore;
use rand::rngs::OsRng;
use serde::Serialize;
use uuid::Uuid;

use crate::config::{Allowance, Config, shown};

/// Bytes of a secret.
const SECRET_BYTES: usize = 32;

/// Failed deliveries that are sent again at a time.
pub const REDELIVER_MAX: usize = 1_000;

/// Whether an endpoint's address may be plain HTTP: only where private addresses are allowed, as in development.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// It may.
    Allowed,
    /// It must be HTTPS.
    Refused,
}

impl Plain {
    /// As configured.
    #[must_use]
    pub const fn of(config: &Config) -> Self {
        match config.notifications.webhook_private_addresses {
            Allowance::Allow => Self::Allowed,
            Allowance::Refuse => Self::Refused,
        }
    }
}

/// An endpoint as it is shown: without its secrets.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointView {
    /// Its id.
    pub id: Uuid,
    /// Where events are sent, without what may be a secret in it.
    pub url: String,
    /// Only these types of events; all if there is none.
    pub types: Vec<String>,
    /// What it is for.
    pub note: String,
    /// `active`, `paused` or `closed`.
    pub state: &'static str,
    /// Why it is closed or does not get on.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trouble: String,
    /// The position up to which it has the events.
    pub position: i64,
    /// Attempts in a row of which none got through.
    pub failures: u32,
    /// Since when none gets through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its secret, when it has just been made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl EndpointView {
    /// An endpoint whose secret has just been made.
    #[must_use]
    pub fn with_secret(endpoint: WebhookEndpoint) -> Self {
        let secret = Some(endpoint.secret.clone());
        Self { secret, ..Self::from(endpoint) }
    }
}

impl From<WebhookEndpoint> for EndpointView {
    fn from(it: WebhookEndpoint) -> Self {
        Self {
            id: it.id,
            url: shown(&it.url),
            types: it.types,
            note: it.note,
            state: it.state.as_str(),
            trouble: it.trouble,
            position: it.position,
            failures: it.failures,
            failing_since: it.failing_since,
            next_attempt_at: it.next_attempt_at,
            created_at: it.created_at,
            secret: None,
        }
    }
}

/// A delivery as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryView {
    /// The event.
    pub position: i64,
    /// The event's order.
    pub order_id: Uuid,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: String,
    /// `delivered`, `waiting` or `failed`.
    pub state: &'static str,
    /// Attempts until now.
    pub attempts: u32,
    /// When it was tried last.
    pub last_at: Timestamp,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// Milliseconds that the last attempt took.
    pub took_ms: u32,
    /// What was answered last.
    pub answer: String,
}

impl From<Delivery> for DeliveryView {
    fn from(it: Delivery) -> Self {
        Self {
            position: it.position,
            order_id: it.order_id,
            event_type: it.event_type,
            state: it.state.as_str(),
            attempts: it.attempts,
            last_at: it.last_at,
            next_at: it.next_at,
            took_ms: it.took_ms,
            answer: it.answer,
        }
    }
}

/// What is wrong with an address for events.
///
/// # Errors
/// In words, with what would be right.
pub fn check_url(url: &str, plain: Plain) -> Result<(), String> {
    check_address(url).map_err(|error| error.to_string())?;
    if plain == Plain::Allowed {
        return Ok(());
    }
    const DEVELOPMENT: &str = "for development set notifications.webhook_private_addresses = \"allow\" for the service and for this command";
    if !url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")) {
        return Err(format!("must begin with https://; {DEVELOPMENT}"));
    }
    let uri = url.parse::<http::Uri>().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default().trim_matches(['[', ']']);
    let is_private = host.parse::<IpAddr>().is_ok_and(|address| !is_public(address));
    if is_private || host.eq_ignore_ascii_case("localhost") {
        return Err(format!("{host} is no address of the public network; {DEVELOPMENT}"));
    }
    Ok(())
}

/// What is wrong with a type of events.
///
/// # Errors
/// In words, with those that there are.
pub fn check_type(name: &str) -> Result<(), String> {
    if EVENT_TYPES.contains(&name) {
        return Ok(());
    }
    Err(format!("no event is called '{name}'; there are {}", EVENT_TYPES.join(", ")))
}

/// A fresh secret.
///
/// # Errors
/// If the system gives no random bytes.
fn new_secret() -> Result<String, Fault> {
    let mut bytes = [0; SECRET_BYTES];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| Fault::retry("webhook_endpoints.secret", error.to_string()))?;
    Ok(format!("whsec_{}", STANDARD.encode(bytes)))
}

/// A new endpoint, as it is asked for.
pub struct NewEndpoint {
    /// Its id.
    pub id: Uuid,
    /// Where events are sent.
    pub url: String,
    /// Only these types of events; all if there is none.
    pub types: Vec<String>,
    /// What it is for.
    pub note: String,
    /// The position to begin behind.
    pub position: i64,
}

/// A new endpoint with a fresh secret.
///
/// # Errors
/// If the system gives no random bytes.
pub fn fresh(new: NewEndpoint, at: Timestamp) -> Result<WebhookEndpoint, Fault> {
    let NewEndpoint { id, url, types, note, position } = new;
    Ok(WebhookEndpoint {
        id,
        url,
        types,
        note,
        secret: new_secret()?,
        previous_secret: None,
        rotated_at: None,
        state: EndpointState::Active,
        trouble: String::new(),
        position,
        failures: 0,
        failing_since: None,
        next_attempt_at: None,
        created_at: at,
        revision: 0,
    })
}

/// The change that gives an endpoint a fresh secret.
///
/// # Errors
/// If the system gives no random bytes.
pub fn rotation() -> Result<EndpointChange, Fault> {
    Ok(EndpointChange { secret: Some(new_secret()?), ..EndpointChange::default() })
}

/// Says that there are as many endpoints as there may be.
#[must_use]
pub fn too_many() -> String {
    format!("there are {WEBHOOK_ENDPOINTS_MAX} webhook endpoints, and no more are kept; remove one first")
}
