//! Parts that both formats read alike.

use bus::Envelope;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::WireError;

/// How far the clocks of two machines may be apart. A message is late only if it is by more than this, or a sender whose clock is behind
/// would not be heard at all.
const CLOCKS_APART_MAX: SignedDuration = SignedDuration::from_secs(10);

/// A message that was read, and until when it counts.
pub(super) struct Legible {
    pub(super) envelope: Envelope,
    pub(super) expires_at: Option<Timestamp>,
}

impl Legible {
    /// The message, unless its time has passed.
    pub(super) fn in_time(self, now: Timestamp) -> Result<Envelope, WireError> {
        let latest = |at: Timestamp| at.saturating_add(CLOCKS_APART_MAX).unwrap_or(Timestamp::MAX);
        match self.expires_at {
            Some(at) if latest(at) < now => Err(WireError::Expired { at }),
            Some(_) | None => Ok(self.envelope),
        }
    }
}

/// An id, if there is one and it is one.
pub(super) fn id_of(text: Option<&str>) -> Option<Uuid> {
    text?.parse().ok()
}

/// The error for a kind that nobody here wants.
pub(super) fn no_kind(offered: &str, kinds: &[&str]) -> WireError {
    WireError::NoKind { offered: offered.to_owned(), wanted: kinds.join(", ") }
}

/// A media type without its parameters.
pub(super) fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a media type is that of JSON, or of something that is JSON.
pub(super) fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

/// Stores keep microseconds; finer times would change by being stored.
pub(super) fn micros(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}
