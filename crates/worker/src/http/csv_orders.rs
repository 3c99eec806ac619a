//! Reads an import of CSV rows, one per line of an order; the rows of an order need not stand together. A row that makes
//! no sense spoils its own order and no other.

use std::collections::HashMap;

use application::messages::Amount;
use application::validators::{LineDraft, OrderDraft};
use csv::{ReaderBuilder, StringRecord, Trim};

use super::imports::ImportedOrder;
use super::problem::{Code, Problem, Wrong};
use super::shape::WHOLE_UNITS;

const COLUMNS: [&str; 7] =
    ["order_ref", "customer_id", "ordered_at", "sku", "quantity", "unit_price_minor", "currency"];

/// The orders of an import, in the order of their first rows.
pub(super) fn read(body: &[u8]) -> Result<Vec<ImportedOrder>, Problem> {
    let mut reader = ReaderBuilder::new().trim(Trim::All).flexible(true).from_reader(body);
    let columns = Columns::of(reader.headers().map_err(|error| header(error.to_string()))?)?;
    let mut orders = Orders::default();
    for (index, record) in reader.records().enumerate() {
        match record {
            Ok(record) => orders.take(index + 1, &Row { columns: &columns, record: &record }),
            Err(error) => orders.take_unreadable(index + 1, &error),
        }
    }
    Ok(orders.finish())
}

fn header(detail: String) -> Problem {
    Problem::of(Code::ValidationFailed, vec![Wrong::at("", "invalid_header", detail)])
}

/// Where each column stands.
struct Columns([Option<usize>; COLUMNS.len()]);

impl Columns {
    fn of(header: &StringRecord) -> Result<Self, Problem> {
        let place =
            |name: &str| header.iter().position(|column| column.trim_start_matches('\u{feff}') == name);
        let places = COLUMNS.map(place);
        let optional = ["ordered_at", "unit_price_minor", "currency"];
        let missing =
            COLUMNS.iter().zip(places).filter(|(name, at)| at.is_none() && !optional.contains(name));
        let mut wrongs: Vec<Wrong> = missing
            .map(|(name, _)| Wrong::at("", "missing_column", format!("the column '{name}' is missing")))
            .collect();
        let strangers = header.iter().filter(|name| !COLUMNS.contains(&name.trim_start_matches('\u{feff}')));
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
    record: &'a StringRecord,
}

impl Row<'_> {
    /// The text in a column, unless it is empty.
    fn text(&self, column: &str) -> Option<&str> {
        let at = COLUMNS.iter().position(|name| *name == column)?;
        self.columns.0[at].and_then(|at| self.record.get(at)).filter(|text| !text.is_empty())
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
}

struct Found {
    reference: String,
    row: usize,
    draft: OrderDraft,
    wrongs: Vec<Wrong>,
}

impl Orders {
    fn take(&mut self, number: usize, row: &Row<'_>) {
        let reference = row.text("order_ref").unwrap_or_default();
        match self.places.get(reference) {
            Some(at) if !reference.is_empty() => self.found[*at].add(number, row),
            Some(_) | None => {
                self.places.insert(reference.to_owned(), self.found.len());
                let mut found = Found::new(number, reference, row);
                found.add(number, row);
                self.found.push(found);
            }
        }
    }

    /// A row that cannot be read belongs to nobody knows which order, so it is answered as one of its own.
    fn take_unreadable(&mut self, number: usize, error: &csv::Error) {
        let mut found = Found::empty(number, "");
        found.wrongs.push(Wrong::at("", "unreadable_row", error.to_string()));
        self.found.push(found);
    }

    fn finish(self) -> Vec<ImportedOrder> {
        let order = |Found { reference, row, draft, wrongs }: Found| ImportedOrder {
            reference,
            row,
            draft: if wrongs.is_empty() { Ok(draft) } else { Err(wrongs) },
        };
        self.found.into_iter().map(order).collect()
    }
}

impl Found {
    fn empty(row: usize, reference: &str) -> Self {
        let draft = OrderDraft {
            customer_id: String::new(),
            lines: Vec::new(),
            payment_token: None,
            external_reference: Some(reference.to_owned()),
            ordered_at: None,
        };
        Self { reference: reference.to_owned(), row, draft, wrongs: Vec::new() }
    }

    fn new(number: usize, reference: &str, row: &Row<'_>) -> Self {
        let mut found = Self::empty(number, reference);
        found.draft.customer_id = row.text("customer_id").unwrap_or_default().to_owned();
        found.draft.ordered_at = row.text("ordered_at").map(str::to_owned);
        found
    }

    fn add(&mut self, number: usize, row: &Row<'_>) {
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
    fn check_agreement(&mut self, number: usize, row: &Row<'_>) {
        let agrees = |text: Option<&str>, known: Option<&str>| text.is_none_or(|text| Some(text) == known);
        let differs = || Err("it differs from the first row of the order".to_owned());
        if !agrees(row.text("customer_id"), Some(&self.draft.customer_id)) {
            self.noted::<()>(number, "/customer_id".to_owned(), differs());
        }
        if !agrees(row.text("ordered_at"), self.draft.ordered_at.as_deref()) {
            self.noted::<()>(number, "/ordered_at".to_owned(), differs());
        }
    }

    fn noted<T>(&mut self, number: usize, pointer: String, parsed: Result<T, String>) -> Option<T> {
        let wrong = |detail| Wrong::at(pointer, "invalid_column", format!("row {number}: {detail}"));
        parsed.map_err(|detail| self.wrongs.push(wrong(detail))).ok()
    }
}
