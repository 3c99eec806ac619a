//! Reads an import of one JSON order per line. A line that makes no sense spoils no other.

use application::ports::Caller;
use application::validators::OrderDraft;

use super::draft::{self, Refused};
use super::import_answer::ImportedOrder;
use super::problem::Wrong;

/// The orders of an import, one per line that has anything on it.
pub(super) fn read(body: &[u8]) -> Vec<ImportedOrder> {
    let lines = body.split(|byte| *byte == b'\n').enumerate();
    lines
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .map(|(index, line)| order(index + 1, index as u64 + 1, line))
        .collect()
}

/// The order that a text asks for, or everything that is wrong with it.
pub(super) fn order(row: usize, line: u64, text: &[u8]) -> ImportedOrder {
    match serde_json::from_slice::<OrderDraft>(text) {
        Ok(draft) => {
            let reference = draft.external_reference.clone().unwrap_or_default();
            ImportedOrder { reference, row, line, draft: Ok(draft) }
        }
        Err(error) => {
            let reference = reference(text).unwrap_or_default();
            let wrongs = match draft::diagnosed(text, &error, &Caller::without_key()) {
                Refused::Wrong(wrongs) => wrongs,
                Refused::Unreadable(problem) => {
                    vec![Wrong::at("", problem.code().as_str(), problem.detail())]
                }
            };
            ImportedOrder { reference, row, line, draft: Err(wrongs) }
        }
    }
}

/// The reference of an order that is otherwise no order.
fn reference(text: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(text).ok()?;
    value["external_reference"].as_str().map(str::to_owned)
}
