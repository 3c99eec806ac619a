//! Brings what another system has sold into this one: a file is read, put together, and sent to the API like any client
//! would. Sending it twice changes nothing. Must never write to the store past the API.

mod catalogue;
mod client;
mod feed;
mod gauge;
mod mapping;
mod report;
mod sheet;
mod standing;
mod take_back;
mod tally;

pub use catalogue::CatalogueProduct;
pub use client::{ApiClient, Cancelled, LowProduct, OrderAnswer, PriceBody, ProductBody, Refusal};
pub use feed::{Done, Feed, OrderBody};
pub use gauge::{Gauge, Shown};
pub use mapping::Mapping;
pub use report::write_report;
pub use sheet::{Invoice, InvoiceKind, InvoiceLine, Item, Named, Sheet, SheetProduct};
pub use standing::{Standing, settle};
pub use take_back::{LineVerdict, TakeBack, take_backs};
pub use tally::{Outcome, Reason, Rejected, TakenBack, Tally};
