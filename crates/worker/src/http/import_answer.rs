//! What an import finds in a body, and what it answers about it.

use application::validators::OrderDraft;
use serde::Serialize;
use uuid::Uuid;

use super::problem::Wrong;
use crate::import::{Tally, ToldRow};

/// Name of the operation that writes.
pub(super) const IMPORT: &str = "importOrders";

/// An order as it was found in an import.
pub(super) struct ImportedOrder {
    /// Its reference, as far as it has one.
    pub(super) reference: String,
    /// The row where it begins, from 1 and without the headings.
    pub(super) row: usize,
    /// The line of the body where it begins, from 1.
    pub(super) line: u64,
    /// What it asks for.
    pub(super) draft: Result<OrderDraft, Vec<Wrong>>,
}

/// What became of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// It is accepted.
    Created,
    /// It was accepted before.
    Replayed,
    /// It cannot be accepted.
    Rejected,
    /// It was not tried to the end; import it again.
    NotDone,
}

#[derive(Serialize)]
pub(super) struct RowAnswer {
    pub(super) order_ref: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) row: Option<usize>,
    pub(super) line: u64,
    pub(super) outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) order_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) errors: Vec<Wrong>,
}

#[derive(Default, Serialize)]
pub(super) struct ImportAnswer {
    pub(super) orders: usize,
    pub(super) created: usize,
    pub(super) replayed: usize,
    pub(super) rejected: usize,
    pub(super) not_done: usize,
    pub(super) results: Vec<RowAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<SheetAnswer>,
}

/// What is told of a file beside its orders.
#[derive(Serialize)]
pub(super) struct SheetAnswer {
    pub(super) dry_run: bool,
    pub(super) verdict: String,
    pub(super) notes: Vec<String>,
    pub(super) tally: Tally,
    pub(super) told: Vec<ToldRow>,
}
