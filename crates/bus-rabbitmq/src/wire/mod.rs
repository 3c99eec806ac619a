//! The bytes that travel: MassTransit's JSON envelope out, and in besides it CloudEvents.
//! Pure: knows no broker, no clock, and no message but by its kind.

mod cloud_event;
mod codec;
mod error;
mod fault_message;
mod field_names;
mod host;
mod masstransit;
mod naming;
mod parcel;
mod parse;
mod reading;
mod refused;
mod trace;

pub use codec::Codec;
pub use error::WireError;
pub use host::Host;
pub use naming::Naming;
pub use parcel::Parcel;
pub use reading::Reading;
pub use refused::{EXPIRED, Refused, RefusedFault};

/// Content type of MassTransit's JSON envelope.
pub const MASSTRANSIT_JSON: &str = "application/vnd.masstransit+json";

/// Content type of a CloudEvent in structured mode.
pub const CLOUD_EVENTS_JSON: &str = "application/cloudevents+json";
