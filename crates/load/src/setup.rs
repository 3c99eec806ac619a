//! What a measurement or a stress test runs on: an empty store with a catalogue, workers, a provider, and perhaps servers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use application::commands::{ImportProductsCommand, NewProduct};
use domain::{Currency, Money, Sku};
use testkit::servers::{Ends, Guard};
use worker::any_store::{AnyStore, Purpose};
use worker::config::{Config, DatabaseAddress, RabbitMq};
use worker::wiring;

use crate::fleet::{Addresses, Fleet, Launch, Launcher};
use crate::generator::{Goods, sku};
use crate::servers::Servers;

/// Most processes that share the work.
pub(crate) const WORKERS_MAX: usize = 8;

/// Units of each product: enough that nothing runs short.
const STOCK: i64 = 1_000_000_000;

/// What to run on.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) program: PathBuf,
    /// Where the data and the logs go; what an earlier run left there is removed.
    pub(crate) folder: PathBuf,
    /// A PostgreSQL server for the data. Its database must be empty.
    pub(crate) database: Option<DatabaseAddress>,
    /// The broker and how it is used, if messages go over one.
    pub(crate) rabbitmq: RabbitMq,
    /// The servers that were started for this run.
    pub(crate) servers: Arc<Servers>,
    /// Processes that share the work; more than one need a server.
    pub(crate) workers: usize,
    /// Connections of a closed loop, each with one request at a time.
    pub(crate) connections: usize,
    pub(crate) goods: Goods,
}

impl Setup {
    pub(crate) fn carrier(&self) -> &'static str {
        if self.rabbitmq.addresses.is_empty() { "the store" } else { "RabbitMQ" }
    }

    /// An empty store with a catalogue, and the configuration that leads to it.
    pub(crate) async fn prepare(&self) -> Result<Config> {
        ensure!(self.connections > 0 && self.goods.products > 0, "connections and products are at least 1");
        ensure!(
            self.workers == 1 || (self.database.is_some() && self.workers <= WORKERS_MAX),
            "several workers, up to {WORKERS_MAX}, share a PostgreSQL server; name one with --database, or use --postgres"
        );
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot make {}", self.folder.display()))?;
        let database = match &self.database {
            Some(address) => address.clone(),
            None => emptied(&self.folder)?,
        };
        let config = Config { database, rabbitmq: self.rabbitmq.clone(), ..Config::default() };
        let store = AnyStore::open(&config, Purpose::Migrate).await?;
        let found = store.readers.overview().await?.orders.iter().map(|(_, count)| count).sum::<u64>();
        ensure!(
            found == 0 && store.upkeep.other_workers().await? == 0,
            "{} is in use, {found} orders are in it; name an empty database, to be made with createdb",
            config.database
        );
        let products = (0..self.goods.products).map(product).collect::<Result<_>>()?;
        let import = ImportProductsCommand { products, import: "bench".to_owned() };
        wiring::commands(&store, &config).run(&import).await?;
        store.upkeep.close().await;
        Ok(config)
    }

    /// Starts provider and workers; the workers also find `settings` in their environment.
    pub(crate) async fn start(&self, config: &Config, settings: &[(&'static str, String)]) -> Result<Fleet> {
        let addresses = Addresses::free(self.workers).await?;
        let quick = ["--keys-max", "2000000", "--delivery-min-ms", "0", "--delivery-max-ms", "0"];
        let places = [
            ("ORDERWRIGHT_DATABASE", config.database.expose().to_owned()),
            ("ORDERWRIGHT_BROKER", config.rabbitmq.addresses.expose()),
        ];
        let launch = |args: Vec<String>, log: &str, settings: &[(&'static str, String)]| Launch {
            args,
            environment: places.iter().chain(settings).cloned().collect(),
            log: self.folder.join(log),
        };
        let provider = launch(addresses.provider_args(&quick), "sandbox.log", &[]);
        let workers = addresses.services.iter().enumerate().map(|(number, address)| {
            let log = match number {
                0 => "service.log".to_owned(),
                _ => format!("service-{}.log", number + 1),
            };
            launch(addresses.worker_args(address, &[]), &log, settings)
        });
        let workers = workers.collect();
        let launcher = Launcher::new(&self.program, Guard::over(Path::new(""), Ends::Killed)?);
        Fleet::start(launcher, addresses, &provider, workers).await
    }
}

/// A file that is not there any more.
fn emptied(folder: &Path) -> Result<DatabaseAddress> {
    let path = folder.join("bench.db");
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let file = PathBuf::from(format!("{}{suffix}", path.display()));
        if file.exists() {
            std::fs::remove_file(&file).with_context(|| format!("cannot empty {}", file.display()))?;
        }
    }
    Ok(path.display().to_string().into())
}

fn product(number: u32) -> Result<NewProduct> {
    Ok(NewProduct {
        sku: Sku::parse(&sku(number))?,
        name: format!("Bench product {number}"),
        description: None,
        price: Money::new(1_250, Currency::parse("EUR")?),
        stock: STOCK,
        reorder_level: None,
        availability: None,
        shipping: None,
    })
}
