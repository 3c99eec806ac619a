//! `POST /imports` with a mapping: an export of another shop, read, put together and taken in exactly as `orderwright import`
//! does it. Must never do anything of that itself.

use std::sync::Arc;

use application::ports::Caller;
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::Api;
use super::idempotency::{self, Keyed};
use super::import_answer::{IMPORT, ImportAnswer, Outcome, RowAnswer, SheetAnswer};
use super::limits::{IMPORT_AT_ONCE_MAX, IMPORT_ORDERS_MAX};
use super::meaning::Meaning;
use super::parameters::Query;
use super::problem::{Code, Problem, Wrong};
use super::route::{self, Parameter};
use super::shape::Shape;
use super::within::Within;
use crate::import::{
    BUNDLED, Done, Encoding, Feed, Gauge, Mapping, OrderBody, OrderOutcome, Performance, Sheet, Shown,
    Source, Unknown, verdict,
};

/// Reading takes memory by the size of the file: one at a time.
static READING: Semaphore = Semaphore::const_new(1);

/// Where a mapping of the caller's own may stand.
const OWN_MAPPING: &str = "import-mapping";

/// What may be said of the file, for the document.
pub(super) const PARAMETERS: &[Parameter] = &[
    route::query(
        "mapping",
        Shape::Text,
        "What the columns mean: shopify, woocommerce, magento, amazon, ebay, etsy, northwind, uci-online-retail.",
    ),
    route::query(
        "dry_run",
        Shape::Choice(&["true", "false"]),
        "Tells what would become of each row, and changes nothing.",
    ),
    route::query("currency", Shape::Text, "The mapping's currency, said otherwise."),
    route::query("time_zone", Shape::Text, "The mapping's time_zone, said otherwise."),
    route::query(
        "encoding",
        Shape::Text,
        "utf-8, utf-16, windows-1252, latin-1; found out, if it is not said.",
    ),
    route::query("delimiter", Shape::Text, "What separates two fields; found out, if it is not said."),
    route::query("sheet", Shape::Text, "The sheet of a workbook; its first, if it is not said."),
    route::optional_header(
        "Import-Mapping",
        "A mapping of your own: its TOML, in Base64. Stands for the parameter.",
    ),
];

/// How a file is to be read, and whether in earnest.
pub(super) struct Options {
    mapping: Mapping,
    performance: Performance,
}

impl Options {
    /// What the address and the headers say; nothing, if they name no mapping.
    pub(super) fn of(head: &Parts) -> Result<Option<Self>, Problem> {
        let names = ["mapping", "dry_run", "currency", "time_zone", "encoding", "delimiter", "sheet"];
        let mut query = Query::of(head, &names);
        let text = |text: &str| Ok::<_, String>(text.to_owned());
        let named = query.take("mapping", |name| {
            let known = BUNDLED.contains(&name).then(|| Mapping::named(name));
            known.ok_or_else(|| format!("there is no mapping '{name}'; there are {}", BUNDLED.join(", ")))
        });
        let dry = query.take("dry_run", str::parse::<bool>);
        let (currency, time_zone) = (query.take("currency", text), query.take("time_zone", text));
        let encoding = query.take("encoding", str::parse::<Encoding>);
        let delimiter = query.take("delimiter", str::parse::<char>);
        let sheet = query.take("sheet", text);
        query.finish()?;
        let mapping = match (own_mapping(head)?, named) {
            (Some(own), _) => own,
            (None, Some(named)) => named.map_err(|error| unusable(&error))?,
            (None, None) => return Ok(None),
        };
        let mapping = mapping.saying(currency, time_zone, encoding, delimiter, sheet);
        let performance = if dry == Some(true) { Performance::Rehearsal } else { Performance::Real };
        Ok(Some(Self { mapping: mapping.map_err(|error| unusable(&error))?, performance }))
    }
}

fn own_mapping(head: &Parts) -> Result<Option<Mapping>, Problem> {
    let Some(header) = head.headers.get(OWN_MAPPING) else { return Ok(None) };
    let text = BASE64_STANDARD.decode(header.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| unusable(&anyhow::anyhow!("Import-Mapping is no text in Base64")))?;
    Mapping::parse(&text).map(Some).map_err(|error| unusable(&error))
}

fn unusable(error: &anyhow::Error) -> Problem {
    Problem::of(Code::ValidationFailed, vec![Wrong::at("", "invalid_mapping", format!("{error:#}"))])
}

/// Takes a file in.
pub(super) async fn import(
    api: &Arc<Api>,
    head: &Parts,
    body: Bytes,
    Options { mapping, performance }: Options,
) -> Result<Response, Problem> {
    let caller = idempotency::importer(&head.extensions)?;
    let sheet = read(body, mapping.clone()).await?;
    if sheet.invoices.len() > IMPORT_ORDERS_MAX {
        let detail =
            format!("at most {IMPORT_ORDERS_MAX} orders at once, these are {}", sheet.invoices.len());
        return Err(Problem::of(Code::ValidationFailed, vec![Wrong::at("", "too_many", detail)]));
    }
    let keyed = Keyed::of(api, head, meaning(&sheet, &mapping, performance)?)?;
    if let Some(answered) = keyed.answered().await? {
        return Ok(answered);
    }
    let done = feed(Arc::clone(api), caller, sheet, mapping, performance).await?;
    let (nothing, summed_up) = (done.tally.changed_nothing(), summed_up(done, performance));
    let answer = idempotency::answer(StatusCode::OK, &summed_up)?;
    if performance == Performance::Rehearsal || nothing && summed_up.replayed == 0 {
        return Ok(idempotency::given(answer));
    }
    keyed.keep(answer).await
}

async fn read(body: Bytes, mapping: Mapping) -> Result<Sheet, Problem> {
    let _turn = READING.acquire().await;
    let reading = tokio::task::spawn_blocking(move || Sheet::read(&Source::Bytes(&body), &mapping));
    let read = reading.await.map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
    read.map_err(|error| {
        Problem::of(Code::ValidationFailed, vec![Wrong::at("", "unreadable_file", format!("{error:#}"))])
    })
}

/// Goes on to its end although nobody may listen any more.
async fn feed(
    api: Arc<Api>,
    caller: Caller,
    sheet: Sheet,
    mapping: Mapping,
    performance: Performance,
) -> Result<Done, Problem> {
    let runtime = Handle::current();
    let feeding = tokio::task::spawn_blocking(move || {
        let feed = Feed {
            sheet: &sheet,
            mapping: &mapping,
            catalogue: &[],
            unknown: Unknown::NeverMade,
            stock: 0,
            performance,
            client: &Within { api: &api, caller: &caller },
            at_once_max: IMPORT_AT_ONCE_MAX,
        };
        runtime.block_on(feed.run(&Gauge::new(Shown::No, "accepted", 0)))
    });
    let fed = feeding.await.map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
    fed.map_err(|error| {
        Problem::new(Code::StoreUnavailable, format!("{error:#}; what is in stays, import again"))
    })
}

/// The orders of the file, and what is wrong with it: the same file again is the same request.
fn meaning(sheet: &Sheet, mapping: &Mapping, performance: Performance) -> Result<Meaning, Problem> {
    let unwritten = |error: anyhow::Error| Problem::new(Code::Internal, format!("{error:#}"));
    let mut said = Meaning::of(IMPORT).text(&mapping.name).text(match performance {
        Performance::Real => "real",
        Performance::Rehearsal => "rehearsal",
    });
    let skus: Vec<String> = sheet.products.iter().map(|product| product.sku.clone()).collect();
    for invoice in &sheet.invoices {
        for part in invoice.parts() {
            let (key, _) = OrderBody::of(&skus, invoice, &part).keyed().map_err(unwritten)?;
            said = said.text(&key);
        }
        said = invoice.lines.iter().fold(said, |said, line| said.number(i64::from(line.units)));
    }
    let said = sheet.rejected.iter().fold(said, |said, row| said.text(&row.order).text(&row.detail));
    Ok(sheet.cancelled.iter().fold(said, |said, order| said.text(&order.reference)))
}

fn summed_up(done: Done, performance: Performance) -> ImportAnswer {
    let told = done.told();
    let mut results: Vec<RowAnswer> = done.orders.iter().map(result).collect();
    let held: Vec<RowAnswer> = held_back(&done);
    results.extend(held);
    results.sort_by_key(|result| result.line);
    let count = |outcome| results.iter().filter(|result| result.outcome == outcome).count();
    ImportAnswer {
        orders: results.len(),
        created: count(Outcome::Created),
        replayed: count(Outcome::Replayed),
        rejected: count(Outcome::Rejected),
        not_done: 0,
        results,
        file: Some(SheetAnswer {
            dry_run: performance == Performance::Rehearsal,
            verdict: verdict(&done.tally, performance),
            notes: done.notes,
            tally: done.tally,
            told,
        }),
    }
}

fn result(said: &crate::import::OrderSaid) -> RowAnswer {
    let (outcome, errors) = match &said.outcome {
        OrderOutcome::New => (Outcome::Created, Vec::new()),
        OrderOutcome::Replayed => (Outcome::Replayed, Vec::new()),
        OrderOutcome::Refused(reason, detail) => {
            (Outcome::Rejected, vec![Wrong::at("", reason.as_str(), detail.clone())])
        }
    };
    let (order_ref, order_id) = (said.number.clone(), said.order_id);
    RowAnswer { order_ref, row: None, line: said.line, outcome, order_id, errors }
}

/// The orders that were not sent, each with its rows.
fn held_back(done: &Done) -> Vec<RowAnswer> {
    let sent: std::collections::HashSet<&str> = done.orders.iter().map(|said| said.number.as_str()).collect();
    let mut held: Vec<RowAnswer> = Vec::new();
    let mut places: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
    for row in done.rejected.iter().filter(|row| !sent.contains(row.order.as_str())) {
        let at = *places.entry(&row.order).or_insert(held.len());
        if at == held.len() {
            let (order_ref, outcome) = (row.order.clone(), Outcome::Rejected);
            held.push(RowAnswer {
                order_ref,
                row: None,
                line: row.line,
                outcome,
                order_id: None,
                errors: Vec::new(),
            });
        }
        held[at].line = held[at].line.min(row.line);
        held[at].errors.push(Wrong::at(
            "",
            row.reason.as_str(),
            format!("line {}: {}", row.line, row.detail),
        ));
    }
    held
}
