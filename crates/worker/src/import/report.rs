//! The report of an import: one row for each row of the file that is not simply a line of an order now, in file order.

use std::borrow::Cow;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Done, Reason};

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
    let rejected = done.rejected.iter();
    let rejected =
        rejected.map(|row| (row.line, &row.order, of(row.reason), row.reason.as_str(), &row.detail));
    let left_out = done.left_out.iter();
    let left_out = left_out.map(|row| (row.line, &row.order, "left_out", row.why.as_str(), &row.detail));
    let taken_back = done.taken_back.iter();
    let taken_back =
        taken_back.map(|row| (row.line, &row.order, "cancellation", row.outcome.as_str(), &row.detail));
    let mut rows: Vec<_> = rejected.chain(left_out).chain(taken_back).collect();
    rows.sort_unstable_by_key(|row| row.0);
    for (line, order, what, why, detail) in rows {
        writer.write_record([&line.to_string(), &*defused(order), what, why, &*defused(detail)])?;
    }
    writer.flush().with_context(place)
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
        | Reason::RowsDisagree
        | Reason::UnknownStatus
        | Reason::OtherCharges
        | Reason::SumDiffers
        | Reason::UnknownProduct
        | Reason::WrongCurrency
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
