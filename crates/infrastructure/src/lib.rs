//! The adapters: how the world that the use cases ask for is reached. Holds no rule of the business.

pub mod postgres;
pub mod sqlite;

mod order_listing;
mod overview;
mod paging;
mod tables;
mod tally;
mod unsaved;
mod vitals;

pub use tables::Tables;
