//! How a RabbitMQ broker is reached and used, if there is one. Never shows the passwords that may be in its addresses.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use application::json_text::{Form, harmless};
use application::requests::REQUESTS;
use bus_rabbitmq::wire::{Host, Naming, Reading};
use bus_rabbitmq::{QueueKind, RabbitMqSettings};
use domain::text::Lines;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::database::seen;

/// How the program signs its messages, and the beginning of what is its own on the broker.
const PROGRAM: &str = "orderwright";

/// Characters of each text of a message that are kept, with a mark where one was cut: as many as a note may have.
const TEXT_CHARS_MAX: usize = 4_000;

/// The broker and how it is used. Without addresses the store carries the messages itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RabbitMq {
    /// Addresses of one cluster; any of them will do.
    pub addresses: BrokerAddresses,
    /// Begins the name of every queue at the broker, so that it meets no queue of another program there.
    pub queue_prefix: String,
    /// The kind of every queue.
    pub queue_kind: QueueKindName,
    /// Whether a worker on `PostgreSQL` keeps what its own queues wait for, as far as it has room, instead of sending it to
    /// the broker and getting it back.
    pub local_first: bool,
    /// The .NET namespace of the contracts, which names exchanges and types.
    pub namespace: String,
    /// Deliveries without an acknowledgement before the broker sets a message aside. Quorum queues only.
    pub delivery_limit: u32,
    /// How long connecting to one address may take, in milliseconds.
    pub connect_limit_ms: u64,
    /// How long the broker may take to confirm what was sent at once, in milliseconds; less than 10000.
    pub confirm_limit_ms: u64,
    /// What the broker shows as the connections' name.
    pub connection_name: String,
}

/// Addresses as they were written.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline, extend("x-secret" = true))]
pub struct BrokerAddresses(Vec<String>);

/// The kind of queues, as it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum QueueKindName {
    /// Replicated by consensus.
    #[default]
    Quorum,
    /// On one node.
    Classic,
}

impl RabbitMq {
    /// The adapter's settings; none if there is no broker.
    #[must_use]
    pub fn settings(&self, batch_max: usize) -> Option<RabbitMqSettings> {
        if self.addresses.0.is_empty() {
            return None;
        }
        let ms = Duration::from_millis;
        let queue_kind = match self.queue_kind {
            QueueKindName::Quorum => QueueKind::Quorum,
            QueueKindName::Classic => QueueKind::Classic,
        };
        Some(RabbitMqSettings {
            program: PROGRAM.to_owned(),
            namespace: self.namespace.clone(),
            queue_prefix: self.queue_prefix.clone(),
            queue_kind,
            delivery_limit: self.delivery_limit,
            batch_max,
            connect_limit: ms(self.connect_limit_ms),
            confirm_limit: ms(self.confirm_limit_ms),
            connection_name: self.connection_name.clone(),
            host: Host::current(PROGRAM, env!("CARGO_PKG_VERSION")),
            reading: Self::reading(),
            ..RabbitMqSettings::at(self.addresses.0.clone())
        })
    }

    /// The names on the broker.
    #[must_use]
    pub fn naming(&self) -> Naming {
        Naming::new(self.namespace.clone(), PROGRAM)
    }

    /// How a message from outside is read: it belongs to the order that it names, and no text in it can harm a store or a
    /// terminal. A request knows who waits for its answer.
    #[must_use]
    pub fn reading() -> Reading {
        Reading { correlation_member: Some("order_id"), requests: REQUESTS, cleaning: harmless_texts }
    }

    /// The settings that are too small if they are below a least value: name, value, least.
    pub(super) fn numbers(&self) -> [(&'static str, u64, u64); 3] {
        [
            ("rabbitmq.delivery_limit", self.delivery_limit.into(), 1),
            ("rabbitmq.connect_limit_ms", self.connect_limit_ms, 100),
            ("rabbitmq.confirm_limit_ms", self.confirm_limit_ms, 100),
        ]
    }

    /// What of the rest cannot work.
    pub(super) fn mistake(&self) -> Option<String> {
        let settings = self.settings(1)?;
        settings.verify().err().map(|error| format!("rabbitmq: {error}"))
    }
}

impl Default for RabbitMq {
    fn default() -> Self {
        let settings = RabbitMqSettings::at(Vec::new());
        Self {
            addresses: BrokerAddresses::default(),
            queue_prefix: "orderwright.".to_owned(),
            queue_kind: QueueKindName::Quorum,
            local_first: true,
            namespace: "Orderwright.Contracts".to_owned(),
            delivery_limit: settings.delivery_limit,
            connect_limit_ms: super::millis(settings.connect_limit),
            confirm_limit_ms: super::millis(settings.confirm_limit),
            connection_name: PROGRAM.to_owned(),
        }
    }
}

fn harmless_texts(body: &[u8]) -> Cow<'_, [u8]> {
    harmless(body, Form { lines: Lines::Many, chars_max: TEXT_CHARS_MAX })
}

impl BrokerAddresses {
    /// The addresses with their passwords, for a process that we start.
    #[must_use]
    pub fn expose(&self) -> String {
        self.0.join(",")
    }

    /// Whether there is no broker.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Addresses behind one another, with commas between; an empty text is none.
impl From<&str> for BrokerAddresses {
    fn from(text: &str) -> Self {
        let addresses = text.split(',').map(str::trim).filter(|address| !address.is_empty());
        Self(addresses.map(str::to_owned).collect())
    }
}

impl fmt::Display for BrokerAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.0.iter().map(|address| seen(address)).collect();
        f.write_str(&shown.join(","))
    }
}

impl fmt::Debug for BrokerAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for BrokerAddresses {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|address| seen(address)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> RabbitMq {
        RabbitMq { addresses: text.into(), ..RabbitMq::default() }
    }

    #[test]
    fn no_password_of_any_address_is_shown() {
        let broker = at("amqp://u:open-sesame@one/v, amqp://u:open:sesame@two:5673/v");
        let odd = at(
            "amqp://sesame@h/v?heartbeat=7&frame_max=9000, amqp://h/v?password=sesame,amqp//u:sesame@h,u:sesame@h,amqp://u:sesame,se@h",
        );
        assert_eq!(
            odd.addresses.to_string(),
            "amqp://******@h/v?heartbeat=7&frame_max=9000,amqp://h/v?password=******,******,******,******,******"
        );
        let shown =
            [format!("{broker:?}"), broker.addresses.to_string(), toml::to_string(&broker).expect("a table")];
        for text in shown {
            assert!(
                !text.contains("sesame") && text.contains("one/v") && text.contains("two:5673"),
                "{text}"
            );
        }
        assert_eq!(broker.addresses.expose(), "amqp://u:open-sesame@one/v,amqp://u:open:sesame@two:5673/v");
    }

    #[test]
    fn without_an_address_there_is_no_broker() {
        for nothing in ["", " ", ","] {
            assert!(at(nothing).settings(1).is_none() && at(nothing).mistake().is_none(), "'{nothing}'");
        }
    }

    #[test]
    fn an_address_that_cannot_work_is_a_mistake_that_says_which() {
        let mistake =
            at("amqp://one/v,http://u:sesame@two/v").mistake().expect("that is no broker's address");
        assert!(mistake.contains("address 2") && !mistake.contains("sesame"), "{mistake}");
    }
    #[test]
    fn a_time_for_confirms_that_nobody_waits_for_is_a_mistake() {
        let patient = RabbitMq { confirm_limit_ms: 10_000, ..at("amqp://one/v") };
        let mistake = patient.mistake().expect("the relay gives up before");
        assert!(mistake.contains("confirm limit is 10s") && mistake.contains("give less"), "{mistake}");
        assert!(RabbitMq { confirm_limit_ms: 9_999, ..patient }.mistake().is_none());
    }
}
