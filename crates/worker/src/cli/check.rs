//! `orderwright check` and `orderwright migrate`: are the books right, and is the database of this version.

use std::process::ExitCode;

use anyhow::Result;
use application::against_gateway::Comparison;
use application::ports::BrokenInvariantView;
use clap::Args;
use serde::Serialize;

use super::{Format, Shared};
use crate::against_gateway::{SECOND_LOOK_AFTER, compare};
use crate::any_store::{AnyStore, Purpose};
use crate::config::Config;
use crate::say;
use crate::wiring;

/// Mistakes listed at most.
const MISTAKES_MAX: usize = 1_000;

/// Check the six invariants over everything that is stored.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Also hold the books against the payment gateway's own list of charges, both ways. Orders whose money is on the move are
    /// left out, and counted.
    #[arg(long)]
    against_provider: bool,
}

/// What was found, where the gateway was asked too.
#[derive(Serialize)]
struct Found<'a> {
    broken: &'a [BrokenInvariantView],
    provider: &'a Comparison,
}

impl Check {
    pub(super) async fn run(self, shared: &Shared) -> Result<ExitCode> {
        let config = shared.config(None)?;
        let store = AnyStore::open(&config, Purpose::Visit).await?;
        let found = self.look(&config, &store).await;
        store.upkeep.close().await;
        let (broken, provider) = found?;
        match (shared.format(), &provider) {
            (Format::Json, None) => say!("{}", serde_json::to_string_pretty(&broken)?),
            (Format::Json, Some(provider)) => {
                say!("{}", serde_json::to_string_pretty(&Found { broken: &broken, provider })?);
            }
            (Format::Text, provider) => {
                tell_invariants(&broken);
                provider.iter().for_each(tell_comparison);
            }
        }
        let agree = provider.is_none_or(|provider| provider.differences.is_empty() && !provider.more);
        Ok(if broken.is_empty() && agree { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn look(
        &self,
        config: &Config,
        store: &AnyStore,
    ) -> Result<(Vec<BrokenInvariantView>, Option<Comparison>)> {
        let context = wiring::context(config);
        let broken = store.readers.broken_invariants(context.clock.now(), MISTAKES_MAX).await?;
        if !self.against_provider {
            return Ok((broken, None));
        }
        let books = wiring::books(config, &context)?;
        let (readers, books) = (store.readers.as_ref(), books.as_ref());
        let provider = compare(readers, books, SECOND_LOOK_AFTER, MISTAKES_MAX).await?;
        Ok((broken, Some(provider)))
    }
}

fn tell_invariants(broken: &[BrokenInvariantView]) {
    if broken.is_empty() {
        say!("the books are right: all invariants that the store can tell of hold");
    }
    for mistake in broken {
        say!("invariant {}: {}: {}", mistake.invariant, mistake.subject, mistake.detail);
    }
}

fn tell_comparison(comparison: &Comparison) {
    for difference in &comparison.differences {
        let subject = match (difference.order_id, difference.missing_order_id) {
            (Some(order_id), _) => format!("order {order_id}"),
            (None, Some(missing)) => format!("order {missing}, which is not here"),
            (None, None) => format!("charge {}", difference.charge_id.as_deref().unwrap_or(&difference.key)),
        };
        let (name, detail) = (difference.kind.as_str(), &difference.detail);
        match &difference.charge_id {
            Some(charge) => say!("{name}: {subject}: {detail} ({charge})"),
            None => say!("{name}: {subject}: {detail}"),
        }
    }
    let missing = comparison.differences.iter().filter(|it| it.missing_order_id.is_some()).count();
    if missing > 0 {
        say!(
            "orders that were paid and are not here: {missing}; this database has lost them, is a copy from before, or shares the gateway with another"
        );
    }
    let Comparison { charges, payments, under_way, differences, more } = comparison;
    let agreement = match (differences.len(), more) {
        (0, false) => "the gateway's books agree with ours".to_owned(),
        (count, false) => format!("{count} differences from the gateway's books"),
        (count, true) => format!("{count} differences from the gateway's books, and not all was compared"),
    };
    say!(
        "{agreement}: {charges} charges there, {payments} payments here, {under_way} left out because their money is on the move"
    );
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
