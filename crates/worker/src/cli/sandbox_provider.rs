//! `orderwright sandbox`: the payment and shipping provider in a process of its own.

use std::process::ExitCode;

use anyhow::{Context, Result};
use application::ports::Provider;
use clap::Args;
use sandbox::{FaultSettings, Sandbox, Settings};
use serde_json::json;

use super::serve::{Life, Signals, bind};
use super::{Format, Shared};
use crate::say;

/// Run the payment and shipping provider to develop and test against.
#[derive(Debug, Args)]
pub(super) struct SandboxProvider {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8090", value_name = "IP:PORT")]
    listen: String,
    /// Where the service takes webhooks.
    #[arg(long, default_value = "http://127.0.0.1:8080/webhooks", value_name = "URL")]
    webhook_url: String,
    /// Everything random derives from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Faults to inject, as the JSON that `PUT /faults` takes, or @FILE.
    #[arg(long, value_name = "JSON")]
    faults: Option<String>,
    /// From booking to delivery, in milliseconds: the least.
    #[arg(long, default_value_t = 200)]
    delivery_min_ms: u64,
    /// From booking to delivery, in milliseconds: the most.
    #[arg(long, default_value_t = 500)]
    delivery_max_ms: u64,
    /// Charges and shipments remembered.
    #[arg(long, default_value_t = 2_000_000)]
    keys_max: usize,
    #[command(flatten)]
    life: Life,
}

impl SandboxProvider {
    pub(super) async fn run(self, shared: &Shared) -> Result<ExitCode> {
        let signals = Signals::catch()?;
        let config = shared.config(None)?;
        let listener = bind(&self.listen).await?;
        let settings = Settings {
            seed: self.seed,
            webhook_url: Some(self.webhook_url.clone()),
            webhook_secret: config.providers.webhook_secrets(Provider::Payments).now.expose().to_owned(),
            shipping_webhook_secret: Some(
                config.providers.webhook_secrets(Provider::Shipping).now.expose().to_owned(),
            ),
            faults: faults(self.faults.as_deref())?,
            delivery_delay_ms: (self.delivery_min_ms, self.delivery_max_ms.max(self.delivery_min_ms)),
            max_keys: self.keys_max,
            ..Settings::default()
        };
        let running = Sandbox::start(listener, settings)?;
        let address = format!("http://{}", running.addr);
        match shared.format() {
            Format::Json => say!("{}", json!({"state": "serving", "address": address})),
            Format::Text => say!("sandbox provider on {address}  (books: /stats, faults: /faults)"),
        }
        self.life.end(signals, &|| tracing::info!("hang-up: the sandbox has nothing to read anew")).await?;
        running.stop().await;
        Ok(ExitCode::SUCCESS)
    }
}

fn faults(text: Option<&str>) -> Result<FaultSettings> {
    let Some(text) = text else { return Ok(FaultSettings::default()) };
    let json = match text.strip_prefix('@') {
        Some(path) => {
            std::fs::read_to_string(path).with_context(|| format!("cannot read the faults in {path}"))?
        }
        None => text.to_owned(),
    };
    serde_json::from_str(&json).context("--faults is not what PUT /faults takes")
}
