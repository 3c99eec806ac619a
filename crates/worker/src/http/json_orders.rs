//! Reads an import that is one JSON text: `{"orders": [...]}`, or the list alone. An order that makes no sense spoils no other.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::body;
use super::draft::ORDER_REQUEST;
use super::import_answer::ImportedOrder;
use super::ndjson_orders::order;
use super::problem::Problem;
use super::shape::{Schema, Shape, need};

/// An import as a client writes it in JSON.
pub(super) static IMPORT_REQUEST: Schema = Schema {
    name: "ImportRequest",
    shape: Shape::Object(&[need(
        "orders",
        Shape::List(&Shape::Named(&ORDER_REQUEST)),
        "Up to 50000 orders, each with its external_reference.",
    )]),
};

/// What an import has to be before its orders are looked at, each by itself.
const OUTER: Shape = Shape::Object(&[need("orders", Shape::List(&Shape::Any), "The orders.")]);

/// The same as a list alone.
const OUTER_LIST: Shape = Shape::List(&Shape::Any);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped<'a> {
    #[serde(borrow)]
    orders: Vec<&'a RawValue>,
}

/// The orders of an import, in its order.
pub(super) fn read(text: &Bytes) -> Result<Vec<ImportedOrder>, Problem> {
    let is_list = text.trim_ascii_start().starts_with(b"[");
    let (parsed, shape) = match is_list {
        true => (serde_json::from_slice::<Vec<&RawValue>>(text), OUTER_LIST),
        false => (serde_json::from_slice::<Wrapped<'_>>(text).map(|wrapped| wrapped.orders), OUTER),
    };
    let parts = parsed.map_err(|error| body::diagnose(text, &shape, &error))?;
    let mut lines = Lines::of(text);
    let orders = parts.into_iter().enumerate();
    Ok(orders.map(|(index, part)| order(index + 1, lines.at(part.get()), part.get().as_bytes())).collect())
}

/// Counts the lines of a text up to its parts, which come one after the other.
struct Lines<'a> {
    text: &'a [u8],
    counted: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    fn of(text: &'a [u8]) -> Self {
        Self { text, counted: 0, line: 1 }
    }

    /// The line where a part of the text begins.
    fn at(&mut self, part: &str) -> u64 {
        let begins = part.as_ptr().addr() - self.text.as_ptr().addr();
        let passed = &self.text[self.counted..begins];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.counted = begins;
        self.line
    }
}
