//! `servers`: says which servers the tests can start for themselves, and installs what is missing where it may. Starts none,
//! unless it is told to; then they are gone when it is told to go on, or is killed.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use orderwright_testkit::servers::{
    self, Durability, Postgres, Smtp, prometheus::Prometheus, rabbitmq::RabbitMq,
};

/// Says which servers can be started here.
#[derive(Parser)]
struct Args {
    /// Start one of each, and keep them until a line comes in.
    #[arg(long)]
    start: bool,
    /// Start this one alone, and print which release it says it is.
    #[arg(long, conflicts_with = "start")]
    ask: Option<Engine>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Engine {
    Postgresql,
    Rabbitmq,
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
    if let Some(engine) = args.ask {
        println!("{}", release(engine)?);
        return Ok(());
    }
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

fn release(engine: Engine) -> Result<String> {
    match engine {
        Engine::Postgresql => Postgres::start(Durability::None)?.release(),
        Engine::Rabbitmq => RabbitMq::start()?.release(),
    }
}
