//! Rows that stand in an order twice, as where two reports overlap. Where lines have an id, that tells whether both are meant;
//! where they have none, nothing does, and only the sum of the order can.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use super::super::table::{Places, Record};

/// The rows of all orders so far.
pub(super) struct Repeats {
    /// Where the id of a line stands.
    line_id: Option<usize>,
    /// Everything that is read of a row.
    read: Vec<usize>,
    hasher: RandomState,
    by_id: HashMap<(usize, String), Known>,
    by_row: HashMap<(usize, u64), u64>,
}

/// A line that has an id.
#[derive(Clone, Copy)]
struct Known {
    line: u64,
    content: u64,
}

/// What a row repeats, and the line of the file that has it already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Nothing.
    None,
    /// The line of this id, with the same content.
    Line(u64),
    /// The id of a line with other content.
    Id(u64),
    /// A row without an id, field by field.
    Row(u64),
}

impl Repeats {
    pub(super) fn new(places: &Places) -> Self {
        Self {
            line_id: places.line_id,
            read: places.all().collect(),
            hasher: RandomState::new(),
            by_id: HashMap::new(),
            by_row: HashMap::new(),
        }
    }

    /// What the next row of an order repeats.
    pub(super) fn note(&mut self, order: usize, record: &Record) -> Repeat {
        let line = record.line;
        // Some exports write 0 where they have no id.
        let id = self.line_id.map_or("", |place| record.field(place));
        if id.is_empty() || id == "0" {
            let fields: Vec<&str> = record.fields.iter().map(|field| field.trim()).collect();
            let row = self.hasher.hash_one(fields);
            let first = *self.by_row.entry((order, row)).or_insert(line);
            return if first == line { Repeat::None } else { Repeat::Row(first) };
        }
        let content: Vec<&str> = self.read.iter().map(|place| record.field(*place)).collect();
        let content = self.hasher.hash_one(content);
        let known = *self.by_id.entry((order, id.to_owned())).or_insert(Known { line, content });
        match (known.line == line, known.content == content) {
            (true, _) => Repeat::None,
            (false, true) => Repeat::Line(known.line),
            (false, false) => Repeat::Id(known.line),
        }
    }
}
