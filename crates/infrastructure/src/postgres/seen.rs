//! What a unit has read and written, so that the next step of the same unit need not ask again. True as long as the unit
//! lasts: its rows are locked, or cannot matter before it ends. Nothing of it outlives the unit.

use std::collections::HashMap;

use application::saga::OrderProcessingSaga;
use domain::{OrderId, Payment, Product, ProductId};

/// What is known without asking.
#[derive(Default)]
pub(super) struct Seen {
    /// Sagas as they are now. Each is locked by this unit, or new.
    pub(super) sagas: HashMap<OrderId, OrderProcessingSaga>,
    /// Payments as they are now.
    pub(super) payments: HashMap<OrderId, Payment>,
    /// Products as they were when the first step of this unit read them: all steps go by one catalogue.
    pub(super) products: HashMap<ProductId, Product>,
}
