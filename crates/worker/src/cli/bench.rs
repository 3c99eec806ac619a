//! `orderwright bench`: how fast it is on this machine, end to end.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::{Format, Shared};
use crate::bench::{self, Plan};
use crate::config::Place;
use crate::{say, show};

/// Measure orders per second, latency, CPU and memory, end to end.
#[derive(Debug, Args)]
pub(super) struct Bench {
    /// Orders to send.
    #[arg(long, default_value_t = 40_000)]
    orders: u64,
    /// Orders sent and worked off before the measurement.
    #[arg(long, default_value_t = 0)]
    preload: u64,
    /// Connections, each with one request at a time.
    #[arg(long, default_value_t = 1_024)]
    connections: usize,
    /// Orders per second to offer; as fast as the connections manage, if left out.
    #[arg(long)]
    rate: Option<u64>,
    /// Products ordered; 1 is a flash sale on one hot product.
    #[arg(long, default_value_t = 1_000)]
    products: u32,
    /// Lines of an order.
    #[arg(long, default_value_t = 2)]
    lines: usize,
    /// Processes that share the work; more than one need a postgres:// database.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    workers: u8,
    /// First process of the PostgreSQL server that --database names, if it is not found by itself: its CPU time is counted too,
    /// as is that of a broker on this machine.
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Folder for logs and, without a postgres:// database, the data; what an earlier measurement left there is removed.
    #[arg(long, default_value = "data/bench")]
    data: PathBuf,
}

impl Bench {
    pub(super) async fn run(self, shared: &Shared) -> Result<ExitCode> {
        std::fs::create_dir_all(&self.data)?;
        let config = shared.config(None)?;
        let server = match config.database.place() {
            Some(Place::Postgres(_)) => Some(config.database),
            Some(Place::File(_)) | None => None,
        };
        let plan = Plan {
            orders: self.orders,
            preload: self.preload,
            connections: self.connections,
            rate: self.rate,
            products: self.products,
            lines: self.lines,
            folder: self.data,
            server,
            server_pid: self.server_pid,
            rabbitmq: config.rabbitmq,
            workers: self.workers.into(),
        };
        let report = bench::run(&plan).await?;
        match shared.format() {
            Format::Json => say!("{}", serde_json::to_string_pretty(&report)?),
            Format::Text => show!("{report}"),
        }
        Ok(ExitCode::SUCCESS)
    }
}
