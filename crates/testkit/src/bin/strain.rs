//! `strain`: `orderwright strain` on servers of its own, which are gone afterwards. Knows how to slow down the disk of the
//! PostgreSQL server that it started; everything else is the program's own.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use orderwright_testkit::servers::rabbitmq::RabbitMq;
use orderwright_testkit::servers::{self, Durability, Postgres};

/// The scenario that compares with a store that stays small, which it needs another database for.
const GROWTH: &str = "growth";

/// The scenario whose disk has to be slowed down.
const SLOW_DISK: &str = "slow-disk";

/// Puts the program under strain.
#[derive(Parser)]
struct Args {
    /// The program.
    #[arg(long)]
    orderwright: PathBuf,
    /// On a PostgreSQL server of its own, with full durability.
    #[arg(long)]
    postgres: bool,
    /// With a RabbitMQ node of its own between the workers.
    #[arg(long)]
    rabbitmq: bool,
    /// The scenario and its flags.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    scenario: Vec<String>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let database = args.postgres.then(|| Postgres::start(Durability::Fsync)).transpose()?;
    let broker = args.rabbitmq.then(RabbitMq::start).transpose()?;
    let mut command = Command::new(&args.orderwright);
    command.arg("strain").args(&args.scenario);
    if let Some(server) = &database {
        command.env("ORDERWRIGHT_DATABASE", server.database()?);
    }
    if let Some(broker) = &broker {
        command.env("ORDERWRIGHT_BROKER", broker.vhost()?);
    }
    if args.scenario.iter().any(|word| word == GROWTH) {
        if let Some(server) = &database {
            command.args(["--small-database", &server.database()?]);
        }
        if let Some(broker) = &broker {
            command.args(["--small-broker", &broker.vhost()?]);
        }
    }
    if args.scenario.iter().any(|word| word == SLOW_DISK)
        && !args.scenario.iter().any(|word| word == "--slow")
    {
        ensure!(
            args.postgres,
            "a slow disk is simulated for PostgreSQL only, as SQLite offers nothing to slow a flush down with; add --postgres, or \
             give --slow and --fair"
        );
        let server = database.as_ref().context("there is a server")?;
        command.args(["--slow", &server.slow_flushes()?, "--fair", &server.fair_flushes()?]);
    }
    let ended = servers::run(&mut command)?;
    Ok(if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
