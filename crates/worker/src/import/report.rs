//! The report of an import: one row for each row of the file that is not simply a line of an order now, in file order.

use std::borrow::Cow;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::{Done, Performance, Reason, Tally};

/// A row that is told of, because it is not simply a line of an order now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ToldRow {
    /// Line of the file.
    pub line: u64,
    /// The other system's name for the order; may be empty.
    pub order: String,
    /// `rejected`, `held_back`, `left_out` or `cancellation`.
    pub what: &'static str,
    /// Why, as a code.
    pub why: &'static str,
    /// Why, in words.
    pub detail: String,
}

impl Done {
    /// The rows that are told of, in file order.
    #[must_use]
    pub fn told(&self) -> Vec<ToldRow> {
        let told = |line, order: &String, what, why, detail: &String| ToldRow {
            line,
            order: order.clone(),
            what,
            why,
            detail: detail.clone(),
        };
        let rejected = self.rejected.iter();
        let rejected =
            rejected.map(|row| told(row.line, &row.order, of(row.reason), row.reason.as_str(), &row.detail));
        let left_out = self.left_out.iter();
        let left_out =
            left_out.map(|row| told(row.line, &row.order, "left_out", row.why.as_str(), &row.detail));
        let taken_back = self.taken_back.iter();
        let taken_back = taken_back
            .map(|row| told(row.line, &row.order, "cancellation", row.outcome.as_str(), &row.detail));
        let mut rows: Vec<ToldRow> = rejected.chain(left_out).chain(taken_back).collect();
        rows.sort_by_key(|row| row.line);
        rows
    }
}

/// Writes the report, over whatever was there.
///
/// # Errors
/// If the file cannot be written.
pub fn write_report(path: &Path, done: &Done) -> Result<()> {
    let place =
        || format!("cannot write the report to {}; choose another place with --report", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(place)?;
    }
    let mut writer = csv::Writer::from_writer(File::create(path).with_context(place)?);
    writer.write_record(["line", "order", "what", "why", "detail"])?;
    for ToldRow { line, order, what, why, detail } in done.told() {
        writer.write_record([&line.to_string(), &*defused(&order), what, why, &*defused(&detail)])?;
    }
    writer.flush().with_context(place)
}

/// What it all came to: the last line, which is the truth.
#[must_use]
pub fn verdict(tally: &Tally, performance: Performance) -> String {
    let rejected = tally.rows_rejected_in_all();
    let waiting = tally.orders_held_back + tally.orders_refused;
    let here = tally.orders_new + tally.orders_replayed;
    if performance == Performance::Rehearsal {
        return format!(
            "Nothing was changed: a dry run. {} new orders would be taken, {} are here already, {waiting} would wait, {rejected} \
             rows would be rejected.",
            tally.orders_new, tally.orders_replayed
        );
    }
    if rejected > 0 && here == 0 && tally.orders_torn == 0 {
        return if rejected == tally.rows {
            format!("Nothing was imported: all {rejected} rows were rejected.")
        } else {
            format!(
                "Nothing was imported: {rejected} of {} rows were rejected, and no order is left.",
                tally.rows
            )
        };
    }
    if rejected > 0 {
        let torn = match tally.orders_torn {
            0 => String::new(),
            torn => format!(
                " Of {torn} orders a part was taken before another was refused, and is being cancelled: see the report."
            ),
        };
        return format!(
            "Not everything was imported: {rejected} of {} rows were rejected or held back, and {waiting} orders with them. Mend \
             the file and import it again; what is here already stays as it is.{torn}",
            tally.rows
        );
    }
    match (tally.changed_nothing(), tally.orders_replayed) {
        (true, 0) => "Nothing has changed: the file holds no order that is to be taken.".to_owned(),
        (true, _) => "Nothing has changed: everything was here before.".to_owned(),
        (false, _) => "Everything was imported.".to_owned(),
    }
}

const fn of(reason: Reason) -> &'static str {
    match reason {
        Reason::HeldBack => "held_back",
        Reason::Unreadable
        | Reason::NoOrder
        | Reason::InvalidOrder
        | Reason::NoProduct
        | Reason::InvalidSku
        | Reason::InvalidQuantity
        | Reason::QuantityNotPositive
        | Reason::InvalidPrice
        | Reason::PriceNegative
        | Reason::InvalidTime
        | Reason::InvalidCustomer
        | Reason::InvalidDetails
        | Reason::RowsDisagree
        | Reason::UnknownStatus
        | Reason::OtherCharges
        | Reason::SumDiffers
        | Reason::UnknownProduct
        | Reason::WrongCurrency
        | Reason::RepeatedRow
        | Reason::PartlyDone
        | Reason::ChangedSinceImport
        | Reason::RefusedByService => "rejected",
    }
}

/// The text as spreadsheets show it, and never as something to carry out: what was in the file may begin like a formula.
fn defused(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_like_a_formula_is_shown_and_not_carried_out() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(defused(text), format!("'{text}"));
        }
        assert_eq!(defused("A-1 = B"), "A-1 = B");
    }
}
