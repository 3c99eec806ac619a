//! Private servers that sync what they confirm, for one run. They are set as shipped, beyond what the command line says.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use testkit::servers::rabbitmq::RabbitMq;
use testkit::servers::{Durability, Postgres};
use worker::config::{BrokerAddresses, Config, DatabaseAddress};

/// Servers that are started for a run and removed afterwards.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ServerArgs {
    /// Start a PostgreSQL server for the data, with full durability.
    #[arg(long, global = true, help_heading = "Servers")]
    postgres: bool,
    /// Start a RabbitMQ node for the messages.
    #[arg(long, global = true, help_heading = "Servers")]
    rabbitmq: bool,
    /// With --postgres: a setting of that server.
    #[arg(long = "set", global = true, help_heading = "Servers", value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// With --postgres: list so many of the statements that took the server longest; slows it down by a tenth.
    #[arg(long, global = true, help_heading = "Servers", value_name = "COUNT")]
    statements: Option<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Servers {
    postgres: Option<Postgres>,
    rabbitmq: Option<RabbitMq>,
    statements: Option<u8>,
}

/// Rows of the list, for each order delivered.
const DEAREST: &str = "with delivered as (select greatest(count(*), 1) as orders from orders)
     select format('%s us/order  %s calls  %s rows  %s us/call  %s',
         lpad(round((total_exec_time * 1000 / orders)::numeric, 1)::text, 8), lpad(calls::text, 8), lpad(rows::text, 9),
         lpad(round((total_exec_time * 1000 / calls)::numeric, 1)::text, 9),
         left(regexp_replace(query, '\\s+', ' ', 'g'), 110))
     from pg_stat_statements, delivered order by total_exec_time desc limit ";

/// The first database of a server.
const DATABASE: &str = "test_0";

impl Servers {
    /// Starts what was asked for, and leads the configuration there. Blocks.
    pub(crate) fn start(asked: &ServerArgs, config: &mut Config) -> Result<Self> {
        ensure!(
            asked.postgres || (asked.settings.is_empty() && asked.statements.is_none()),
            "--set and --statements are for the server of --postgres"
        );
        let postgres = asked.postgres.then(|| start_postgres(asked)).transpose()?;
        let rabbitmq = asked.rabbitmq.then(RabbitMq::start).transpose()?;
        let servers = Self { postgres, rabbitmq, statements: asked.statements };
        if let Some(database) = servers.database()? {
            config.database = database;
        }
        if let (Some(server), Some(_)) = (&servers.postgres, asked.statements) {
            server.query(DATABASE, "create extension pg_stat_statements")?;
        }
        if let Some(addresses) = servers.broker()? {
            config.rabbitmq.addresses = addresses;
        }
        if asked.postgres || asked.rabbitmq {
            settle_disk()?;
        }
        Ok(servers)
    }

    /// Another empty database of the server.
    pub(crate) fn database(&self) -> Result<Option<DatabaseAddress>> {
        let database = self.postgres.as_ref().map(Postgres::database).transpose()?;
        Ok(database.map(DatabaseAddress::from))
    }

    /// Another empty virtual host of the broker.
    pub(crate) fn broker(&self) -> Result<Option<BrokerAddresses>> {
        let vhost = self.rabbitmq.as_ref().map(RabbitMq::vhost).transpose()?;
        Ok(vhost.map(|address| BrokerAddresses::from(address.as_str())))
    }

    /// Commands that slow down the disk of the database, and make it fast again.
    pub(crate) fn disk(&self) -> Result<Option<(String, String)>> {
        let commands = |server: &Postgres| Ok((server.slow_flushes()?, server.fair_flushes()?));
        self.postgres.as_ref().map(commands).transpose()
    }

    /// The statements that took the server longest, if they were asked for.
    pub(crate) fn statements(&self) -> Result<Option<String>> {
        let asked = self.postgres.as_ref().zip(self.statements);
        asked.map(|(server, count)| server.query(DATABASE, &format!("{DEAREST}{count}"))).transpose()
    }
}

/// Waits until the disk has all that was written so far; what starting the servers or a compiler has left to be written would
/// hold up the first commits that are measured.
fn settle_disk() -> Result<()> {
    let status = Command::new("sync").status().context("running sync")?;
    ensure!(status.success(), "sync failed: {status}");
    Ok(())
}

fn start_postgres(asked: &ServerArgs) -> Result<Postgres> {
    let mut settings: Vec<&str> = asked.settings.iter().map(String::as_str).collect();
    if asked.statements.is_some() {
        settings.push("shared_preload_libraries=pg_stat_statements");
    }
    Postgres::start_with(Durability::Fsync, &settings)
}
