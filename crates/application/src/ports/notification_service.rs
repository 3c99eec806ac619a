//! Telling customers, and systems of theirs, what became of an order. At least once, each time under the same id, so that who
//! is told twice can tell. Never on the way of an order: an order waits for nobody to be told.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::messages::Amount;

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotificationKind {
    /// It is paid for and will be shipped.
    #[serde(rename = "order.confirmed")]
    OrderConfirmed,
    /// The carrier has it.
    #[serde(rename = "order.shipped")]
    OrderShipped,
    /// The customer has it.
    #[serde(rename = "order.delivered")]
    OrderDelivered,
    /// It will not come, and what was paid is given back.
    #[serde(rename = "order.cancelled")]
    OrderCancelled,
}

impl NotificationKind {
    /// Its name, as it stands in a webhook.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrderConfirmed => "order.confirmed",
            Self::OrderShipped => "order.shipped",
            Self::OrderDelivered => "order.delivered",
            Self::OrderCancelled => "order.cancelled",
        }
    }
}

/// Something that somebody is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The same for every attempt, and for every channel.
    pub id: Uuid,
    /// What is told.
    pub kind: NotificationKind,
    /// The order that it is about.
    pub order_id: Uuid,
    /// Whose it is.
    pub customer_id: String,
    /// What it costs in all.
    pub total: Amount,
    /// When it happened.
    pub at: Timestamp,
    /// Who carries it, once somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// The carrier's name for the parcel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
    /// Why it was cancelled, as a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The way by which somebody is told. Each is tried on its own, so that one which is away does not repeat the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// A line in the log.
    Log,
    /// A line in a file.
    File,
    /// A mail.
    Smtp,
    /// A webhook to this address.
    Webhook(String),
}

/// How the name of a webhook's channel begins.
const WEBHOOK: &str = "webhook ";

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => f.write_str("log"),
            Self::File => f.write_str("file"),
            Self::Smtp => f.write_str("smtp"),
            Self::Webhook(address) => write!(f, "{WEBHOOK}{address}"),
        }
    }
}

impl FromStr for Channel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix(WEBHOOK)) {
            ("log", _) => Ok(Self::Log),
            ("file", _) => Ok(Self::File),
            ("smtp", _) => Ok(Self::Smtp),
            (_, Some(address)) => Ok(Self::Webhook(address.to_owned())),
            (other, None) => Err(format!("nobody is told by way of '{other}'")),
        }
    }
}

/// What came of telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The other side has it.
    Told,
    /// The other side has said that it wants no more.
    Unwanted,
}

/// Why somebody was not told.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Untold {
    /// It may work later; the other side may have said when.
    #[error("{why}")]
    Later {
        /// What went wrong.
        why: String,
        /// How long to wait at least.
        after: Option<Duration>,
    },
    /// It will not work, however often it is tried.
    #[error("{why}")]
    Never {
        /// What is wrong.
        why: String,
    },
}

/// Tells.
#[async_trait]
pub trait NotificationService: Send + Sync + 'static {
    /// Tells it by way of this channel. May be asked again for what was told before.
    ///
    /// # Errors
    /// Why it was not told.
    async fn tell(&self, notification: &Notification, channel: &Channel) -> Result<Said, Untold>;
}

/// Receivers of webhooks that want no more of them.
#[async_trait]
pub trait ClosedEndpoints: Send + Sync + 'static {
    /// Remembers that this receiver wants no more. Tells whether that is news.
    ///
    /// # Errors
    /// Those of the store.
    async fn close_endpoint(&self, address: &str, reason: &str, now: Timestamp) -> Result<bool, bus::Fault>;

    /// Forgets it again. Tells whether there was anything to forget.
    ///
    /// # Errors
    /// Those of the store.
    async fn reopen_endpoint(&self, address: &str) -> Result<bool, bus::Fault>;

    /// All of them with the reason and the moment.
    ///
    /// # Errors
    /// Those of the store.
    async fn closed_endpoints(&self) -> Result<Vec<(String, String, Timestamp)>, bus::Fault>;
}
