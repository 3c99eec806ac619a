//! What the demonstration is set up with: short limits, so that everything resolves while one watches, and providers that
//! fail in every way they know. Everything random derives from the seed.

use std::path::{Path, PathBuf};

use sandbox::{FaultSettings, Faults, WebhookFaults};

use super::Server;
use crate::config::{Config, Limits, Pipeline, Providers, Secret};

/// Name of the database in the demonstration's folder.
pub(super) const DATABASE: &str = "orderwright.db";

/// How long we wait for the answer to a call, and for the gateway's final word.
const CALL_LIMIT_MS: u64 = 400;
const PAYMENT_LIMIT_MS: u64 = 2_500;

/// How long a call that hangs does so: longer than we wait for an answer. A charge hangs for longer than we wait for the
/// gateway's word at all, and some of those are then made after all.
const HANG_MS: u64 = 1_500;
const CHARGE_HANG_MS: u64 = 3_000;

/// Faults in a row of one call; more than we try it, so that some payments time out for good.
const FAULTS_IN_A_ROW_MAX: u32 = 6;

const _: () = assert!(CALL_LIMIT_MS < HANG_MS && PAYMENT_LIMIT_MS < CHARGE_HANG_MS);

/// The place of the database.
pub(super) fn database(folder: &Path) -> PathBuf {
    folder.join(DATABASE)
}

/// The service's settings, with the data in the folder unless a server is given for it.
pub(super) fn config(folder: &Path, server: Option<&Server>) -> Config {
    let defaults = Config::default();
    let (place, postgres) = match server {
        Some(server) => (server.address.clone(), server.postgres),
        None => (database(folder).to_string_lossy().into_owned().into(), defaults.postgres),
    };
    Config {
        database: place,
        postgres,
        providers: Providers {
            webhook_secret: Secret::from("demo-secret".to_owned()),
            call_limit_ms: CALL_LIMIT_MS,
            ..defaults.providers
        },
        limits: Limits {
            order_ms: 60_000,
            payment_ms: PAYMENT_LIMIT_MS,
            shipping_ms: 8_000,
            delivery_poll_ms: 2_000,
            capture_ms: 10_000,
            undo_ms: 30_000,
            stock_ms: 20_000,
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
            payments: Faults { decline_permille: 30, hang_ms: CHARGE_HANG_MS, ..trouble() },
            refunds: trouble(),
            shipping: Faults { decline_permille: 10, ..trouble() },
            shipping_cancels: trouble(),
            webhooks: WebhookFaults {
                duplicate_permille: 60,
                reorder_permille: 60,
                drop_permille: 10,
                delay_ms: (0, 40),
            },
            fault_repeat_max: FAULTS_IN_A_ROW_MAX,
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
