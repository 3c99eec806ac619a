//! Brings what another system has sold into this one: a file is read, put together, and sent to the API like any client
//! would. Sending it twice changes nothing. Must never write to the store past the API.

mod assembly;
mod catalogue;
mod client;
mod damage;
mod feed;
mod gauge;
mod known;
mod mapping;
mod order_body;
mod owners;
mod plan;
mod reference;
mod rehearsal;
mod report;
mod service;
mod sheet;
mod standing;
mod table;
mod take_back;
mod tally;

pub use catalogue::CatalogueProduct;
pub(crate) use client::IMPORTED_ORDER;
pub use client::{ApiClient, Cancelled, LowProduct, OrderAnswer, PriceBody, ProductBody, Refusal};
pub use feed::{Done, Feed, OrderOutcome, OrderSaid, Performance};
pub use gauge::{Gauge, Shown};
pub use known::{KnownLine, KnownOrder, KnownPrice, KnownProduct};
pub(crate) use mapping::ShortRows;
pub use mapping::{BUNDLED, Mapping, bundled_text};
pub use order_body::OrderBody;
pub(crate) use owners::{Belongs, Foundling, Keys, Of, Owners};
pub use plan::Unknown;
pub use report::{ToldRow, verdict, write_report};
pub use service::Service;
pub use sheet::{Invoice, InvoiceKind, InvoiceLine, Item, Named, Part, Sheet, SheetProduct};
pub use standing::{Standing, settle};
pub(crate) use table::{DELIMITERS, UNREAD};
pub use table::{Encoding, Quoting, Record, Records, Source};
pub use take_back::{LineVerdict, TakeBack, take_backs};
pub use tally::{LeftOut, Omission, Outcome, Reason, Rejected, TakenBack, Tally};
