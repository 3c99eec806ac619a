//! Idempotency keys and their stored answers. A key belongs to its caller and operation: two callers may choose the
//! same text, and one caller may use it for two operations.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bus::Fault;
use domain::{Money, OrderId};
use jiff::Timestamp;

/// The caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Caller {
    id: Arc<str>,
    source: Arc<str>,
    purpose: Purpose,
}

/// Why a caller places orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Purpose {
    /// They are its own.
    Own,
    /// It brings in a file of another system's orders.
    Import,
}

/// How references of imported orders begin. Only imports may give such a reference, so that it is one order's whichever key
/// the import comes with.
pub const IMPORTED: &str = "import-";

impl Caller {
    /// The caller of records from before callers were stored; it matches every caller.
    pub const ANYBODY: &'static str = "*";

    /// The caller with the API key of this id and this name.
    #[must_use]
    pub const fn new(id: Arc<str>, name: Arc<str>) -> Self {
        Self { id, source: name, purpose: Purpose::Own }
    }

    /// All callers without a key, on a service that needs none: they are one caller.
    #[must_use]
    pub fn without_key() -> Self {
        static NOBODY: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(""));
        Self { id: Arc::clone(&NOBODY), source: Arc::clone(&NOBODY), purpose: Purpose::Own }
    }

    /// The same caller while it brings in a file. The source of its orders is the import, not the API key that happens to send
    /// them; their references name the mapping.
    #[must_use]
    pub fn importing(&self) -> Self {
        static IMPORT: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("import"));
        Self { id: Arc::clone(&self.id), source: Arc::clone(&IMPORT), purpose: Purpose::Import }
    }

    /// Whether it brings in a file.
    #[must_use]
    pub fn is_import(&self) -> bool {
        self.purpose == Purpose::Import
    }

    /// The owner of an idempotency key: the id of the API key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The source of an external reference: the name of the API key, so that a new key of the same name continues
    /// where the old one ended. All imports are one source.
    #[must_use]
    pub const fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// The caller as audit log and timeline name it where a request names no person: its key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match &*self.source {
            "" => "API",
            name => name,
        }
    }
}

/// The answer to an accepted order. Its text follows from the unchanging part of the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// The client's key.
    pub key: String,
    /// Its caller: [`Caller::id`], or [`Caller::ANYBODY`].
    pub caller: Arc<str>,
    /// Digest of the request's meaning; detects another request under the same key.
    pub request_digest: [u8; 32],
    /// The order it created.
    pub order_id: OrderId,
    /// The total in the answer.
    pub total: Money,
    /// When.
    pub created_at: Timestamp,
}

/// The key of a request that creates no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// The caller.
    pub caller: Caller,
    /// The name of the operation.
    pub operation: &'static str,
    /// The client's key.
    pub key: String,
    /// Digest of the request; detects another request under the same key.
    pub digest: [u8; 32],
}

/// A stored answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its HTTP status.
    pub status: u16,
    /// Its body, JSON.
    pub body: Vec<u8>,
}

/// An answer under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Digest of the request.
    pub digest: [u8; 32],
    /// What was answered.
    pub answer: Answer,
}

/// The answers stored under idempotency keys.
#[async_trait]
pub trait IdempotencyRepository: Send {
    /// The records of known `keys`, of any caller.
    async fn find(&mut self, keys: &[String]) -> Result<Vec<IdempotencyRecord>, Fault>;

    /// Adds records. A conflict if the same caller has used a key already.
    async fn insert(&mut self, records: &[IdempotencyRecord]) -> Result<(), Fault>;

    /// The answer under this key, caller and operation.
    async fn kept(&mut self, key: &RequestKey) -> Result<Option<KeptAnswer>, Fault>;

    /// Stores an answer. A conflict if there is one already.
    async fn keep(&mut self, key: &RequestKey, answer: &Answer, at: Timestamp) -> Result<(), Fault>;
}
