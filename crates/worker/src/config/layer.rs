//! One source of settings, laid flat: the path of each key, its value, and where it was said. Layers are laid over each
//! other; the last word counts. Knows no key.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// A value and where it was said.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) value: Value,
    /// `FILE:LINE`, the name of a variable, or a flag.
    pub(super) place: String,
    /// Which layer it comes from; a later one goes before an earlier one.
    pub(super) rank: Rank,
}

/// The layers, in the order in which they are laid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Packaged,
    Profile,
    File,
    Environment,
    Flags,
}

/// Keys by their whole path, such as `limits.order_ms`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layer(pub(super) BTreeMap<String, Said>);

impl Layer {
    pub(super) fn say(&mut self, path: String, value: Value, place: String, rank: Rank) {
        self.0.insert(path, Said { value, place, rank });
    }

    /// Lays another over this one.
    pub(super) fn lay(&mut self, over: Self) {
        self.0.extend(over.0);
    }

    /// The tables that the paths make.
    pub(super) fn into_table(self) -> Table {
        let mut root = Table::new();
        for (path, said) in self.0 {
            let mut steps: Vec<&str> = path.split('.').collect();
            let Some(key) = steps.pop() else { continue };
            let mut table = Some(&mut root);
            for step in steps {
                table = table.and_then(|table| {
                    table.entry(step).or_insert_with(|| Value::Table(Table::new())).as_table_mut()
                });
            }
            if let Some(table) = table {
                table.insert(key.to_owned(), said.value);
            }
        }
        root
    }
}
