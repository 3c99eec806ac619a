//! `orderwright endpoints`: receivers of our webhooks that have answered 410 and get no more, until somebody opens them again.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Subcommand;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Format, Shared, texts};
use crate::any_store::{AnyStore, Purpose};
use crate::{say, wiring};

/// Receivers of webhooks that want no more of them.
#[derive(Debug, Subcommand)]
pub(super) enum Endpoints {
    /// List those that are closed, and why.
    List,
    /// Send webhooks to one again. What was missed can be sent by `dead-letters redrive --queue notification-dispatch`.
    Reopen {
        /// Its address, as configured.
        address: String,
        /// Who asks for it; kept with what was done.
        #[arg(long, env = "USER", default_value = "operator", value_name = "NAME", value_parser = texts::line)]
        actor: String,
    },
}

impl Endpoints {
    pub(super) async fn run(self, shared: &Shared) -> Result<ExitCode> {
        let config = shared.config(None)?;
        let store = AnyStore::open(&config, Purpose::Visit).await?;
        let now = wiring::context(&config).clock.now();
        let ran = match self {
            Self::List => list(&store, shared.format()).await,
            Self::Reopen { address, actor } => reopen(&store, &address, &actor, now, shared.format()).await,
        };
        store.upkeep.close().await;
        ran.map(|()| ExitCode::SUCCESS)
    }
}

async fn list(store: &AnyStore, format: Format) -> Result<()> {
    let closed = store.endpoints.closed_endpoints().await?;
    match format {
        Format::Json => {
            let shown = |(address, reason, at): &(String, String, jiff::Timestamp)| json!({"address": address, "reason": reason, "closed_at": at.to_string()});
            say!("{}", serde_json::to_string_pretty(&closed.iter().map(shown).collect::<Vec<Value>>())?);
        }
        Format::Text if closed.is_empty() => say!("no receiver is closed"),
        Format::Text => {
            for (address, reason, at) in closed {
                say!("{address}: {reason}, {at}");
            }
        }
    }
    Ok(())
}

async fn reopen(store: &AnyStore, address: &str, actor: &str, now: Timestamp, format: Format) -> Result<()> {
    if !store.endpoints.reopen_endpoint(address, actor, now).await? {
        bail!("{address} is not closed; `orderwright endpoints list` shows those that are");
    }
    match format {
        Format::Json => say!("{}", json!({"address": address, "state": "open"})),
        Format::Text => say!("{address} gets webhooks again"),
    }
    Ok(())
}
