//! The settings of an adapter for one provider. Reads no file, flag or environment.

use std::time::Duration;

use bus::BreakerPolicy;

/// How to reach a provider, and how much patience to have with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSettings {
    /// Where it is: `http://host:port`, possibly with a path in front of its own.
    pub base_url: String,
    /// Longest duration of one call, from the wait for a free connection to the last byte of the answer.
    pub time_limit: Duration,
    /// Calls under way at once, which with HTTP/1.1 is also the number of connections; further ones wait.
    pub connections_max: usize,
    /// A connection that was idle for longer is not used again: the other side is likely to close it just then.
    pub idle_max: Duration,
    /// When the provider is given a rest.
    pub breaker: BreakerPolicy,
    /// How calls share connections.
    pub protocol: Protocol,
}

/// How calls share connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1: a connection of its own for each call under way, kept for the next.
    #[default]
    Http1,
    /// HTTP/2 without TLS, known to be spoken by the other side: one connection for all calls.
    Http2,
}

impl ProviderSettings {
    /// The defaults, for a provider at this address.
    #[must_use]
    pub fn at(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            time_limit: Duration::from_secs(5),
            connections_max: 256,
            idle_max: Duration::from_secs(20),
            breaker: BreakerPolicy::default(),
            protocol: Protocol::default(),
        }
    }
}
