//! The unit of work: the bus's, with every repository of orders on the same transaction.

use std::ops::{Deref, DerefMut};

use super::rows::OrderRows;

/// One unit of work.
pub struct SqliteUnit(pub(super) bus_sqlite::SqliteUnit<OrderRows>);

bus::forward_unit!(SqliteUnit, 0);

impl Deref for SqliteUnit {
    type Target = bus_sqlite::SqliteUnit<OrderRows>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for SqliteUnit {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}
