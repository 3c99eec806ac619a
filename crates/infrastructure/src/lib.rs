//! The stores: orders and all that belongs to them, beside the tables of the bus, on SQLite and on PostgreSQL. Holds no rule of
//! the business.

pub mod postgres;
pub mod sqlite;

mod audit;
mod column_count;
mod forward;
mod order_listing;
mod overview;
mod paging;
mod reservations;
mod retention;
mod tally;
mod unmatched;
mod unsaved;
mod vitals;

pub use retention::{Retention, Swept};
