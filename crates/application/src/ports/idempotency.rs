//! Whose a client's key is, and what was answered under it. A key belongs to its caller and to its operation: two callers may
//! choose the same text, and one caller may use it for two different things.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bus::Fault;
use domain::{Money, OrderId};
use jiff::Timestamp;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Caller {
    id: Arc<str>,
    source: Arc<str>,
}

impl Caller {
    /// Stands in a record that was made before records knew their caller: it may be anybody's.
    pub const ANYBODY: &'static str = "*";

    /// The caller with the API key of this id and this name.
    #[must_use]
    pub const fn new(id: Arc<str>, name: Arc<str>) -> Self {
        Self { id, source: name }
    }

    /// Everybody who asks without a key, on a service that needs none: they are one caller.
    #[must_use]
    pub fn without_key() -> Self {
        static NOBODY: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(""));
        Self { id: Arc::clone(&NOBODY), source: Arc::clone(&NOBODY) }
    }

    /// Whose an idempotency key is: the id of the API key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whose an external reference is: the name of the API key, so that a new key of the same name goes on where the old one
    /// has ended.
    #[must_use]
    pub const fn source(&self) -> &Arc<str> {
        &self.source
    }
}

/// What was answered when an order was accepted. The answer itself follows from the order's unchanging part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// The client's key.
    pub key: String,
    /// Whose it is: [`Caller::id`], or [`Caller::ANYBODY`].
    pub caller: Arc<str>,
    /// Digest of the request's meaning; tells another request under the same key.
    pub request_digest: [u8; 32],
    /// The order that it made.
    pub order_id: OrderId,
    /// The total that was answered.
    pub total: Money,
    /// When.
    pub created_at: Timestamp,
}

/// The key of a request that is no new order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// Who asks.
    pub caller: Caller,
    /// For what, by the name of the operation.
    pub operation: &'static str,
    /// The client's key.
    pub key: String,
    /// Digest of what is asked for; tells another request under the same key.
    pub digest: [u8; 32],
}

/// An answer as it is kept and given again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its HTTP status.
    pub status: u16,
    /// Its body, JSON.
    pub body: Vec<u8>,
}

/// An answer that was given under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Digest of what was asked for.
    pub digest: [u8; 32],
    /// What was answered.
    pub answer: Answer,
}

/// What was answered under an idempotency key.
#[async_trait]
pub trait IdempotencyRepository: Send {
    /// The records of those `keys` that are known, whoever's they are.
    async fn find(&mut self, keys: &[String]) -> Result<Vec<IdempotencyRecord>, Fault>;

    /// Adds records. A conflict if a key of the same caller is known already.
    async fn insert(&mut self, records: &[IdempotencyRecord]) -> Result<(), Fault>;

    /// What was answered under this key, of this caller and for this operation.
    async fn kept(&mut self, key: &RequestKey) -> Result<Option<KeptAnswer>, Fault>;

    /// Keeps an answer. A conflict if there is one.
    async fn keep(&mut self, key: &RequestKey, answer: &Answer, at: Timestamp) -> Result<(), Fault>;
}
