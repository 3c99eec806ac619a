//! The report of an import: one row for each row of the file that is not simply a line of an order now, in file order.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};

use super::Done;

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
    let rejected = rejected.map(|row| (row.line, &row.order, "rejected", row.reason.as_str(), &row.detail));
    let taken_back = done.taken_back.iter();
    let taken_back =
        taken_back.map(|row| (row.line, &row.order, "cancellation", row.outcome.as_str(), &row.detail));
    let mut rows: Vec<_> = rejected.chain(taken_back).collect();
    rows.sort_unstable_by_key(|row| row.0);
    for (line, order, what, why, detail) in rows {
        writer.write_record([&line.to_string(), order, what, why, detail])?;
    }
    writer.flush().with_context(place)
}
