//! The payment gateway and the shipping provider as they are reached over HTTP, and the news they send by webhook.
//! Retries nothing and remembers nothing: a call is made once, and what is known afterwards is said exactly. In doubt
//! the answer is "unknown", never a guess. [`notifications`] are the channels that reach customers.

mod address;
mod answer;
mod client;
mod gateway_books;
mod http1;
mod http2;
mod limits;
pub mod notifications;
mod payment_gateway;
mod retry_after;
mod settings;
mod shipping_provider;
pub mod webhooks;

pub use address::InvalidAddress;
pub use payment_gateway::HttpPaymentGateway;
pub use settings::{Protocol, ProviderSettings};
pub use shipping_provider::HttpShippingProvider;
