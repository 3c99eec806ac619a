//! `orderwright check` and `orderwright migrate`: are the books right, and is the database of this version.

use std::process::ExitCode;

use anyhow::Result;

use super::{Format, Shared};
use crate::any_store::{AnyStore, Purpose};
use crate::say;
use crate::wiring;

/// Mistakes listed at most.
const MISTAKES_MAX: usize = 1_000;

pub(super) async fn check(shared: &Shared) -> Result<ExitCode> {
    let config = shared.config(None)?;
    let store = AnyStore::open(&config, Purpose::Visit).await?;
    let now = wiring::context(&config).clock.now();
    let broken = store.readers.broken_invariants(now, MISTAKES_MAX).await;
    store.upkeep.close().await;
    let broken = broken?;
    match shared.format() {
        Format::Json => say!("{}", serde_json::to_string_pretty(&broken)?),
        Format::Text if broken.is_empty() => {
            say!("the books are right: all invariants that the store can tell of hold");
        }
        Format::Text => {
            for mistake in &broken {
                say!("invariant {}: {}: {}", mistake.invariant, mistake.subject, mistake.detail);
            }
        }
    }
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(super) async fn migrate(shared: &Shared) -> Result<ExitCode> {
    let config = shared.config(None)?;
    let store = AnyStore::open(&config, Purpose::Migrate).await?;
    let version = store.upkeep.schema_version().await;
    store.upkeep.close().await;
    let version = version?;
    match shared.format() {
        Format::Json => say!("{{\"schema_version\":{version}}}"),
        Format::Text => say!("{} has tables of version {version}", config.database),
    }
    Ok(ExitCode::SUCCESS)
}
