//! Verifies webhooks by the rules of Standard Webhooks, over the raw bytes as they arrived. It never logs or shows a
//! secret, and its timing does not reveal how much of a signature was right.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use thiserror::Error;

use crate::limits;

/// Verifies signatures made with any of a few secrets.
#[derive(Clone)]
pub struct Verifier {
    keys: Vec<Hmac<Sha256>>,
    tolerance: Duration,
}

/// A text that cannot serve as a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidSecret {
    /// It is empty, so everybody could sign.
    #[error("the webhook secret is empty")]
    Empty,
    /// The text after `whsec_` is not base64.
    #[error("the webhook secret claims to be base64 (whsec_...) and is not")]
    NotBase64,
    /// Too many secrets at the same time.
    #[error("no more than {secrets_max} webhook secrets at the same time")]
    TooMany {
        /// How many are.
        secrets_max: usize,
    },
}

/// Why a webhook is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SignatureRefused {
    /// The id is empty, too long, or has characters that no id has.
    #[error("malformed webhook-id")]
    MalformedId,
    /// The time is not a whole number of seconds.
    #[error("malformed webhook-timestamp")]
    MalformedTimestamp,
    /// The time is too long ago: perhaps a replayed message.
    #[error("webhook-timestamp is too old")]
    TooOld,
    /// The time is too far ahead.
    #[error("webhook-timestamp is in the future")]
    TooNew,
    /// There is no signature of a known version.
    #[error("no v1 signature")]
    NoSignature,
    /// There are too many signatures.
    #[error("too many signatures")]
    TooManySignatures,
    /// No signature fits.
    #[error("no signature fits")]
    Mismatch,
}

impl Verifier {
    /// Verifies with one secret: `whsec_` and base64, or the secret itself.
    ///
    /// # Errors
    /// A text that cannot serve as a secret.
    pub fn new(secret: &str) -> Result<Self, InvalidSecret> {
        Ok(Self { keys: vec![key(secret)?], tolerance: limits::WEBHOOK_TOLERANCE })
    }

    /// Sets the allowed difference between the sender's time and ours.
    #[must_use]
    pub const fn tolerating(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Accepts another secret, for rotation.
    ///
    /// # Errors
    /// A text that cannot serve as a secret, or one secret too many.
    pub fn accepting(mut self, secret: &str) -> Result<Self, InvalidSecret> {
        if self.keys.len() == limits::SECRETS_MAX {
            return Err(InvalidSecret::TooMany { secrets_max: limits::SECRETS_MAX });
        }
        self.keys.push(key(secret)?);
        Ok(self)
    }

    /// Whether a holder of a secret sent this body under this id and time. The texts are the values of the headers
    /// `webhook-id`, `webhook-timestamp` and `webhook-signature`.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn verify(
        &self,
        id: &str,
        timestamp: &str,
        signature_header: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), SignatureRefused> {
        check_id(id)?;
        check_time(timestamp, now, self.tolerance)?;
        let signatures = signatures(signature_header)?;
        let fits = self.keys.iter().any(|key| {
            let signed = signed(key, id, timestamp, body);
            signatures.iter().any(|signature| signed.clone().verify_slice(signature).is_ok())
        });
        if fits { Ok(()) } else { Err(SignatureRefused::Mismatch) }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("secrets", &self.keys.len()).finish_non_exhaustive()
    }
}

fn key(secret: &str) -> Result<Hmac<Sha256>, InvalidSecret> {
    let key = match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| InvalidSecret::NotBase64)?,
        None => secret.as_bytes().to_vec(),
    };
    if key.is_empty() {
        return Err(InvalidSecret::Empty);
    }
    Ok(Hmac::new_from_slice(&key).expect("HMAC takes keys of any length"))
}

fn signed(key: &Hmac<Sha256>, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = key.clone();
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    mac
}

/// The signed parts are joined by dots, so an id with a dot could be read as another id with another time.
fn check_id(id: &str) -> Result<(), SignatureRefused> {
    let allowed = (1..=limits::WEBHOOK_ID_CHARS_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.');
    if allowed { Ok(()) } else { Err(SignatureRefused::MalformedId) }
}

fn check_time(timestamp: &str, now: Timestamp, tolerance: Duration) -> Result<(), SignatureRefused> {
    let digits = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let sent =
        timestamp.parse().ok().filter(|_| digits).and_then(|second| Timestamp::from_second(second).ok());
    let age = now.duration_since(sent.ok_or(SignatureRefused::MalformedTimestamp)?);
    let tolerance = SignedDuration::try_from(tolerance).unwrap_or(SignedDuration::MAX);
    match age {
        age if age > tolerance => Err(SignatureRefused::TooOld),
        age if age < -tolerance => Err(SignatureRefused::TooNew),
        _ => Ok(()),
    }
}

/// The signatures of the known version. One that cannot be decoded matches nothing and is not an error: another may
/// match.
fn signatures(header: &str) -> Result<Vec<Vec<u8>>, SignatureRefused> {
    let encoded: Vec<&str> = header.split(' ').filter_map(|one| one.strip_prefix("v1,")).collect();
    match encoded.len() {
        0 => Err(SignatureRefused::NoSignature),
        1..=limits::SIGNATURES_MAX => {
            Ok(encoded.iter().filter_map(|one| STANDARD.decode(one).ok()).collect())
        }
        _ => Err(SignatureRefused::TooManySignatures),
    }
}

#[cfg(test)]
mod tests;
