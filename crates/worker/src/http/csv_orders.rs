//! Reads an import of CSV rows, one per line of an order; the rows of an order may be scattered. A bad row spoils its
//! own order and no other; a row without order and customer continues the order before.

use std::collections::HashMap;

use application::messages::Amount;
use application::validators::{LineDraft, OrderDraft};

use super::imports::ImportedOrder;
use super::problem::{Code, Problem, Wrong};
use super::shape::WHOLE_UNITS;
use crate::import::{Quoting, Record, Records};

const COLUMNS: [&str; 7] =
    ["order_ref", "customer_id", "ordered_at", "sku", "quantity", "unit_price_minor", "currency"];

/// Replaces bytes that are not text.
const UNREAD: char = '\u{fffd}';

/// The orders of an import, in the order of their first rows.
pub(super) fn read(body: &[u8]) -> Result<Vec<ImportedOrder>, Problem> {
    let text = String::from_utf8_lossy(body);
    let mut records = Records::new(text.trim_start_matches(MARK).as_bytes(), b',', Quoting::On);
    let mut next = || records.record().map_err(|error| header(error.to_string()));
    let columns = Columns::of(&next()?.unwrap_or_default())?;
    let mut orders = Orders::default();
    let mut index = 0;
    while let Some(record) = next()? {
        index += 1;
        orders.take(index, &Row { columns: &columns, record: &record });
    }
    Ok(orders.finish())
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

/// One row, by the names of its columns.
struct Row<'a> {
    columns: &'a Columns,
    record: &'a Record,
}

impl Row<'_> {
    /// The text in a column, unless it is empty.
    fn text(&self, column: &str) -> Option<&str> {
        let at = COLUMNS.iter().position(|name| *name == column)?;
        self.columns.0[at].map(|at| self.record.field(at)).filter(|text| !text.is_empty())
    }

    /// What keeps it from being a row, if anything does.
    fn fault(&self) -> Option<String> {
        if let Some(fault) = &self.record.fault {
            return Some(fault.clone());
        }
        let width = self.columns.0.iter().flatten().max().map_or(0, |last| last + 1);
        let more = self.record.fields.iter().skip(width).any(|field| !field.trim().is_empty());
        let unread = self.record.fields.iter().any(|field| field.contains(UNREAD));
        match (more, unread) {
            (true, _) => Some(format!("has more than {width} fields; is a comma in a field without quotes?")),
            (_, true) => Some("holds bytes that are no UTF-8".to_owned()),
            (false, false) => None,
        }
    }

    /// Whether it continues the order before.
    fn goes_on(&self) -> bool {
        ["order_ref", "customer_id", "ordered_at"].iter().all(|column| self.text(column).is_none())
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
#[derive(Default)]
struct Orders {
    found: Vec<Found>,
    places: HashMap<String, usize>,
    /// The order of the row before, if that is known.
    latest: Option<usize>,
}

struct Found {
    reference: String,
    row: usize,
    line: u64,
    draft: OrderDraft,
    wrongs: Vec<Wrong>,
}

impl Orders {
    fn take(&mut self, number: usize, row: &Row<'_>) {
        if row.record.is_blank() {
            return;
        }
        let reference = row.text("order_ref").unwrap_or_default();
        let known = match self.places.get(reference) {
            _ if reference.is_empty() => self.latest.filter(|_| row.goes_on() && row.fault().is_none()),
            known => known.copied(),
        };
        let at = known.unwrap_or_else(|| {
            self.places.insert(reference.to_owned(), self.found.len());
            self.found.push(Found::new(number, reference, row));
            self.found.len() - 1
        });
        self.found[at].add(row);
        self.latest = (!self.found[at].reference.is_empty()).then_some(at);
    }

    fn finish(self) -> Vec<ImportedOrder> {
        let order = |Found { reference, row, line, draft, wrongs }: Found| ImportedOrder {
            reference,
            row,
            line,
            draft: if wrongs.is_empty() { Ok(draft) } else { Err(wrongs) },
        };
        self.found.into_iter().map(order).collect()
    }
}

impl Found {
    fn empty(row: usize, line: u64, reference: &str) -> Self {
        let draft = OrderDraft {
            customer_id: String::new(),
            lines: Vec::new(),
            payment_token: None,
            external_reference: Some(reference.to_owned()),
            ordered_at: None,
        };
        Self { reference: reference.to_owned(), row, line, draft, wrongs: Vec::new() }
    }

    fn new(number: usize, reference: &str, row: &Row<'_>) -> Self {
        let mut found = Self::empty(number, row.record.line, reference);
        found.draft.customer_id = row.text("customer_id").unwrap_or_default().to_owned();
        found.draft.ordered_at = row.text("ordered_at").map(str::to_owned);
        found
    }

    fn add(&mut self, row: &Row<'_>) {
        let number = row.record.line;
        if let Some(fault) = row.fault() {
            self.wrongs.push(Wrong::at("", "unreadable_row", format!("line {number} {fault}")));
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
