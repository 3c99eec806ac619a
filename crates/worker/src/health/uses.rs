//! The settings in use: database, broker, providers. The first log line and `/health` show them, so it is clear which
//! of several settings counts. Never a secret.

use serde::Serialize;

use crate::config::Config;

/// What a service works with, as it may be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Uses {
    /// What it runs for.
    pub profile: String,
    /// Where the data lies.
    pub database: String,
    /// What carries messages between workers: the broker's addresses, or the database itself.
    pub broker: String,
    /// The payment gateway.
    pub payment_gateway: String,
    /// The carrier.
    pub shipping_provider: String,
}

impl Uses {
    /// What this configuration leads to.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let broker = match config.rabbitmq.addresses.is_empty() {
            true => "none: the database carries the messages".to_owned(),
            false => config.rabbitmq.addresses.to_string(),
        };
        Self {
            profile: config.profile.as_str().to_owned(),
            database: config.database.to_string(),
            broker,
            payment_gateway: config.providers.payment_url.clone(),
            shipping_provider: config.providers.shipping_url.clone(),
        }
    }

    /// Tells it in the log.
    pub fn tell(&self) {
        tracing::info!(
            profile = self.profile,
            database = self.database,
            broker = self.broker,
            payment_gateway = self.payment_gateway,
            shipping_provider = self.shipping_provider,
            version = env!("CARGO_PKG_VERSION"),
            "the service starts"
        );
    }
}
