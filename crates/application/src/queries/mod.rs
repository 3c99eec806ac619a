//! The queries, each with its handler. They read through [`Readers`](crate::ports::Readers), so they lock nothing and
//! change nothing. API and command line ask the same ones.

mod get_inventory_levels;
mod get_order_history;
mod get_order_status;

pub use get_inventory_levels::{GetInventoryLevelsQuery, GetStockOfProductQuery};
pub use get_order_history::GetOrderHistoryQuery;
pub use get_order_status::GetOrderStatusQuery;
