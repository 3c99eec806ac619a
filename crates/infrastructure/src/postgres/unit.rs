//! The unit of work: the bus's, with every repository of orders on the same transaction.

use std::ops::{Deref, DerefMut};

use super::rows::OrderRows;

/// One unit of work.
pub struct PostgresUnit(pub(super) bus_postgres::PostgresUnit<OrderRows>);

bus::forward_unit!(PostgresUnit, 0);

impl Deref for PostgresUnit {
    type Target = bus_postgres::PostgresUnit<OrderRows>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for PostgresUnit {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}
