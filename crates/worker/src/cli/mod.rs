//! The command line: every command is one file, every failure one line that says what to do, with an exit code to match.

mod bench;
mod check;
mod commands_on_orders;
mod config_file;
mod demo;
mod endpoints;
mod health;
mod import;
mod keys;
mod outputs;
mod sandbox_provider;
mod serve;
mod strain;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::config::{Config, Loaded, Overrides, Profile};
use crate::telemetry::{self, Verbosity};

use crate::{said, tell};
pub use outputs::Format;

/// An order processing pipeline with inventory management.
#[derive(Debug, Parser)]
#[command(name = "orderwright", version, about, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command understands.
#[derive(Debug, Args)]
pub struct Shared {
    /// What the service runs for; decides some defaults, and whether risks are told or refused.
    #[arg(long, global = true, env = "ORDERWRIGHT_PROFILE", value_enum, value_name = "PROFILE")]
    profile: Option<Profile>,
    /// Configuration file; `config default` prints one to start from.
    #[arg(long, global = true, env = "ORDERWRIGHT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the data lies: a path, sqlite:PATH, or postgres://user:password@host:port/database.
    #[arg(long, global = true, env = "ORDERWRIGHT_DATABASE", value_name = "ADDRESS", hide_env_values = true)]
    database: Option<String>,
    /// RabbitMQ between the workers: amqp://user:password@host:port/vhost, more of the same cluster behind commas.
    #[arg(long, global = true, env = "ORDERWRIGHT_BROKER", value_name = "ADDRESSES", hide_env_values = true)]
    broker: Option<String>,
    /// Base address of the payment gateway.
    #[arg(long, global = true, env = "ORDERWRIGHT_PAYMENT_URL", value_name = "URL")]
    payment_url: Option<String>,
    /// Base address of the shipping provider.
    #[arg(long, global = true, env = "ORDERWRIGHT_SHIPPING_URL", value_name = "URL")]
    shipping_url: Option<String>,
    /// Secret that signs the providers' webhooks.
    #[arg(
        long,
        global = true,
        env = "ORDERWRIGHT_WEBHOOK_SECRET",
        value_name = "SECRET",
        hide_env_values = true
    )]
    webhook_secret: Option<String>,
    /// Answer as JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run API, pipeline and store in one process.
    Serve(serve::Serve),
    /// Run the payment and shipping provider to develop and test against.
    Sandbox(sandbox_provider::SandboxProvider),
    /// Show everything at work: 830 orders, providers that fail, and books that agree.
    Demo(demo::DemoCommand),
    /// Bring a file of orders in. Doing it twice changes nothing.
    Import(import::Import),
    /// Bring the database up to date and say its version.
    Migrate,
    /// Check the five invariants over everything that is stored.
    Check,
    /// Ask a running service how it is; the exit code is for probes of containers.
    Health(health::Health),
    /// Measure orders per second, latency, CPU and memory, end to end.
    Bench(bench::Bench),
    /// Put it under strain: too much load, scarce resources, slow neighbours, many waiting and many stored orders.
    Strain(strain::Strain),
    /// Look at the configuration.
    Config(config_file::ConfigFile),
    /// Make, list and revoke the keys that let callers in.
    Keys(keys::Keys),
    /// Receivers of webhooks that want no more of them.
    #[command(subcommand)]
    Endpoints(endpoints::Endpoints),
    /// Print the OpenAPI document.
    Openapi,
    /// Look at the order saga's definition.
    Saga(outputs::SagaDefinition),
    #[command(flatten)]
    OnOrders(commands_on_orders::OnOrders),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let code = run(cli).unwrap_or_else(|error| {
        tell!("error: {error:#}");
        ExitCode::FAILURE
    });
    said::ended(code)
}

/// Every command that the program understands, as the words that it is called by.
#[must_use]
pub fn commands() -> Vec<String> {
    let mut found = Vec::new();
    leaves(&Cli::command(), "", &mut found);
    found
}

fn leaves(command: &clap::Command, name: &str, found: &mut Vec<String>) {
    let before = found.len();
    for below in command.get_subcommands() {
        leaves(below, format!("{name} {}", below.get_name()).trim(), found);
    }
    if found.len() == before {
        found.push(name.to_owned());
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let verbosity = match cli.command {
        Command::Serve(_) => Verbosity::Serving,
        Command::Sandbox(_)
        | Command::Demo(_)
        | Command::Import(_)
        | Command::Migrate
        | Command::Check
        | Command::Health(_)
        | Command::Bench(_)
        | Command::Strain(_)
        | Command::Config(_)
        | Command::Keys(_)
        | Command::Endpoints(_)
        | Command::Openapi
        | Command::Saga(_)
        | Command::OnOrders(_) => Verbosity::Command,
    };
    // A configuration that is wrong is told by the command itself.
    let settings = cli.shared.config(None).map(|config| config.telemetry).unwrap_or_default();
    telemetry::start(verbosity, &settings);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(dispatch(cli))
}

async fn dispatch(cli: Cli) -> Result<ExitCode> {
    let Cli { shared, command } = cli;
    match command {
        Command::Serve(serve) => serve.run(&shared).await,
        Command::Sandbox(sandbox) => sandbox.run(&shared).await,
        Command::Demo(demo) => Box::pin(demo.run(&shared)).await,
        Command::Import(import) => Box::pin(import.run(&shared)).await,
        Command::Migrate => check::migrate(&shared).await,
        Command::Check => check::check(&shared).await,
        Command::Health(health) => health.run(&shared).await,
        Command::Bench(bench) => bench.run(&shared).await,
        Command::Strain(strain) => Box::pin(strain.run(&shared)).await,
        Command::Config(config) => config.run(&shared),
        Command::Keys(keys) => keys.run(&shared).await,
        Command::Endpoints(endpoints) => endpoints.run(&shared).await,
        Command::Openapi => outputs::openapi(),
        Command::Saga(saga) => Ok(saga.run()),
        Command::OnOrders(command) => command.run(&shared).await,
    }
}

impl Shared {
    /// The configuration that these flags lead to. What is risky about it is logged.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn config(&self, listen: Option<&str>) -> Result<Config> {
        let Loaded { config, risks } = Config::load(&self.overrides(listen))?;
        for risk in risks {
            tracing::warn!(risk = risk.text, "the configuration is risky");
        }
        Ok(config)
    }

    fn overrides(&self, listen: Option<&str>) -> Overrides {
        Overrides {
            profile: self.profile,
            environment: Overrides::of_this_process(),
            file: self.config.clone(),
            listen: listen.map(str::to_owned),
            database: self.database.clone(),
            broker: self.broker.clone(),
            payment_url: self.payment_url.clone(),
            shipping_url: self.shipping_url.clone(),
            webhook_secret: self.webhook_secret.clone(),
        }
    }

    /// How answers are written.
    #[must_use]
    pub const fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }
}
