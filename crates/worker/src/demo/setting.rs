//! What the demonstration is set up with: short limits, so that everything resolves while one watches, and providers that
//! fail in every way they know. Everything random derives from the seed.

use std::path::{Path, PathBuf};

use sandbox::{FaultSettings, Faults, WebhookFaults};

use crate::config::{Config, Limits, Pipeline, Providers, Secret};

/// Name of the database in the demonstration's folder.
pub(super) const DATABASE: &str = "orderwright.db";

/// How long a call that hangs does so; longer than we wait for it.
const HANG_MS: u64 = 1_500;

/// The place of the database.
pub(super) fn database(folder: &Path) -> PathBuf {
    folder.join(DATABASE)
}

/// The service's settings.
pub(super) fn config(folder: &Path) -> Config {
    let defaults = Config::default();
    Config {
        database: database(folder).to_string_lossy().into_owned(),
        providers: Providers {
            webhook_secret: Secret::from("demo-secret".to_owned()),
            call_limit_ms: 400,
            ..defaults.providers
        },
        limits: Limits {
            order_ms: 60_000,
            payment_ms: 8_000,
            shipping_ms: 8_000,
            delivery_poll_ms: 2_000,
            undo_ms: 30_000,
        },
        pipeline: Pipeline { call_retry_first_ms: 50, undo_retry_first_ms: 100, ..defaults.pipeline },
        ..defaults
    }
}

/// The providers' settings.
pub(super) fn sandbox(seed: u64) -> sandbox::Settings {
    sandbox::Settings {
        seed,
        faults: FaultSettings {
            payments: Faults { decline_permille: 30, ..trouble() },
            refunds: trouble(),
            shipping: Faults { decline_permille: 10, ..trouble() },
            shipping_cancels: trouble(),
            webhooks: WebhookFaults {
                duplicate_permille: 60,
                reorder_permille: 60,
                drop_permille: 10,
                delay_ms: (0, 40),
            },
            ..FaultSettings::default()
        },
        delivery_delay_ms: (150, 900),
        ..sandbox::Settings::default()
    }
}

fn trouble() -> Faults {
    Faults {
        server_error_permille: 30,
        throttle_permille: 10,
        hang_permille: 20,
        lose_response_permille: 25,
        latency_ms: (2, 25),
        hang_ms: HANG_MS,
        ..Faults::default()
    }
}
