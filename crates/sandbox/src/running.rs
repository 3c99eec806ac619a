//! Starts and stops a sandbox inside the caller's Tokio runtime, and lets the caller look and meddle while it runs.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::clock::Clock;
use crate::courier::Courier;
use crate::events::Topic;
use crate::faults::{FaultSettings, Pause};
use crate::limits;
use crate::provider::Provider;
use crate::settings::Settings;
use crate::signature::Signer;
use crate::stats::Stats;
use crate::{server, timekeeper};

/// The payment and shipping provider.
#[derive(Debug, Clone, Copy)]
pub struct Sandbox;

/// A sandbox at work. Dropping it stops it without waiting.
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    provider: Arc<Provider>,
}

/// Turns faults on and off while the sandbox runs; copies act on the same sandbox.
#[derive(Clone)]
pub struct FaultSwitch(Arc<Provider>);

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// The listener has no address.
    #[error("the listener has no address")]
    Address(#[source] std::io::Error),
    /// Webhooks go to plain `http://` addresses only.
    #[error("webhook address {0:?} is no http:// address")]
    WebhookUrl(String),
    /// The secret after `whsec_` must be base64.
    #[error("the webhook secret claims to be base64 (whsec_...) and is not")]
    WebhookSecret,
}

impl Sandbox {
    /// Starts serving on the listener. Must be called inside a Tokio runtime, whose threads it then shares.
    pub fn start(listener: TcpListener, settings: Settings) -> Result<Running, StartFault> {
        let addr = listener.local_addr().map_err(StartFault::Address)?;
        let couriers = couriers(&settings)?;
        let provider = Arc::new(Provider::new(settings, Clock::from_system()));
        let tasks = &provider.tasks;
        tasks.spawn(server::run(listener, Arc::clone(&provider)));
        tasks.spawn(timekeeper::run(Arc::clone(&provider)));
        for courier in couriers {
            tasks.spawn(courier.run(Arc::clone(&provider)));
        }
        Ok(Running { addr, provider })
    }
}

impl Running {
    /// Everything counted so far.
    pub fn stats(&self) -> Stats {
        self.provider.stats()
    }

    /// A handle that replaces faults and pauses providers.
    pub fn faults(&self) -> FaultSwitch {
        FaultSwitch(Arc::clone(&self.provider))
    }

    /// Stops: open requests get a moment to end, webhooks still waiting are not sent.
    pub async fn stop(self) {
        self.provider.stop.cancel();
        self.provider.tasks.close();
        let _ = tokio::time::timeout(limits::STOP_TIMEOUT, self.provider.tasks.wait()).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.provider.stop.cancel();
    }
}

impl FaultSwitch {
    /// The settings in force.
    pub fn current(&self) -> FaultSettings {
        (*self.0.faults()).clone()
    }

    /// Replaces all fault settings; calls already hanging or delayed stay so.
    pub fn replace(&self, faults: FaultSettings) {
        self.0.replace_faults(faults);
    }

    /// Takes a provider down, lets it hang, or brings it back.
    pub fn pause(&self, pause: Pause) {
        self.0.pause(pause);
    }
}

fn couriers(settings: &Settings) -> Result<Vec<Courier>, StartFault> {
    let Some(url) = &settings.webhook_url else { return Ok(Vec::new()) };
    let of_carrier = settings.shipping_webhook_secret.as_ref().unwrap_or(&settings.webhook_secret);
    let mut couriers = Vec::new();
    for (topic, secret) in [(Topic::Payments, &settings.webhook_secret), (Topic::Shipping, of_carrier)] {
        let signer = Signer::new(secret).map_err(|_| StartFault::WebhookSecret)?;
        let courier = Courier::new(url, topic, signer);
        let courier = courier.ok_or_else(|| StartFault::WebhookUrl(url.clone()))?;
        couriers.extend(std::iter::repeat_n(courier, limits::WEBHOOK_POSTS_MAX));
    }
    Ok(couriers)
}
