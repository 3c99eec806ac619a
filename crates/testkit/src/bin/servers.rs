//! `servers`: says which servers the tests can start for themselves, and installs what is missing where it may. Starts none,
//! unless it is told to; then they are gone when it is told to go on, or is killed.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use orderwright_testkit::servers::{
    self, Durability, Postgres, Smtp, prometheus::Prometheus, rabbitmq::RabbitMq,
};

/// Says which servers can be started here.
#[derive(Parser)]
struct Args {
    /// Start one of each, and keep them until a line comes in.
    #[arg(long)]
    start: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if !args.start {
        servers::ready()?.iter().for_each(|server| println!("{server}"));
        return Ok(());
    }
    let _postgres = Postgres::start(Durability::None)?;
    let _prometheus = Prometheus::scraping(&[], "/dev/null".as_ref())?;
    let _smtp = Smtp::start()?;
    let _rabbitmq = RabbitMq::start()?;
    println!("all are there");
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}
