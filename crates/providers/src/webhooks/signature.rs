//! Verifies webhooks by the rules of Standard Webhooks, over the raw bytes as they arrived. Must never log or show a
//! secret, nor tell by its timing how much of a signature was right.

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
    /// It has no characters, so that anybody could sign.
    #[error("the webhook secret is empty")]
    Empty,
    /// What follows `whsec_` is no base64.
    #[error("the webhook secret claims to be base64 (whsec_...) and is not")]
    NotBase64,
    /// No more secrets are accepted side by side.
    #[error("no more than {secrets_max} webhook secrets at the same time")]
    TooMany {
        /// How many are.
        secrets_max: usize,
    },
}

/// Why a webhook is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SignatureRefused {
    /// The id is empty, too long, or has characters that no id has.
    #[error("malformed webhook-id")]
    MalformedId,
    /// The time is no whole number of seconds.
    #[error("malformed webhook-timestamp")]
    MalformedTimestamp,
    /// The time is too long ago: perhaps an old message, sent again.
    #[error("webhook-timestamp is too old")]
    TooOld,
    /// The time is too far ahead.
    #[error("webhook-timestamp is in the future")]
    TooNew,
    /// There is no signature of a version that is understood.
    #[error("no v1 signature")]
    NoSignature,
    /// More signatures than anybody would send.
    #[error("too many signatures")]
    TooManySignatures,
    /// There are signatures, and none fits.
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

    /// Believes times that are so far from ours, and no farther.
    #[must_use]
    pub const fn tolerating(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Accepts another secret beside those so far, while secrets are being rotated.
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

    /// Whether the body was sent, and under this id and time, by somebody who knows a secret. The texts are the values
    /// of the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`.
    ///
    /// # Errors
    /// Why it is not believed.
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

/// The parts are signed with dots between them, so that an id with a dot could be another id with another time.
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

/// The signatures of the version that is understood. One that cannot be decoded fits nothing, and is not an error:
/// another may fit.
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
