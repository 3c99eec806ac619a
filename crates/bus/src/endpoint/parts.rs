//! A batch in parts, halved where a message spoils it. Stores nothing.

/// Parts of a batch, first to last, halved where need be.
pub(super) struct Parts<W>(Vec<Vec<W>>);

impl<W> Parts<W> {
    pub(super) fn new(all: Vec<W>) -> Self {
        let mut parts = Self(Vec::new());
        parts.push(all);
        parts
    }

    pub(super) fn push(&mut self, part: Vec<W>) {
        if !part.is_empty() {
            self.0.push(part);
        }
    }

    pub(super) fn next(&mut self) -> Option<Vec<W>> {
        self.0.pop()
    }

    pub(super) fn halve(&mut self, mut part: Vec<W>) {
        let later = part.split_off(part.len() / 2);
        self.0.extend([later, part]);
    }
}
