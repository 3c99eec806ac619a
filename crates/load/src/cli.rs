//! The command line of `orderwright-load`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use worker::cli::{Format, Shared};
use worker::config::Place;

use crate::bench::Measurement;
use crate::chaos::{self, Chaos};
use crate::generator::{Goods, Kinds};
use crate::servers::{ServerArgs, Servers};
use crate::setup::Setup;
use crate::stress::Scenario;

/// Load on Orderwright: measurements, stress tests, chaos.
#[derive(Debug, Parser)]
#[command(name = "orderwright-load", version, about)]
struct Cli {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure orders per second, latency, CPU and memory, end to end.
    Bench {
        #[command(flatten)]
        measurement: Measurement,
        #[command(flatten)]
        ground: Ground,
    },
    /// Ask too much of it and judge what becomes of it.
    #[command(visible_alias = "strain")]
    Stress {
        #[command(subcommand)]
        scenario: Scenario,
        #[command(flatten)]
        ground: Ground,
    },
    /// Kill workers and servers under load and check that nothing was lost, doubled or oversold.
    Chaos(Chaos),
}

/// On what, and what is ordered.
#[derive(Debug, Args)]
struct Ground {
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
    /// Folder for logs and, without a postgres:// database, the data; what an earlier run left there is removed.
    #[arg(long, global = true, help_heading = "Ground", default_value = "data/load")]
    data: PathBuf,
    /// The program; the one beside this program, if left out.
    #[arg(long, global = true, help_heading = "Ground", value_name = "FILE")]
    orderwright: Option<PathBuf>,
    #[command(flatten)]
    servers: ServerArgs,
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    run(Cli::parse()).unwrap_or_else(|error| {
        worker::tell!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(cli: Cli) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let format = cli.shared.format();
    match cli.command {
        Command::Bench { measurement, ground } => {
            let setup = ground.setup(&cli.shared)?;
            let report = runtime.block_on(measurement.run(&setup))?;
            print(&report, format)?;
            if let Some(statements) = setup.servers.statements()? {
                print!("{statements}");
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Stress { scenario, ground } => {
            let setup = ground.setup(&cli.shared)?;
            let report = runtime.block_on(scenario.run(&setup))?;
            print(&report, format)?;
            Ok(exit_code(report.holds))
        }
        Command::Chaos(chaos) => {
            let verdict = runtime.block_on(chaos::run(&chaos.plan(program(chaos.orderwright.clone())?)))?;
            print!("{verdict}");
            Ok(exit_code(verdict.holds()))
        }
    }
}

impl Ground {
    fn setup(self, shared: &Shared) -> Result<Setup> {
        let program = program(self.orderwright)?;
        let mut config = shared.config(None)?;
        let servers = Arc::new(Servers::start(&self.servers, &mut config)?);
        let database = match config.database.place() {
            Some(Place::Postgres(_)) => Some(config.database),
            Some(Place::File(_)) | None => None,
        };
        Ok(Setup {
            program,
            folder: self.data,
            database,
            rabbitmq: config.rabbitmq,
            servers,
            workers: self.workers.into(),
            connections: self.connections,
            goods: Goods { products: self.products, lines: self.lines, kinds: Kinds::Plain },
        })
    }
}

/// The program to run: the one that was named, or the one beside this program.
fn program(named: Option<PathBuf>) -> Result<PathBuf> {
    let beside =
        || Ok(std::env::current_exe().context("this program has no path")?.with_file_name("orderwright"));
    let program = named.map_or_else(beside, anyhow::Ok)?;
    ensure!(program.is_file(), "there is no {}; build it, or name one with --orderwright", program.display());
    Ok(program)
}

fn print(report: &(impl Serialize + std::fmt::Display), format: Format) -> Result<()> {
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(report)?),
        Format::Text => print!("{report}"),
    }
    Ok(())
}

fn exit_code(holds: bool) -> ExitCode {
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_of_the_ground_may_stand_before_a_scenario_or_behind_it() {
        for words in [
            "stress --postgres --data x growth --orders 5000",
            "strain growth --orders 5000 --postgres --data x",
        ] {
            let cli = Cli::parse_from(["orderwright-load"].into_iter().chain(words.split(' ')));
            let Command::Stress { ground, .. } = cli.command else { panic!("not a stress test") };
            assert_eq!(ground.data, PathBuf::from("x"), "{words}");
        }
    }
}
