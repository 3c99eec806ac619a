//! Notifies customers, and their systems, about orders. At least once, under the same id each time, so that a
//! receiver detects a repeat. No order waits for a notification.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::amount::Amount;

/// The kind of notification.
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
    /// It is cancelled, and any payment is refunded.
    #[serde(rename = "order.cancelled")]
    OrderCancelled,
}

impl NotificationKind {
    /// Its name in a webhook.
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

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The same for every attempt, and for every channel.
    pub id: Uuid,
    /// The kind of notification.
    pub kind: NotificationKind,
    /// The order that it is about.
    pub order_id: Uuid,
    /// The customer.
    pub customer_id: String,
    /// The mail address of the order's contact, if it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What it costs in all.
    pub total: Amount,
    /// When it happened.
    pub at: Timestamp,
    /// The carrier, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// The carrier's name for the parcel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
    /// Why it was cancelled, as a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A channel for notifications. Each is tried alone, so that one failing channel does not repeat the others.
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

/// The prefix of a webhook channel's name.
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

/// The result of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Delivered.
    Told,
    /// The receiver wants no more.
    Unwanted,
}

/// Why sending failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Untold {
    /// It may work later; the receiver may have said when.
    #[error("{why}")]
    Later {
        /// What went wrong.
        why: String,
        /// How long to wait at least.
        after: Option<Duration>,
    },
    /// It will never work.
    #[error("{why}")]
    Never {
        /// What is wrong.
        why: String,
    },
}

/// Sends notifications.
#[async_trait]
pub trait NotificationService: Send + Sync + 'static {
    /// Sends it through this channel. May be called again for a notification that was sent before.
    ///
    /// # Errors
    /// Why it was not sent.
    async fn tell(&self, notification: &Notification, channel: &Channel) -> Result<Said, Untold>;
}

/// Webhook receivers that want no more.
#[async_trait]
pub trait ClosedEndpoints: Send + Sync + 'static {
    /// Stores that this receiver wants no more. Returns whether that was new.
    ///
    /// # Errors
    /// Those of the store.
    async fn close_endpoint(&self, address: &str, reason: &str, now: Timestamp) -> Result<bool, bus::Fault>;

    /// Removes the mark and adds an audit entry, in one transaction. Returns whether there was a mark.
    ///
    /// # Errors
    /// Those of the store.
    async fn reopen_endpoint(&self, address: &str, actor: &str, now: Timestamp) -> Result<bool, bus::Fault>;

    /// All of them, with reason and time.
    ///
    /// # Errors
    /// Those of the store.
    async fn closed_endpoints(&self) -> Result<Vec<(String, String, Timestamp)>, bus::Fault>;
}
