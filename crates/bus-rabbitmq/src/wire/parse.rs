//! Parts that both formats read alike.

use jiff::Timestamp;
use uuid::Uuid;

use super::WireError;

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
