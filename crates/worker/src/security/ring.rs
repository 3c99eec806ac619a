//! The valid keys, in memory: a request is checked without a query. The ring is refreshed every few seconds; that
//! long a revoked key may still work.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use application::ports::{ApiKey, ApiKeys, Scope, Scopes};
use bus::{Clock, Fault, Stop};
use jiff::Timestamp;
use subtle::ConstantTimeEq;

use super::key_text::{digest, split};

/// Keys held in memory; more are refused when they are made.
pub const KEYS_MAX: usize = 10_000;

/// The id of the key that the configuration names.
const CONFIGURED: &str = "configured";

/// Whose key it is and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The part of the key that is no secret.
    pub id: Arc<str>,
    /// What it was called when it was made.
    pub name: Arc<str>,
    /// What it may do.
    pub scopes: Scopes,
}

struct Known {
    identity: Identity,
    digest: [u8; 32],
    expires_at: Option<Timestamp>,
}

/// The keys in force.
pub struct KeyRing {
    keys: RwLock<Arc<HashMap<String, Known>>>,
    configured: Option<Known>,
    any: AtomicBool,
}

impl KeyRing {
    /// A ring with the configured key, if there is one, and no others yet.
    #[must_use]
    pub fn new(configured: Option<&str>) -> Self {
        let configured = configured.map(|text| Known {
            identity: Identity {
                id: CONFIGURED.into(),
                name: CONFIGURED.into(),
                scopes: [Scope::Admin].into_iter().collect(),
            },
            digest: digest(text),
            expires_at: None,
        });
        let any = AtomicBool::new(configured.is_some());
        Self { keys: RwLock::default(), configured, any }
    }

    /// Whether there is, or ever was, a key: from the first one on every caller needs one. A revoked key counts, so
    /// that revoking the last one opens nothing.
    #[must_use]
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Whose key this text is, if it is one that is in force.
    #[must_use]
    pub fn identify(&self, text: &str, now: Timestamp) -> Option<Identity> {
        let Some((id, secret)) = split(text) else { return self.configured(text) };
        let keys = Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        let known = keys.get(id).filter(|known| known.expires_at.is_none_or(|end| now < end))?;
        let same = bool::from(known.digest.ct_eq(&digest(secret)));
        same.then(|| known.identity.clone())
    }

    /// The caller whose key has this id, and what proves that it is the same key still, if it is in force.
    pub(super) fn of_id(&self, id: &str, now: Timestamp) -> Option<(Identity, [u8; 32])> {
        if let Some(known) = self.configured.as_ref().filter(|known| *known.identity.id == *id) {
            return Some((known.identity.clone(), known.digest));
        }
        let keys = Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        let known = keys.get(id).filter(|known| known.expires_at.is_none_or(|end| now < end))?;
        Some((known.identity.clone(), known.digest))
    }

    fn configured(&self, text: &str) -> Option<Identity> {
        let known = self.configured.as_ref()?;
        let same = bool::from(known.digest.ct_eq(&digest(text)));
        same.then(|| known.identity.clone())
    }

    /// Takes over what the store has.
    pub fn refresh(&self, stored: &[ApiKey]) {
        let valid = stored.iter().filter(|key| key.revoked_at.is_none());
        let keys: HashMap<String, Known> = valid
            .map(|key| {
                let (id, name) = (key.id.as_str().into(), key.name.as_str().into());
                let identity = Identity { id, name, scopes: key.scopes };
                (key.id.clone(), Known { identity, digest: key.digest, expires_at: key.expires_at })
            })
            .collect();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        self.any.store(self.configured.is_some() || !stored.is_empty(), Ordering::Release);
    }
}

/// Keeps a ring up to date.
pub struct KeyRingService {
    store: Arc<dyn ApiKeys>,
    ring: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    pause: Duration,
}

impl KeyRingService {
    /// Reads the store's keys into this ring, again after each pause.
    #[must_use]
    pub fn new(store: Arc<dyn ApiKeys>, ring: Arc<KeyRing>, clock: Arc<dyn Clock>, pause: Duration) -> Self {
        Self { store, ring, clock, pause }
    }

    /// Reads them once. Returns the number of valid keys.
    ///
    /// # Errors
    /// Those of the store; the ring stays as it is.
    pub async fn step(&self) -> Result<usize, Fault> {
        let keys = self.store.keys(KEYS_MAX).await?;
        self.ring.refresh(&keys);
        let now = self.clock.now();
        Ok(keys.iter().filter(|key| key.is_valid(now)).count())
    }

    /// Reads them again and again. While the store is away, the keys last read stay in force.
    pub async fn run(self: Arc<Self>, stop: Stop) {
        while !stop.is_stopped() {
            stop.sleep(self.pause).await;
            if let Err(fault) = self.step().await {
                tracing::warn!(%fault, "the keys cannot be read; those known stay in force");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::KeyText;
    use super::*;

    fn key(number: u8) -> (KeyText, ApiKey) {
        let text = KeyText::make(|bytes| {
            bytes.fill(number);
            Ok::<(), ()>(())
        });
        let text = text.expect("it was filled");
        let stored = ApiKey {
            id: text.id().to_owned(),
            name: "a caller".to_owned(),
            digest: text.digest(),
            scopes: [Scope::OrdersRead].into_iter().collect(),
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            revoked_at: None,
        };
        (text, stored)
    }

    #[test]
    fn a_key_lets_in_from_when_it_is_read_until_it_is_revoked_or_past_its_time() {
        let ring = KeyRing::new(None);
        let now = Timestamp::UNIX_EPOCH;
        let (text, mut stored) = key(1);
        let other = key(2).0.expose();
        assert!(!ring.any() && ring.identify(&text.expose(), now).is_none());
        ring.refresh(&[stored.clone()]);
        let identity = ring.identify(&text.expose(), now).expect("it is in force");
        assert_eq!((&*identity.id, identity.scopes), (text.id(), stored.scopes));
        let forged = format!("ow_{}_{}", text.id(), &other[other.len() - 43..]);
        for wrong in [other.as_str(), &forged, "", "Bearer"] {
            assert_eq!(ring.identify(wrong, now), None, "{wrong}");
        }
        stored.expires_at = Some(now);
        ring.refresh(&[stored.clone()]);
        assert_eq!(ring.identify(&text.expose(), now), None);
        stored = ApiKey { expires_at: None, revoked_at: Some(now), ..stored };
        ring.refresh(&[stored]);
        assert!(ring.any() && ring.identify(&text.expose(), now).is_none());
    }

    #[test]
    fn the_configured_key_may_do_everything() {
        let ring = KeyRing::new(Some("a key of a deployment, long enough"));
        ring.refresh(&[]);
        assert!(ring.any());
        let identity = ring.identify("a key of a deployment, long enough", Timestamp::UNIX_EPOCH);
        assert!(identity.is_some_and(|identity| identity.scopes.allow(Scope::Operate)));
        assert_eq!(ring.identify("another key, also long enough", Timestamp::UNIX_EPOCH), None);
    }
}
