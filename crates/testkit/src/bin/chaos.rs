//! `chaos`: the real program and the real provider over loopback, under load, with workers, and the database server if
//! there is one, killed again and again.
//! Exits with failure if one accepted order is lost, one charge doubled, or one unit or cent unaccounted for.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use orderwright_testkit::chaos::{self, Engine, Plan};

/// Shakes the real program and checks that nothing was lost, doubled or oversold.
#[derive(Parser)]
struct Args {
    /// The program to shake.
    #[arg(long)]
    orderwright: PathBuf,
    /// Store the orders on a PostgreSQL server of its own, which is killed as well.
    #[arg(long)]
    postgres: bool,
    /// Workers on that server.
    #[arg(long, default_value_t = 2, requires = "postgres", value_parser = clap::value_parser!(u8).range(1..=16))]
    workers: u8,
    /// How often something is killed.
    #[arg(long, default_value_t = 50)]
    kills: u32,
    /// Give up after this many seconds.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Orders sent meanwhile.
    #[arg(long, default_value_t = 4_000)]
    orders: u32,
    /// Decides when it is killed and what is ordered.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let engine =
        if args.postgres { Engine::Postgres { workers: args.workers.into() } } else { Engine::Sqlite };
    let plan = Plan {
        program: args.orderwright,
        engine,
        kills: args.kills,
        limit: std::time::Duration::from_secs(args.seconds),
        orders: args.orders,
        seed: args.seed,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let verdict = runtime.block_on(chaos::run(&plan))?;
    print!("{verdict}");
    Ok(if verdict.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
