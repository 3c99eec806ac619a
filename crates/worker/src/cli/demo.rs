//! `orderwright demo`: the first thing to run. Needs nothing; fails if an invariant does not hold.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::serve::{Life, Signals};
use super::{Format, Shared};
use crate::config::Place;
use crate::demo::{Demo, Ended, Server, Start};
use crate::import::Shown;
use crate::say;

/// Show everything at work: 830 orders, providers that fail, and books that agree.
#[derive(Debug, Args)]
pub(super) struct DemoCommand {
    /// Folder of the demonstration's data; with a postgres:// database, of all but the orders.
    #[arg(long, default_value = "data/demo", value_name = "DIR")]
    data: PathBuf,
    /// Everything random derives from it.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Remove what an earlier demonstration left in the folder first.
    #[arg(long)]
    fresh: bool,
    /// Stay up afterwards, to look around on the page, until Ctrl-C.
    #[arg(long)]
    stay: bool,
}

/// Where to look around.
fn said(format: Format, address: &str) {
    match format {
        Format::Text => say!("the service stays up: {address}/ui (Ctrl-C ends it)"),
        Format::Json => say!("{}", json!({"state": "serving", "address": address})),
    }
}

impl DemoCommand {
    pub(super) async fn run(self, shared: &Shared) -> Result<ExitCode> {
        let format = shared.format();
        let config = shared.config(None)?;
        let server = match config.database.place() {
            Some(Place::Postgres(_)) => Some(Server { address: config.database, postgres: config.postgres }),
            Some(Place::File(_)) | None => None,
        };
        let demo = Demo {
            folder: self.data,
            server,
            seed: self.seed,
            start: if self.fresh { Start::Fresh } else { Start::Resume },
            shown: match format {
                Format::Text => Shown::Yes,
                Format::Json => Shown::No,
            },
        };
        let signals = Signals::catch()?;
        let life = Life::default();
        let tell = async |ended: &Ended, address: &str| {
            match format {
                Format::Text => say!("{}", ended.text()),
                Format::Json => say!("{}", ended.json().unwrap_or_default()),
            }
            if self.stay {
                said(format, address);
                let _ = life.end(signals, &|| {}).await;
            }
        };
        let ended = demo.run(tell).await?;
        Ok(if ended.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
