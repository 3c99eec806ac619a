//! `orderwright strain`: what becomes of it when too much is asked of it, with a verdict and a page of charts.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::{Format, Shared};
use crate::bench::Plan;
use crate::bench::strain::{self, Scenario};
use crate::config::Place;
use crate::{say, show, tell};

/// Put it under strain and judge what becomes of it; writes a page with charts over time.
#[derive(Debug, Args)]
pub(super) struct Strain {
    #[command(subcommand)]
    scenario: Scenario,
    /// The page to write.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Ground",
        default_value = "data/strain.html"
    )]
    report: PathBuf,
    /// Connections of a closed load, each with one request at a time.
    #[arg(long, global = true, help_heading = "Ground", default_value_t = 1_024)]
    connections: usize,
    /// Products ordered; 1 is one hot product.
    #[arg(long, global = true, help_heading = "Ground", default_value_t = 1_000)]
    products: u32,
    /// Lines of an order.
    #[arg(long, global = true, help_heading = "Ground", default_value_t = 2)]
    lines: usize,
    /// Processes that share the work; more than one need a postgres:// database.
    #[arg(long, global = true, help_heading = "Ground", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    workers: u8,
    /// Folder for logs and, without a postgres:// database, the data; what an earlier strain left there is removed.
    #[arg(long, global = true, help_heading = "Ground", default_value = "data/strain")]
    data: PathBuf,
}

impl Strain {
    pub(super) async fn run(self, shared: &Shared) -> Result<ExitCode> {
        std::fs::create_dir_all(&self.data)?;
        let config = shared.config(None)?;
        let server = match config.database.place() {
            Some(Place::Postgres(_)) => Some(config.database),
            Some(Place::File(_)) | None => None,
        };
        let plan = Plan {
            orders: 1,
            preload: 0,
            connections: self.connections,
            rate: None,
            products: self.products,
            lines: self.lines,
            folder: self.data,
            server,
            server_pid: None,
            rabbitmq: config.rabbitmq,
            workers: self.workers.into(),
        };
        let report = strain::run(&self.scenario, &plan).await?;
        if let Some(folder) = self.report.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&self.report, report.page())
            .with_context(|| format!("cannot write {}", self.report.display()))?;
        tell!("charts: {}", self.report.display());
        match shared.format() {
            Format::Json => say!("{}", serde_json::to_string_pretty(&report)?),
            Format::Text => show!("{report}"),
        }
        Ok(if report.holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
