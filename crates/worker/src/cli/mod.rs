//! The command line: every command is one file, every failure one line that says what to do, with an exit code to match.

mod backup;
mod check;
mod commands_on_orders;
mod config_file;
mod demo;
mod endpoints;
mod health;
mod import;
mod keys;
mod outputs;
mod refusal;
mod sandbox_provider;
mod serve;
mod texts;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::conceal;
use crate::config::{Config, Loaded, Overrides, Profile, Risk};
use crate::telemetry::{self, Verbosity};

use crate::said;
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
    /// What the service runs for; decides some defaults, and whether risks are told or refused. [env: ORDERWRIGHT_PROFILE]
    #[arg(long, global = true, value_enum, value_name = "PROFILE")]
    profile: Option<Profile>,
    /// Configuration file; `config default` prints one to start from.
    #[arg(long, global = true, env = "ORDERWRIGHT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the data lies: a path, sqlite:PATH, or postgres://user:password@host:port/database. [env: ORDERWRIGHT_DATABASE]
    #[arg(long, global = true, value_name = "ADDRESS")]
    database: Option<String>,
    /// RabbitMQ between the workers: amqp://user:password@host:port/vhost, more of the same cluster behind commas. [env:
    /// ORDERWRIGHT_BROKER]
    #[arg(long, global = true, value_name = "ADDRESSES")]
    broker: Option<String>,
    /// Base address of the payment gateway. [env: ORDERWRIGHT_PAYMENT_URL]
    #[arg(long, global = true, value_name = "URL")]
    payment_url: Option<String>,
    /// Base address of the shipping provider. [env: ORDERWRIGHT_SHIPPING_URL]
    #[arg(long, global = true, value_name = "URL")]
    shipping_url: Option<String>,
    /// Secret that signs the webhooks of providers that have none of their own. [env: ORDERWRIGHT_WEBHOOK_SECRET]
    #[arg(long, global = true, value_name = "SECRET")]
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
    /// Check the six invariants over everything that is stored.
    Check(check::Check),
    /// Copy the database file into another one, whole and checked, while the service runs.
    Backup(backup::Backup),
    /// Ask a running service how it is; the exit code is for probes of containers.
    Health(health::Health),
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
    conceal::hush_panics();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => return refusal::of_usage(&usage),
    };
    let format = cli.shared.format();
    let code = run(cli).unwrap_or_else(|error| refusal::of_command(&error, format));
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
        | Command::Check(_)
        | Command::Backup(_)
        | Command::Health(_)
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
        Command::Check(check) => check.run(&shared).await,
        Command::Backup(backup) => backup.run(&shared).await,
        Command::Health(health) => health.run(&shared).await,
        Command::Config(config) => config.run(&shared),
        Command::Keys(keys) => keys.run(&shared).await,
        Command::Endpoints(endpoints) => endpoints.run(&shared).await,
        Command::Openapi => outputs::openapi(),
        Command::Saga(saga) => Ok(saga.run(shared.format())),
        Command::OnOrders(command) => command.run(&shared).await,
    }
}

/// Logs what is risky about a configuration.
fn log_risks(risks: &[Risk]) {
    for risk in risks {
        tracing::warn!(risk = risk.text, "the configuration is risky");
    }
}

impl Shared {
    /// The configuration that these flags lead to. What is risky about it is logged.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn config(&self, listen: Option<&str>) -> Result<Config> {
        let Loaded { config, risks, .. } = self.loaded(listen)?;
        log_risks(&risks);
        Ok(config)
    }

    /// The same, with what is risky about it.
    fn loaded(&self, listen: Option<&str>) -> Result<Loaded> {
        Ok(Config::load(&self.overrides(listen))?)
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

    /// Whether somebody has named a provider beside the configuration file, be it by the default's address.
    fn names_providers(&self) -> bool {
        let variables = ["ORDERWRIGHT_PAYMENT_URL", "ORDERWRIGHT_SHIPPING_URL"];
        self.payment_url.is_some()
            || self.shipping_url.is_some()
            || variables.iter().any(|name| std::env::var_os(name).is_some())
    }

    /// How answers are written.
    #[must_use]
    pub const fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }
}
