//! Access over HTTP: keys, the ring of valid keys, request limits, and the gate that joins them. Knows no route and
//! no order.

use application::ports::Scope;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod gate;
mod hosts;
mod key_text;
mod limiter;
mod ring;
mod session;

pub(crate) use gate::Refused;
pub use gate::{Gate, GateSettings, Peer, Reach};
pub use hosts::Hosts;
pub(crate) use hosts::Stranger;
pub use key_text::{KeyText, digest};
pub use limiter::{Limiter, Rate};
pub use ring::{Identity, KEYS_MAX, KeyRing, KeyRingService};
pub use session::Sessions;

/// What stands for personal data, for those who may not see it.
pub const HIDDEN: &str = "(hidden)";

/// Whom a request must come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody: something else, such as a signature, proves the caller.
    Anybody,
    /// Everybody if this part is configured to be public, otherwise a key of this scope.
    Part(Part, Scope),
    /// A key of this scope.
    Scope(Scope),
    /// A person with a browser: the operators' page asks them to sign in.
    Page,
}

/// Parts of the service that can be public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Part {
    /// Whether it lives, and whether it can serve.
    Health,
    /// What it counts.
    Metrics,
    /// The description of the API.
    Docs,
}
