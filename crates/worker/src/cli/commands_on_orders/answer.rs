//! How these commands answer: JSON for programs, tables for people.

use anyhow::Result;
use application::messages::Amount;
use comfy_table::{LineStyle, Table, TableStyle, presets};
use domain::{Currency, Money};
use jiff::{Timestamp, Unit};
use serde::Serialize;

use super::Format;
use crate::say;

/// Answers with the value itself, or with what people make of it.
pub(super) fn answer<T: Serialize>(format: Format, value: &T, text: impl FnOnce(&T) -> String) -> Result<()> {
    let answer = match format {
        Format::Json => serde_json::to_string_pretty(value)?,
        Format::Text => text(value),
    };
    say!("{answer}");
    Ok(())
}

/// A rule beneath the headings and nothing else.
const PLAIN: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table with these headings.
pub(super) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(PLAIN).set_header(headings);
    table
}

/// A table of names and values.
pub(super) fn facts<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        table.add_row([name, &value]);
    }
    table
}

/// A list with a line beneath that says how to go on.
pub(super) fn listing(table: &Table, none: &str, more: Option<String>) -> String {
    match (table.row_count(), more) {
        (0, _) => none.to_owned(),
        (_, None) => table.to_string(),
        (_, Some(more)) => format!("{table}\n{more}"),
    }
}

/// An amount in major units.
pub(super) fn amount(amount: &Amount) -> String {
    match Currency::parse(&amount.currency) {
        Ok(currency) => Money::new(amount.minor, currency).to_string(),
        Err(_) => format!("{} minor units of {}", amount.minor, amount.currency),
    }
}

/// A moment, to the second.
pub(super) fn second(at: Timestamp) -> String {
    at.round(Unit::Second).unwrap_or(at).to_string()
}

/// A value that may be missing.
pub(super) fn or_dash(value: Option<&str>) -> String {
    value.unwrap_or("–").to_owned()
}
