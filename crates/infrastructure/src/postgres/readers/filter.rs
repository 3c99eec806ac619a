//! Conditions that are only there if somebody asks for them, with their values.

use bus_postgres::Value;
use tokio_postgres::types::ToSql;

/// What a listing is narrowed down by.
#[derive(Default)]
pub(super) struct Filter {
    conditions: Vec<String>,
    values: Vec<Value<'static>>,
}

impl Filter {
    /// Adds a condition; the value stands behind it.
    pub(super) fn and(&mut self, condition: &str, value: impl ToSql + Sync + Send + 'static) {
        let number = self.bind(value);
        self.conditions.push(format!("{condition} ${number}"));
    }

    /// Adds a condition without a value.
    pub(super) fn and_plain(&mut self, condition: &str) {
        self.conditions.push(condition.to_owned());
    }

    /// Adds a value without a condition; returns its number.
    pub(super) fn bind(&mut self, value: impl ToSql + Sync + Send + 'static) -> usize {
        self.values.push(Box::new(value));
        self.values.len()
    }

    /// The conditions as text, and all values.
    pub(super) fn finish(self) -> (String, Vec<Value<'static>>) {
        (self.conditions.join(" and "), self.values)
    }
}
