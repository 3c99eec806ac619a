//! The listener and its access, as configured: keys, TLS certificate, webhook secrets. Refuses to start if the
//! service would be open to everybody from outside.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use application::pipeline::Context;
use application::ports::Provider;
use bus::Supervisor;
use providers::webhooks::Verifier;
use rand::TryRngCore;
use rand::rngs::OsRng;

use crate::any_store::AnyStore;
use crate::config::{Config, Security, WebhookSecrets};
use crate::descriptors;
use crate::http::{Door, Names};
use crate::metrics::Registry;
use crate::security::{Gate, GateSettings, Hosts, KeyRing, KeyRingService, Rate, Reach, Sessions};
use crate::tls::Certificate;

/// Connections to the listener of metrics that there may always be.
const SIDE_CONNECTIONS_MIN: usize = 4;

/// The gate of a service that listens at this address, with the keys of its store.
///
/// # Errors
/// If others reach the service and there is no key to ask them for; those of the store.
pub async fn gate(
    config: &Config,
    addr: SocketAddr,
    store: &AnyStore,
    context: &Context,
    supervisor: &mut Supervisor,
) -> Result<Arc<Gate>> {
    let security = &config.security;
    let configured = (!security.admin_key.is_empty()).then(|| security.admin_key.expose());
    let ring = Arc::new(KeyRing::new(configured));
    let pause = Duration::from_millis(security.keys_refresh_ms);
    let keeping =
        KeyRingService::new(Arc::clone(&store.keys), Arc::clone(&ring), Arc::clone(&context.clock), pause);
    let valid = keeping.step().await?;
    if reach(addr) == Reach::Beyond && valid == 0 && configured.is_none() {
        bail!(
            "listen = '{addr}' is reached from elsewhere and there is no API key: make one with \
             `orderwright keys create --name NAME --scopes admin`, set security.admin_key, or listen on 127.0.0.1"
        );
    }
    let keeping = Arc::new(keeping);
    supervisor.run("api-key-service", move |stop| Arc::clone(&keeping).run(stop));
    let rate = Rate { per_second: security.requests_per_second_max, burst: security.requests_burst_max };
    let settings = GateSettings { rate, public: security.public.clone(), reach: reach(addr) };
    let gate = Gate::new(settings, ring, Arc::clone(&context.clock));
    Ok(Arc::new(gate.reached_as(Hosts::named(&security.hosts))))
}

/// The listener at this address, and its certificate, which is reloaded when the files change.
///
/// # Errors
/// If certificate and key cannot be used.
pub fn door(
    config: &Config,
    addr: SocketAddr,
    registry: &Arc<Registry>,
    supervisor: &mut Supervisor,
) -> Result<(Door, Option<Arc<Certificate>>)> {
    let names = match reach(addr) {
        Reach::Here => Names::Untold,
        Reach::Beyond => Names::Told,
    };
    let security = &config.security;
    let (tls, certificate) = match (security.tls_cert.as_str(), security.tls_key.as_str()) {
        ("", "") => (None, None),
        (cert, key) => {
            let certificate = Certificate::of_files(cert.into(), key.into())?;
            let acceptor = certificate.acceptor()?;
            let watched = Arc::clone(&certificate);
            supervisor.run(Certificate::SERVICE, move |stop| Arc::clone(&watched).run(stop));
            (Some(acceptor), Some(certificate))
        }
    };
    let connections_max =
        descriptors::seats(config.connections.at_once_max, config.providers.calls_at_once_max);
    let (patience, registry) = (config.connections.patience(), Arc::clone(registry));
    Ok((Door { tls, names, connections_max, patience, registry }, certificate))
}

/// The metrics listener beside the API: plain text, same rules, an eighth of the connections.
#[must_use]
pub fn side_door(door: &Door) -> Door {
    let connections_max = (door.connections_max / 8).max(SIDE_CONNECTIONS_MIN);
    Door { tls: None, names: Names::Untold, connections_max, ..door.clone() }
}

/// Verifies this provider's webhooks with its secret, and with the one before it while that is still around.
///
/// # Errors
/// If one of them cannot be a secret.
pub fn verifier(config: &Config, provider: Provider) -> Result<Verifier> {
    let WebhookSecrets { key, now, previous } = config.providers.webhook_secrets(provider);
    let tolerance = Duration::from_secs(config.providers.webhook_tolerance_s);
    let verifier =
        Verifier::new(now.expose()).with_context(|| format!("{key} cannot be used"))?.tolerating(tolerance);
    if previous.is_empty() {
        return Ok(verifier);
    }
    verifier.accepting(previous.expose()).with_context(|| format!("{key}_previous cannot be used"))
}

/// Sessions of people who sign in on the page.
///
/// # Errors
/// If there are no random bytes.
pub fn sessions(security: &Security) -> Result<Sessions> {
    let lasting = Duration::from_secs(u64::from(security.session_minutes) * 60);
    if !security.session_secret.is_empty() {
        return Ok(Sessions::new(security.session_secret.expose(), lasting));
    }
    let fill = |bytes: &mut [u8]| OsRng.try_fill_bytes(bytes);
    Sessions::of_this_process(lasting, fill).context("the system gives no random bytes")
}

fn reach(addr: SocketAddr) -> Reach {
    if addr.ip().to_canonical().is_loopback() { Reach::Here } else { Reach::Beyond }
}
