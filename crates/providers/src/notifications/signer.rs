//! Signs webhooks by the rules of Standard Webhooks, with every secret that is in use while secrets change. Never shows one.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

/// Bytes of a secret, by the standard.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Signs with one or several secrets.
#[derive(Clone)]
pub struct Signer(Vec<Hmac<Sha256>>);

/// A text that cannot serve as a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the secret is not whsec_ and 24 to 64 bytes in base64; make one with: echo whsec_$(openssl rand -base64 32)"
)]
pub struct UnusableSecret;

impl Signer {
    /// Signs with these secrets, each `whsec_` and base64.
    ///
    /// # Errors
    /// If there is none, or one cannot be a secret.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Self, UnusableSecret> {
        let keys: Vec<_> = secrets.into_iter().map(key).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(UnusableSecret) } else { Ok(Self(keys)) }
    }

    /// The header `webhook-signature` for a body that is sent under this id at this second.
    #[must_use]
    pub fn sign(&self, id: &str, sent_at_s: i64, body: &[u8]) -> String {
        let signed = |key: &Hmac<Sha256>| {
            let mut mac = key.clone();
            for part in [id.as_bytes(), b".", sent_at_s.to_string().as_bytes(), b".", body] {
                mac.update(part);
            }
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        };
        self.0.iter().map(signed).collect::<Vec<_>>().join(" ")
    }
}

fn key(secret: &str) -> Result<Hmac<Sha256>, UnusableSecret> {
    let bytes = secret.strip_prefix("whsec_").and_then(|encoded| STANDARD.decode(encoded).ok());
    let bytes = bytes.filter(|bytes| SECRET_BYTES.contains(&bytes.len())).ok_or(UnusableSecret)?;
    Hmac::new_from_slice(&bytes).map_err(|_| UnusableSecret)
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("secrets", &self.0.len()).finish_non_exhaustive()
    }
}
