//! The client's key of a request: read, digested with what it belongs to, and held while the request is under way, so that
//! its twin is told to come again. What was answered before is the store's to know, not this room's.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

use application::validators::KEY_BYTES_MAX;
use foldhash::fast::RandomState;
use http::HeaderMap;
use sha2::{Digest, Sha256};

use super::problem::{Code, Problem};

const SHARDS: usize = 64;

/// The keys of the requests that are under way.
#[derive(Debug)]
pub struct InFlightKeys {
    hasher: RandomState,
    shards: [Mutex<HashSet<Box<str>, RandomState>>; SHARDS],
}

/// Holds a key until it is dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    shard: &'a Mutex<HashSet<Box<str>, RandomState>>,
    key: &'a str,
}

impl Default for InFlightKeys {
    fn default() -> Self {
        let hasher = RandomState::default();
        Self { shards: std::array::from_fn(|_| Mutex::new(HashSet::with_hasher(hasher.clone()))), hasher }
    }
}

impl InFlightKeys {
    /// Holds the key, unless somebody holds it already.
    pub(super) fn hold<'a>(&'a self, key: &'a str) -> Result<Held<'a>, Problem> {
        let shard = &self.shards[self.hasher.hash_one(key) as usize % SHARDS];
        if locked(shard).insert(Box::from(key)) {
            Ok(Held { shard, key })
        } else {
            let detail =
                "a request with the same Idempotency-Key is being served; its answer is there in a moment";
            Err(Problem::new(Code::RequestInProgress, detail).retry_after_s(1))
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        locked(self.shard).remove(self.key);
    }
}

/// A set of keys stays whole whatever its last holder did.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The key of a request.
pub(super) fn key(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        let detail = "send an Idempotency-Key, a text of your own choosing that is new for each order";
        return Err(Problem::new(Code::IdempotencyKeyMissing, detail));
    };
    let allowed = |key: &&str| (1..=KEY_BYTES_MAX).contains(&key.len());
    match value.to_str().ok().filter(allowed) {
        Some(key) if values.next().is_none() => Ok(key),
        Some(_) | None => {
            let detail = format!("one key of 1 to {KEY_BYTES_MAX} printable ASCII characters is taken");
            Err(Problem::new(Code::IdempotencyKeyInvalid, detail))
        }
    }
}

/// Digest of a request's meaning: two requests that differ have another.
pub(super) fn digest(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_held_once_and_is_free_again_afterwards() {
        let keys = InFlightKeys::default();
        let held = keys.hold("a").expect("free");
        assert_eq!(
            keys.hold("a").map(|_| ()).map_err(|problem| problem.code()),
            Err(Code::RequestInProgress)
        );
        assert!(keys.hold("b").is_ok());
        drop(held);
        assert!(keys.hold("a").is_ok());
    }

    #[test]
    fn keys_that_are_missing_empty_doubled_or_too_long_are_refused() {
        let mut headers = HeaderMap::new();
        let code = |headers: &HeaderMap| key(headers).map(str::to_owned).map_err(|problem| problem.code());
        assert_eq!(code(&headers), Err(Code::IdempotencyKeyMissing));
        for refused in ["", &"k".repeat(256)] {
            headers.insert("idempotency-key", refused.parse().expect("a header"));
            assert_eq!(code(&headers), Err(Code::IdempotencyKeyInvalid), "{refused:?}");
        }
        headers.insert("idempotency-key", "k".parse().expect("a header"));
        assert_eq!(code(&headers), Ok("k".to_owned()));
        headers.append("idempotency-key", "l".parse().expect("a header"));
        assert_eq!(code(&headers), Err(Code::IdempotencyKeyInvalid));
    }
}
