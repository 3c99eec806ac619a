//! `measure`: starts private servers that sync what they confirm, and runs a measuring command of the program against them.
//! What the servers are set to beyond their defaults is what the command line says, and nothing else.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use orderwright_testkit::servers::rabbitmq::RabbitMq;
use orderwright_testkit::servers::{self, Durability, Postgres};

/// Runs the program against servers of its own.
#[derive(Parser)]
struct Args {
    /// The program to measure.
    #[arg(long)]
    orderwright: PathBuf,
    /// A PostgreSQL server for the data.
    #[arg(long)]
    postgres: bool,
    /// A RabbitMQ node for the messages.
    #[arg(long)]
    rabbitmq: bool,
    /// A setting of the PostgreSQL server, as name=value.
    #[arg(long = "set", requires = "postgres", value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// List so many of the statements that took the server longest; slows it down by a tenth.
    #[arg(long, requires = "postgres", value_name = "COUNT")]
    statements: Option<u8>,
    /// The command of the program and its arguments.
    #[arg(last = true)]
    command: Vec<String>,
}

/// Rows of the list, for each order delivered.
const DEAREST: &str = "with delivered as (select greatest(count(*), 1) as orders from orders)
     select format('%s us/order  %s calls  %s rows  %s us/call  %s',
         lpad(round((total_exec_time * 1000 / orders)::numeric, 1)::text, 8), lpad(calls::text, 8), lpad(rows::text, 9),
         lpad(round((total_exec_time * 1000 / calls)::numeric, 1)::text, 9),
         left(regexp_replace(query, '\\s+', ' ', 'g'), 110))
     from pg_stat_statements, delivered order by total_exec_time desc limit ";

/// The database of a server's first user.
const DATABASE: &str = "test_0";

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let postgres = args.postgres.then(|| start_postgres(&args)).transpose()?;
    let rabbitmq = args.rabbitmq.then(RabbitMq::start).transpose()?;
    let mut command = Command::new(&args.orderwright);
    command.args(&args.command);
    if let Some(server) = &postgres {
        command.env("ORDERWRIGHT_DATABASE", server.database()?);
        if args.statements.is_some() {
            server.query(DATABASE, "create extension pg_stat_statements")?;
        }
    }
    if let Some(node) = &rabbitmq {
        command.env("ORDERWRIGHT_BROKER", node.vhost()?);
    }
    settle_disk()?;
    let status = servers::run(&mut command)?;
    if let (Some(server), Some(count)) = (&postgres, args.statements) {
        print!("{}", server.query(DATABASE, &format!("{DEAREST}{count}"))?);
    }
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits until the disk has all that was written so far: what the making of the servers has left to be written, or a program that was
/// compiled a moment ago, would hold up the first commits that are measured.
fn settle_disk() -> Result<()> {
    let status = Command::new("sync").status().context("running sync")?;
    ensure!(status.success(), "sync failed: {status}");
    Ok(())
}

fn start_postgres(args: &Args) -> Result<Postgres> {
    let mut settings: Vec<&str> = args.settings.iter().map(String::as_str).collect();
    if args.statements.is_some() {
        settings.push("shared_preload_libraries=pg_stat_statements");
    }
    Postgres::start_with(Durability::Fsync, &settings)
}
