//! `orderwright backup`: a copy of the database while it is in use.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use infrastructure::sqlite::back_up;
use serde_json::json;

use super::{Format, Shared};
use crate::any_store::{AnyStore, Purpose};
use crate::config::Place;
use crate::say;

/// Copy the database file into another one, whole and checked, while the service runs.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The file to make; it must not be there yet.
    #[arg(value_name = "FILE")]
    to: PathBuf,
}

impl Backup {
    pub(super) async fn run(self, shared: &Shared) -> Result<ExitCode> {
        let config = shared.config(None)?;
        let Place::File(from) =
            config.database.place().context("the configuration was checked and names a database")?
        else {
            bail!(
                "PostgreSQL has tools of its own for that, pg_dump and pg_basebackup: see 'Backup' in docs/runbook.md"
            );
        };
        // Says what is wrong with a place that is none of ours.
        AnyStore::open(&config, Purpose::Visit).await?.upkeep.close().await;
        let bytes = back_up(&from, &self.to)?;
        match shared.format() {
            Format::Json => {
                let copied = json!({"from": from.display().to_string(), "to": self.to.display().to_string(), "bytes": bytes});
                say!("{copied}");
            }
            Format::Text => say!(
                "{} holds what {} held a moment ago: {bytes} bytes, checked and on the disk",
                self.to.display(),
                from.display()
            ),
        }
        Ok(ExitCode::SUCCESS)
    }
}
