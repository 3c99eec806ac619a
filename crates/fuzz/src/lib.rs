//! Every parser of outside input behind one call that takes bytes. The laws of a parser are asserted here: for any
//! input it returns a value or an error, does not panic, and puts no secret into its message.

mod bodies;
mod places;
mod texts;
mod wire;

pub use places::{folder, seeds};

use worker::http::Reader;

/// A parser of bytes from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parser {
    /// A message in MassTransit's envelope, with what is on its outside, and what becomes of its body.
    MassTransit,
    /// A message as a CloudEvent, the same way.
    CloudEvents,
    /// The body of each kind of message.
    Messages,
    /// News of a provider.
    WebhookEvents,
    /// The headers that sign them.
    WebhookSignature,
    /// An order.
    Order,
    /// Orders in CSV.
    OrdersInCsv,
    /// Orders, one a line.
    OrdersInNdjson,
    /// Products.
    Products,
    /// A change of stock.
    StockChange,
    /// The wish to cancel.
    Cancellation,
    /// A person's hand on a saga.
    SagaOperation,
    /// Where a listing goes on.
    Cursor,
    /// A file of settings.
    Configuration,
    /// Settings in the environment, a line each.
    Environment,
    /// How a sheet of another system is read.
    Mapping,
    /// A sheet of another system.
    Sheet,
    /// A file of products.
    Catalogue,
    /// Addresses of databases and brokers, keys, trace contexts: the first byte says which.
    Texts,
}

impl Parser {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::MassTransit,
        Self::CloudEvents,
        Self::Messages,
        Self::WebhookEvents,
        Self::WebhookSignature,
        Self::Order,
        Self::OrdersInCsv,
        Self::OrdersInNdjson,
        Self::Products,
        Self::StockChange,
        Self::Cancellation,
        Self::SagaOperation,
        Self::Cursor,
        Self::Configuration,
        Self::Environment,
        Self::Mapping,
        Self::Sheet,
        Self::Catalogue,
        Self::Texts,
    ];

    /// Its name, and that of its folder of seeds.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MassTransit => "masstransit",
            Self::CloudEvents => "cloudevents",
            Self::Messages => "messages",
            Self::WebhookEvents => "webhook-events",
            Self::WebhookSignature => "webhook-signature",
            Self::Order => "order",
            Self::OrdersInCsv => "orders-csv",
            Self::OrdersInNdjson => "orders-ndjson",
            Self::Products => "products",
            Self::StockChange => "stock-change",
            Self::Cancellation => "cancellation",
            Self::SagaOperation => "saga-operation",
            Self::Cursor => "cursor",
            Self::Configuration => "configuration",
            Self::Environment => "environment",
            Self::Mapping => "mapping",
            Self::Sheet => "sheet",
            Self::Catalogue => "catalogue",
            Self::Texts => "texts",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|parser| parser.as_str() == name)
    }

    /// Gives it these bytes.
    ///
    /// # Panics
    /// If the parser does, or breaks one of its promises: that is what is looked for.
    pub fn take(self, bytes: &[u8]) {
        match self {
            Self::MassTransit => wire::masstransit(bytes),
            Self::CloudEvents => wire::cloud_event(bytes),
            Self::Messages => wire::messages(bytes),
            Self::WebhookEvents => bodies::webhook_events(bytes),
            Self::WebhookSignature => bodies::webhook_signature(bytes),
            Self::Order => bodies::api(Reader::Order, bytes),
            Self::OrdersInCsv => bodies::api(Reader::OrdersInCsv, bytes),
            Self::OrdersInNdjson => bodies::api(Reader::OrdersInNdjson, bytes),
            Self::Products => bodies::api(Reader::Products, bytes),
            Self::StockChange => bodies::api(Reader::StockChange, bytes),
            Self::Cancellation => bodies::api(Reader::Cancellation, bytes),
            Self::SagaOperation => bodies::api(Reader::SagaOperation, bytes),
            Self::Cursor => bodies::api(Reader::Cursor, bytes),
            Self::Configuration => texts::configuration(bytes),
            Self::Environment => texts::environment(bytes),
            Self::Mapping => texts::mapping(bytes),
            Self::Sheet => texts::sheet(bytes),
            Self::Catalogue => texts::catalogue(bytes),
            Self::Texts => texts::short(bytes),
        }
    }
}
