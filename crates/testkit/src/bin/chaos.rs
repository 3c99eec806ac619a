//! `chaos`: the real program and the real provider over loopback, under load, with workers, and the servers if there are any,
//! killed again and again, and the ways between them stalled, lost and broken.
//! Exits with failure if one accepted order is lost, one charge doubled, or one unit or cent unaccounted for.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use orderwright_testkit::chaos::{self, Carrier, Course, Engine, Plan};

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
    /// Carry messages over a RabbitMQ node of its own, which is killed as well; all ways to servers go through proxies that
    /// stall, lose bytes and break.
    #[arg(long)]
    rabbitmq: bool,
    /// Only tell one worker after the other to stop, as for an upgrade; no client may meet worse than its absence.
    #[arg(long, requires = "postgres")]
    rolling: bool,
    /// How often something is done.
    #[arg(long, visible_alias = "kills", default_value_t = 120)]
    faults: u32,
    /// Give up after this many seconds.
    #[arg(long, default_value_t = 1_200)]
    seconds: u64,
    /// Orders sent meanwhile, and some of them when all is well again.
    #[arg(long, default_value_t = 8_000)]
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
        carrier: if args.rabbitmq { Carrier::RabbitMq } else { Carrier::Store },
        course: if args.rolling { Course::RollingRestarts } else { Course::Mishaps },
        faults: args.faults,
        limit: std::time::Duration::from_secs(args.seconds),
        orders: args.orders,
        seed: args.seed,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let verdict = runtime.block_on(chaos::run(&plan))?;
    print!("{verdict}");
    Ok(if verdict.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
