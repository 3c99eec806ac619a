//! `orderwright import`: brings a file of orders in, through the API of a running service or of one that runs for as long as
//! the import does.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use tokio::time::Instant;

use super::{Format, Shared};
use crate::any_store::{AnyStore, Purpose};
use crate::config::{Config, Place, Providers};
use crate::demo::Stage;
use crate::import::{
    ApiClient, BUNDLED, CatalogueProduct, Done, Feed, Gauge, Mapping, Performance, Sheet, Shown, Source,
    Standing, Tally, Unknown, bundled_text, settle, verdict, write_report,
};
use crate::{say, show};

/// The exit code of an import that left rows or orders behind.
const NOT_ALL: u8 = 1;

/// No order moved for so long: waiting longer is useless.
const STALL_MAX: Duration = Duration::from_secs(60);

/// Bring a file of orders in. Doing it twice changes nothing.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// CSV with a line of headings, plain or gzip, or a workbook (.xlsx).
    #[arg(required_unless_present = "print_mapping")]
    file: Option<PathBuf>,
    /// What the columns mean: northwind, uci-online-retail, shopify, woocommerce, magento, amazon, ebay, etsy, or a .toml file
    /// of your own.
    #[arg(long, value_name = "NAME|FILE.toml")]
    mapping: String,
    /// Address of a running service, such as http://127.0.0.1:8080; without one, a service is started for the import.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// API key for that service, if it asks for one: orders:read, orders:write, orders:import, personal:read, stock:read and stock:write.
    #[arg(long, env = "ORDERWRIGHT_API_KEY", value_name = "KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Catalogue with products and their stock; those that are there already stay as they are.
    #[arg(long, value_name = "FILE")]
    products: Option<PathBuf>,
    /// Make products from the orders that the catalogue does not have; otherwise their orders are held back. A catalogue
    /// without any product gets those of the orders in any case.
    #[arg(long)]
    create_products: bool,
    /// Units that each product starts with which is made from the orders.
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    stock: i64,
    /// Find out what would become of each row, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Show a mapping that comes with the program, to make one of your own from.
    #[arg(long)]
    print_mapping: bool,
    /// Where to write what became of rows that are not simply orders now.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Requests under way at once.
    #[arg(long, default_value_t = 64, value_name = "N")]
    at_once: usize,
}

/// A mapping that comes with the program.
#[derive(Serialize)]
struct Shape<'a> {
    name: &'a str,
    toml: &'a str,
}

/// What an import came to.
#[derive(Serialize)]
struct Summary {
    dry_run: bool,
    #[serde(flatten)]
    tally: Tally,
    changed_nothing: bool,
    notes: Vec<String>,
    verdict: String,
    accept_ms: u128,
    processed: Option<Processed>,
    report: String,
}

/// How the orders stand once the service has done what it can.
#[derive(Serialize)]
struct Processed {
    delivered: u64,
    cancelled: u64,
    needs_attention: u64,
    on_hold: u64,
    awaiting_stock: u64,
    on_the_way: u64,
    after_ms: u128,
}

impl Import {
    pub(super) async fn run(self, shared: &Shared) -> Result<ExitCode> {
        if self.print_mapping {
            let names = BUNDLED.join(", ");
            let text = bundled_text(&self.mapping);
            let text =
                text.with_context(|| format!("there is no mapping '{}'; there are {names}", self.mapping))?;
            match shared.format() {
                Format::Json => {
                    say!("{}", serde_json::to_string_pretty(&Shape { name: &self.mapping, toml: text })?);
                }
                Format::Text => show!("{text}"),
            }
            return Ok(ExitCode::SUCCESS);
        }
        let config = shared.config(None)?;
        let mapping = Mapping::named(&self.mapping)?;
        let catalogue = self.catalogue(&mapping)?;
        let sheet = {
            let (file, mapping) = (self.file().to_owned(), mapping.clone());
            tokio::task::spawn_blocking(move || Sheet::read(&Source::file(&file), &mapping)).await??
        };
        let report = self.report_place(&config, &mapping);
        let source = Sources { sheet, mapping, catalogue };
        let (done, accept_ms, processed) = match &self.server {
            Some(server) => {
                let client = ApiClient::new(server)?.importing();
                let client = match &self.api_key {
                    Some(key) => client.with_key(key)?,
                    None => client,
                };
                let (done, accept_ms) = self.feed(&source, &client, shared).await?;
                (done, accept_ms, None)
            }
            None => Box::pin(self.in_process(&source, config, shared)).await?,
        };
        write_report(&report, &done)?;
        let complete = done.tally.rows_rejected_in_all() == 0;
        let summary = Summary {
            dry_run: self.dry_run,
            changed_nothing: done.tally.changed_nothing() || self.dry_run,
            verdict: verdict(&done.tally, self.performance()),
            tally: done.tally,
            notes: done.notes,
            accept_ms,
            processed,
            report: report.display().to_string(),
        };
        match shared.format() {
            Format::Json => say!("{}", serde_json::to_string_pretty(&summary)?),
            Format::Text => show!("{}", summary.text()),
        }
        Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(NOT_ALL) })
    }

    fn file(&self) -> &Path {
        self.file.as_deref().expect("it is required unless a mapping is shown")
    }

    const fn performance(&self) -> Performance {
        if self.dry_run { Performance::Rehearsal } else { Performance::Real }
    }

    fn catalogue(&self, mapping: &Mapping) -> Result<Vec<CatalogueProduct>> {
        let beside = mapping.products.file.as_ref().map(|name| self.file().with_file_name(name));
        let place = self.products.clone().or_else(|| beside.filter(|place| place.exists()));
        match place {
            Some(place) => {
                let read = CatalogueProduct::read(Source::file(&place).open()?);
                read.with_context(|| place.display().to_string())
            }
            None => Ok(Vec::new()),
        }
    }

    fn report_place(&self, config: &Config, mapping: &Mapping) -> PathBuf {
        let name = format!("import-{}-report.csv", mapping.name);
        let beside = || match config.database.place() {
            Some(Place::File(path)) => path.with_file_name(name),
            Some(Place::Postgres(_)) | None => PathBuf::from(name),
        };
        self.report.clone().unwrap_or_else(beside)
    }

    async fn feed(&self, source: &Sources, client: &ApiClient, shared: &Shared) -> Result<(Done, u128)> {
        let gauge = Gauge::new(shown(shared), "accepted", source.sheet.invoices.len() as u64);
        let feed = Feed {
            sheet: &source.sheet,
            mapping: &source.mapping,
            catalogue: &source.catalogue,
            unknown: if self.create_products { Unknown::Create } else { Unknown::HoldBack },
            stock: self.stock,
            performance: self.performance(),
            client,
            at_once_max: self.at_once,
        };
        let started = Instant::now();
        let done = feed.run(&gauge).await?;
        gauge.finish();
        Ok((done, started.elapsed().as_millis()))
    }

    async fn in_process(
        &self,
        source: &Sources,
        config: Config,
        shared: &Shared,
    ) -> Result<(Done, u128, Option<Processed>)> {
        let ours = Providers::default();
        let elsewhere = config.providers.payment_url != ours.payment_url
            || config.providers.shipping_url != ours.shipping_url
            || shared.names_providers();
        let sandbox = (!elsewhere).then(sandbox::Settings::default);
        anyhow::ensure!(
            self.performance() == Performance::Real,
            "a dry run asks a running service what it knows; say which with --server"
        );
        it_is_there(&config).await?;
        let stage = Stage::open(config, sandbox).await?;
        let client = ApiClient::new(&stage.address())?.importing();
        let started = Instant::now();
        let (done, accept_ms) = self.feed(source, &client, shared).await?;
        let readers = stage.service.store.readers.as_ref();
        let gauge =
            Gauge::new(shown(shared), "processed", done.tally.orders_new + done.tally.orders_replayed);
        let standing = settle(readers, &gauge, STALL_MAX).await?;
        gauge.finish();
        let after_ms = started.elapsed().as_millis();
        stage.close().await;
        Ok((done, accept_ms, Some(Processed::of(standing, after_ms))))
    }
}

/// A path that is mistyped must not become a database of its own, with orders in it that nobody will look for.
async fn it_is_there(config: &Config) -> Result<()> {
    let store = AnyStore::open(config, Purpose::Visit).await?;
    store.upkeep.close().await;
    Ok(())
}

/// What is brought in.
struct Sources {
    sheet: Sheet,
    mapping: Mapping,
    catalogue: Vec<CatalogueProduct>,
}

impl Processed {
    const fn of(standing: Standing, after_ms: u128) -> Self {
        Self {
            delivered: standing.delivered,
            cancelled: standing.cancelled,
            needs_attention: standing.needs_attention,
            on_hold: standing.on_hold,
            awaiting_stock: standing.awaiting_stock,
            on_the_way: standing.accepted - standing.settled(),
            after_ms,
        }
    }
}

impl Summary {
    fn text(&self) -> String {
        let tally = &self.tally;
        let mut rows = vec![
            (tally.rows, "rows read, of which".to_owned()),
            (
                tally.rows_imported,
                format!("  {} lines of new orders", if self.dry_run { "would become" } else { "became" }),
            ),
            (tally.rows_replayed, "  belong to orders that were here before".to_owned()),
        ];
        let rejected = tally.rows_rejected.iter();
        rows.extend(rejected.map(|(why, count)| (*count, format!("  rejected: {}", spoken(why.as_str())))));
        let left_out = tally.rows_left_out.iter();
        rows.extend(left_out.map(|(why, count)| (*count, format!("  left out: {}", spoken(why.as_str())))));
        let cancelling = tally.rows_cancelling.iter();
        rows.extend(
            cancelling.map(|(what, count)| (*count, format!("  cancellation: {}", spoken(what.as_str())))),
        );
        rows.extend([
            (tally.orders_new, format!("new orders, accepted in {:.1} s", seconds(self.accept_ms))),
            (tally.orders_replayed, "orders that were here before".to_owned()),
            (tally.orders_held_back, "orders held back until the file is mended".to_owned()),
            (tally.orders_refused, "orders refused by the service".to_owned()),
            (tally.orders_cancelled, "orders whose cancellation was accepted".to_owned()),
            (tally.products_new, format!("new products of {}", tally.products)),
        ]);
        if let Some(processed) = &self.processed {
            let all = format!("orders delivered, {:.1} s after the beginning", seconds(processed.after_ms));
            rows.extend([
                (processed.delivered, all),
                (processed.cancelled, "orders cancelled, with everything undone".to_owned()),
                (processed.needs_attention, "orders that need a person".to_owned()),
                (processed.on_hold, "orders on hold".to_owned()),
                (processed.awaiting_stock, "orders that wait for stock".to_owned()),
                (processed.on_the_way, "orders still on the way".to_owned()),
            ]);
        }
        let told: String = rows.iter().map(|(count, what)| format!("{count:>9}  {what}\n")).collect();
        let notes: String = self.notes.iter().map(|note| format!("Note: {note}.\n")).collect();
        format!(
            "{notes}{told}What became of each row that is no order now: {}\n{}\n",
            self.report, self.verdict
        )
    }
}

fn spoken(word: &str) -> String {
    word.replace('_', " ")
}

fn seconds(ms: u128) -> f64 {
    ms as f64 / 1_000.0
}

fn shown(shared: &Shared) -> Shown {
    match shared.format() {
        Format::Text => Shown::Yes,
        Format::Json => Shown::No,
    }
}
