//! What can be set about the broker, checked as a whole before anything connects. Never shows a password.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bus::limits::RELAY_CONFIRM_MAX;
use lapin::uri::AMQPUri;
use thiserror::Error;

use super::limits::{ADDRESSES_MAX, HEARTBEAT_S, PREFIX_BYTES_MAX};
use super::wire::{Host, Reading};

/// What kind of queue is declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueKind {
    /// Replicated by consensus; survives the loss of a node, and counts deliveries.
    #[default]
    Quorum,
    /// On one node. For a broker without quorum queues; there is no delivery limit then.
    Classic,
}

/// Settings of the adapter.
#[derive(Clone)]
pub struct RabbitMqSettings {
    /// Addresses of one cluster, `amqp://user:password@host:port/vhost` each; any of them will do.
    pub addresses: Vec<String>,
    /// The program's name, in lower case. It signs messages and names what is the program's own on the broker.
    pub program: String,
    /// The .NET namespace of the contracts, which names exchanges and types.
    pub namespace: String,
    /// Begins the name of every queue at the broker, so that it meets no queue of another program.
    pub queue_prefix: String,
    /// The kind of every queue.
    pub queue_kind: QueueKind,
    /// Deliveries that are not acknowledged, for instance because the process died each time, before the broker sets a message
    /// aside. Quorum queues only.
    pub delivery_limit: u32,
    /// Messages in one batch; twice as many are fetched ahead.
    pub batch_max: usize,
    /// Certificates in PEM that vouch for brokers at `amqps://`, beside those of the system.
    pub more_roots: Option<Arc<str>>,
    /// How long connecting to one address may take.
    pub connect_limit: Duration,
    /// How long the broker may take to confirm what was sent at once; less than [`RELAY_CONFIRM_MAX`].
    pub confirm_limit: Duration,
    /// What the broker shows as the connection's name.
    pub connection_name: String,
    /// What our messages say about their sender.
    pub host: Host,
    /// How messages of others are read.
    pub reading: Reading,
}

/// A setting that cannot be used.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// None, or too many.
    #[error("there are {found} RabbitMQ addresses; give 1 to {ADDRESSES_MAX}")]
    AddressCount {
        /// How many there are.
        found: usize,
    },
    /// One of the addresses.
    #[error(
        "RabbitMQ address {number} {problem}; write it as amqp://user:password@host:5672/vhost, or amqps:// for TLS"
    )]
    Address {
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The namespace.
    #[error(
        "the RabbitMQ namespace is '{found}'; give letters, digits, dots and underscores, such as Company.Contracts"
    )]
    Namespace {
        /// What was given.
        found: String,
    },
    /// What the names of queues begin with.
    #[error(
        "the RabbitMQ queue prefix is '{found}'; give up to {PREFIX_BYTES_MAX} letters, digits, dots, hyphens and underscores, such as 'shop.', not beginning with 'amq.'"
    )]
    QueuePrefix {
        /// What was given.
        found: String,
    },
    /// The time for confirms.
    #[error(
        "the RabbitMQ confirm limit is {found:?}, which would change nothing, since a sending is cut off after {RELAY_CONFIRM_MAX:?}; give less"
    )]
    ConfirmLimit {
        /// What was given.
        found: Duration,
    },
    /// The batch.
    #[error("a RabbitMQ batch of 0 messages would never be full; give at least 1")]
    EmptyBatch,
}

impl RabbitMqSettings {
    /// The usual settings for these addresses, of a program called `bus` that puts its contracts into `Contracts`.
    #[must_use]
    pub fn at(addresses: Vec<String>) -> Self {
        let program = "bus".to_owned();
        Self {
            addresses,
            namespace: "Contracts".to_owned(),
            queue_prefix: String::new(),
            queue_kind: QueueKind::default(),
            delivery_limit: 100,
            batch_max: bus::limits::BATCH_MAX,
            more_roots: None,
            connect_limit: Duration::from_secs(5),
            confirm_limit: Duration::from_secs(8),
            connection_name: program.clone(),
            host: Host::current(&program, env!("CARGO_PKG_VERSION")),
            reading: Reading::default(),
            program,
        }
    }

    /// Whether they can work, without connecting.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn verify(&self) -> Result<(), SettingsError> {
        self.check().map(drop)
    }

    /// The addresses in a form that the driver takes.
    pub(super) fn check(&self) -> Result<Vec<AMQPUri>, SettingsError> {
        let found = self.addresses.len();
        if found == 0 || found > ADDRESSES_MAX {
            return Err(SettingsError::AddressCount { found });
        }
        let is_namespace = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
        if self.namespace.is_empty() || !self.namespace.chars().all(is_namespace) {
            return Err(SettingsError::Namespace { found: self.namespace.clone() });
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let prefix = &self.queue_prefix;
        if prefix.len() > PREFIX_BYTES_MAX || prefix.starts_with("amq.") || !prefix.chars().all(is_name) {
            return Err(SettingsError::QueuePrefix { found: prefix.clone() });
        }
        if self.confirm_limit >= RELAY_CONFIRM_MAX {
            return Err(SettingsError::ConfirmLimit { found: self.confirm_limit });
        }
        if self.batch_max == 0 {
            return Err(SettingsError::EmptyBatch);
        }
        let numbered = self.addresses.iter().zip(1..);
        numbered
            .map(|(address, number)| {
                uri(address).map_err(|problem| SettingsError::Address { number, problem })
            })
            .collect()
    }
}

/// An address as the driver takes it, or what is wrong with it.
fn uri(address: &str) -> Result<AMQPUri, &'static str> {
    // The driver would quietly connect to localhost instead.
    if address.contains("@[") || address.contains("//[") {
        return Err("has an IPv6 address; give a host name that leads there");
    }
    let mut uri: AMQPUri = address.parse().map_err(|_| "is no AMQP address")?;
    if uri.vhost.is_empty() {
        return Err("has an empty virtual host; the default one is written as /%2f");
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT_S);
    Ok(uri)
}

impl fmt::Debug for RabbitMqSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitMqSettings")
            .field("addresses", &self.addresses.len())
            .field("namespace", &self.namespace)
            .field("queue_prefix", &self.queue_prefix)
            .field("queue_kind", &self.queue_kind)
            .field("delivery_limit", &self.delivery_limit)
            .field("batch_max", &self.batch_max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(address: &str) -> String {
        RabbitMqSettings::at(vec![address.to_owned()]).check().unwrap_err().to_string()
    }

    #[test]
    fn an_address_that_would_lead_astray_is_refused_without_its_password() {
        let addresses =
            ["amqps://u:secret@[::1]/v", "amqp://u:secret@[::1]:5672/v", "amqp://u:secret@h/", "secret"];
        for address in addresses {
            let text = problem(address);
            assert!(text.contains("address 1") && !text.contains("secret"), "{text}");
        }
        let settings = RabbitMqSettings::at(vec!["amqp://u:secret@h/v".to_owned()]);
        assert!(settings.check().is_ok());
        assert!(!format!("{settings:?}").contains("secret"));
    }

    #[test]
    fn a_time_for_confirms_that_nobody_waits_for_is_refused() {
        let usual = RabbitMqSettings::at(vec!["amqp://h/v".to_owned()]);
        assert!(usual.confirm_limit < RELAY_CONFIRM_MAX && usual.verify().is_ok());
        let patient = RabbitMqSettings { confirm_limit: RELAY_CONFIRM_MAX, ..usual };
        assert!(patient.verify().unwrap_err().to_string().contains("10s; give less"));
    }

    #[test]
    fn no_address_no_namespace_and_no_batch_are_refused() {
        let usual = RabbitMqSettings::at(vec!["amqp://h/v".to_owned()]);
        assert!(RabbitMqSettings { addresses: Vec::new(), ..usual.clone() }.check().is_err());
        assert!(RabbitMqSettings { namespace: "a b".to_owned(), ..usual.clone() }.check().is_err());
        assert!(RabbitMqSettings { batch_max: 0, ..usual }.check().is_err());
    }

    #[test]
    fn a_prefix_that_no_name_may_begin_with_is_refused() {
        let usual = RabbitMqSettings::at(vec!["amqp://h/v".to_owned()]);
        for (prefix, is_good) in
            [("", true), ("shop-1.", true), ("amq.", false), ("a b", false), (&*"x".repeat(101), false)]
        {
            let settings = RabbitMqSettings { queue_prefix: prefix.to_owned(), ..usual.clone() };
            assert_eq!(settings.check().is_ok(), is_good, "'{prefix}'");
        }
    }
}
