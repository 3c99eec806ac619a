//! Reads an import of CSV rows, one per line of an order; the rows of an order need not stand together. A row that makes
//! no sense spoils its own order and no other, or every order that it could belong to; one that names neither order nor
//! customer goes on with the order before.

use std::io::Read;

use application::messages::Amount;
use application::validators::{LineDraft, OrderDraft};
use jiff::Timestamp;

use super::import_answer::ImportedOrder;
use super::problem::{Code, Problem, Wrong};
use super::shape::WHOLE_UNITS;
use crate::import::{
    Belongs, DELIMITERS, Encoding, Foundling, Keys, Of, Owners, Quoting, Record, Records, ShortRows, UNREAD,
};

const COLUMNS: [&str; 7] =
    ["order_ref", "customer_id", "ordered_at", "sku", "quantity", "unit_price_minor", "currency"];

/// The orders of an import, in the order of their first rows.
pub(super) fn read(body: &[u8]) -> Result<Vec<ImportedOrder>, Problem> {
    let text = decoded(body).map_err(|error| header(error.to_string()))?;
    let delimiter = delimiter(&text)?;
    let mut records = Records::new(text.as_bytes(), delimiter, Quoting::On);
    let headings = records.record().map_err(|error| header(error.to_string()))?.unwrap_or_default();
    let columns = Columns::of(&headings)?;
    records.expect_width(headings.fields.len());
    let mut orders = Orders::new(&columns, headings.fields.len(), char::from(delimiter));
    let mut index = 0;
    while let Some(record) = records.record().map_err(|error| header(error.to_string()))? {
        index += 1;
        orders.take(index, &Row { columns: &columns, record: &record });
    }
    Ok(orders.finish())
}

/// The text of a body, in whichever encoding it is written.
fn decoded(body: &[u8]) -> std::io::Result<String> {
    let mut text = String::new();
    Encoding::detect(body)?.decode(body).read_to_string(&mut text)?;
    Ok(text.trim_start_matches(MARK).to_owned())
}

/// What separates fields: whatever makes the most known headings of the first line.
fn delimiter(text: &str) -> Result<u8, Problem> {
    let mut best = (0, DELIMITERS[0]);
    for delimiter in DELIMITERS {
        let record = Records::new(text.as_bytes(), delimiter, Quoting::On).record();
        let headings = record.map_err(|error| header(error.to_string()))?.unwrap_or_default();
        let known = headings.fields.iter().filter(|heading| COLUMNS.contains(&heading.trim())).count();
        if known > best.0 {
            best = (known, delimiter);
        }
    }
    Ok(best.1)
}

/// What programs write at the beginning of a text to tell its encoding.
const MARK: char = '\u{feff}';

fn header(detail: String) -> Problem {
    Problem::of(Code::ValidationFailed, vec![Wrong::at("", "invalid_header", detail)])
}

/// The position of each column.
struct Columns([Option<usize>; COLUMNS.len()]);

impl Columns {
    fn of(header: &Record) -> Result<Self, Problem> {
        let headings = || header.fields.iter().map(|heading| heading.trim());
        let place = |name: &str| headings().position(|heading| heading == name);
        let places = COLUMNS.map(place);
        let optional = ["ordered_at", "unit_price_minor", "currency"];
        let missing =
            COLUMNS.iter().zip(places).filter(|(name, at)| at.is_none() && !optional.contains(name));
        let mut wrongs: Vec<Wrong> = missing
            .map(|(name, _)| Wrong::at("", "missing_column", format!("the column '{name}' is missing")))
            .collect();
        let strangers = headings().filter(|name| !COLUMNS.contains(name));
        wrongs.extend(strangers.map(|name| {
            let detail = format!("there is no column '{name}'; there are {}", COLUMNS.join(", "));
            Wrong::at("", "unknown_column", detail)
        }));
        if wrongs.is_empty() { Ok(Self(places)) } else { Err(Problem::of(Code::ValidationFailed, wrongs)) }
    }
}

impl Columns {
    fn place(&self, column: &str) -> Option<usize> {
        COLUMNS.iter().position(|name| *name == column).and_then(|at| self.0[at])
    }

    /// The place of a column that must be there.
    fn needed(&self, column: &str) -> usize {
        self.place(column).unwrap_or(0)
    }
}

/// One row, by the names of its columns.
struct Row<'a> {
    columns: &'a Columns,
    record: &'a Record,
}

impl Row<'_> {
    /// The text in a column, unless it is empty.
    fn text(&self, column: &str) -> Option<&str> {
        self.columns.place(column).map(|at| self.record.field(at)).filter(|text| !text.is_empty())
    }

    /// Whether all that is in it can be read.
    fn is_readable(&self) -> bool {
        !self.record.fields.iter().any(|field| field.contains(UNREAD))
    }

    fn units(&self, column: &str) -> Option<Result<i64, String>> {
        let fraction = self.text(column).filter(|text| is_fraction(text));
        match fraction {
            Some(text) => Some(Err(format!("'{text}' is no whole number of units ({WHOLE_UNITS})"))),
            None => self.number(column),
        }
    }

    fn number(&self, column: &str) -> Option<Result<i64, String>> {
        let parse = |text: &str| text.parse().map_err(|_| format!("'{text}' is no whole number"));
        self.text(column).map(parse)
    }
}

/// Whether a text is a number of which no whole units can be made.
fn is_fraction(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(|number| number.is_finite() && number.fract() != 0.0)
}

/// The orders found so far.
struct Orders {
    found: Vec<Found>,
    owners: Owners<fn(&str) -> bool>,
    /// The rows of the lines, as far as they belong to nobody yet.
    rows: Vec<(u64, usize)>,
}

struct Found {
    reference: String,
    row: usize,
    line: u64,
    draft: OrderDraft,
    wrongs: Vec<Wrong>,
}

impl Orders {
    fn new(columns: &Columns, width: usize, delimiter: char) -> Self {
        let keys = Keys {
            width,
            order: columns.needed("order_ref"),
            shop: None,
            customer: columns.needed("customer_id"),
            ordered_at: columns.place("ordered_at"),
            line: vec![columns.needed("sku"), columns.needed("quantity")],
            short_rows: ShortRows::Refuse,
            delimiter: Some(delimiter),
        };
        let is_time: fn(&str) -> bool = |field| field.parse::<Timestamp>().is_ok();
        Self { found: Vec::new(), owners: Owners::new(keys, is_time), rows: Vec::new() }
    }

    fn take(&mut self, number: usize, row: &Row<'_>) {
        if row.record.is_blank() {
            return;
        }
        let Belongs { order, fault } = self.owners.place(row.record);
        let unread = || (!row.is_readable()).then(|| "holds bytes that cannot be read".to_owned());
        let fault = fault.or_else(unread);
        match order {
            None => self.rows.push((row.record.line, number)),
            Some(Of::Known(at)) => self.found[at].add(row, fault),
            Some(Of::New(at)) => {
                self.found.push(Found::new(number, self.owners.number(at), row));
                self.found[at].add(row, fault);
            }
        }
    }

    fn finish(mut self) -> Vec<ImportedOrder> {
        let settled = self.owners.settle();
        for (at, (line, why)) in settled.waiting {
            self.found[at].wrongs.push(unreadable(line, &why));
        }
        let rows = &self.rows;
        let row = |line: u64| rows.iter().find(|(known, _)| *known == line).map_or(0, |(_, row)| *row);
        let strays = settled.foundlings.iter().filter(|foundling| foundling.could_be_of.is_empty());
        let strays = strays.map(|Foundling { line, number, detail, .. }| {
            let mut found = Found::empty(row(*line), *line, number);
            found.wrongs.push(unreadable(*line, detail));
            found
        });
        let mut found: Vec<Found> = strays.collect();
        found.append(&mut self.found);
        found.sort_by_key(|found| found.line);
        let order = |Found { reference, row, line, draft, wrongs }: Found| ImportedOrder {
            reference,
            row,
            line,
            draft: if wrongs.is_empty() { Ok(draft) } else { Err(wrongs) },
        };
        found.into_iter().map(order).collect()
    }
}

fn unreadable(line: u64, why: &str) -> Wrong {
    Wrong::at("", "unreadable_row", format!("line {line} {why}"))
}

impl Found {
    fn empty(row: usize, line: u64, reference: &str) -> Self {
        let draft = OrderDraft { external_reference: Some(reference.to_owned()), ..OrderDraft::default() };
        Self { reference: reference.to_owned(), row, line, draft, wrongs: Vec::new() }
    }

    fn new(number: usize, reference: &str, row: &Row<'_>) -> Self {
        let mut found = Self::empty(number, row.record.line, reference);
        found.draft.customer_id = row.text("customer_id").unwrap_or_default().to_owned();
        found.draft.ordered_at = row.text("ordered_at").map(str::to_owned);
        found
    }

    fn add(&mut self, row: &Row<'_>, fault: Option<String>) {
        let number = row.record.line;
        if let Some(fault) = fault {
            self.wrongs.push(unreadable(number, &fault));
            return;
        }
        let line = self.draft.lines.len();
        self.check_agreement(number, row);
        let quantity = row.units("quantity").unwrap_or_else(|| Err("it is missing".to_owned()));
        let quantity = self.noted(number, format!("/lines/{line}/quantity"), quantity).unwrap_or(1);
        let minor = row
            .number("unit_price_minor")
            .map(|minor| self.noted(number, format!("/lines/{line}/unit_price/minor"), minor).unwrap_or(0));
        let unit_price = match (minor, row.text("currency")) {
            (None, None) => None,
            (Some(minor), Some(currency)) => Some(Amount { minor, currency: currency.to_owned() }),
            (Some(_), None) | (None, Some(_)) => {
                let half = Err("unit_price_minor and currency go together".to_owned());
                self.noted::<()>(number, format!("/lines/{line}/unit_price"), half);
                None
            }
        };
        let sku = row.text("sku").unwrap_or_default().to_owned();
        self.draft.lines.push(LineDraft { sku, quantity, unit_price });
    }

    /// All rows of an order say the same of whom it is for and when it was ordered, or leave it out.
    fn check_agreement(&mut self, number: u64, row: &Row<'_>) {
        let agrees = |text: Option<&str>, known: Option<&str>| text.is_none_or(|text| Some(text) == known);
        let differs = || Err("it differs from the first row of the order".to_owned());
        if !agrees(row.text("customer_id"), Some(&self.draft.customer_id)) {
            self.noted::<()>(number, "/customer_id".to_owned(), differs());
        }
        if !agrees(row.text("ordered_at"), self.draft.ordered_at.as_deref()) {
            self.noted::<()>(number, "/ordered_at".to_owned(), differs());
        }
    }

    fn noted<T>(&mut self, number: u64, pointer: String, parsed: Result<T, String>) -> Option<T> {
        let wrong = |detail| Wrong::at(pointer, "invalid_column", format!("line {number}: {detail}"));
        parsed.map_err(|detail| self.wrongs.push(wrong(detail))).ok()
    }
}
