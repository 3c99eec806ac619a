//! A payment and shipping provider to develop, demonstrate, measure and break against: a real HTTP server with
//! real webhooks and injectable faults, which keeps exact books so that a test can prove nothing was charged twice.
//!
//! It must never import another crate of the workspace: it is the other side of the wire, and shared types would hide
//! the misunderstandings that it exists to find.

mod attempts;
mod charge;
mod clock;
mod courier;
mod dice;
mod events;
mod faults;
mod history;
mod limits;
mod mailbox;
mod money;
mod operator_calls;
mod payment_calls;
mod payments;
mod problem;
mod provider;
mod rates;
mod reply;
mod routes;
mod running;
mod server;
mod settings;
mod shipments;
mod shipping_calls;
mod signature;
mod stats;
mod timekeeper;
mod timetable;
mod wire;

pub use faults::{Availability, FaultSettings, Faults, Pause, WebhookFaults};
pub use running::{FaultSwitch, Running, Sandbox, StartFault};
pub use settings::{InTransitEvents, Settings};
pub use stats::{FaultStats, MoneyTally, PaymentStats, ShippingStats, Stats, WebhookStats};
