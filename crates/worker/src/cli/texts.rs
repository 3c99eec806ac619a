//! Texts on the command line that are kept: as free as those of the API, and no freer. And how many of a listing are shown.

use std::num::NonZeroUsize;

use domain::text::{Lines, refuse};

use crate::http::{NOTE_BYTES_MAX, TEXT_BYTES_MAX, key_text};

/// A name or a reason.
pub(super) fn line(text: &str) -> Result<String, String> {
    fit(text, Lines::One, TEXT_BYTES_MAX)
}

/// What somebody has to say.
pub(super) fn note(text: &str) -> Result<String, String> {
    fit(text, Lines::Many, NOTE_BYTES_MAX)
}

/// A key under which something is done once.
pub(super) fn key(text: &str) -> Result<String, String> {
    key_text(text).map(str::to_owned)
}

fn fit(text: &str, lines: Lines, bytes_max: usize) -> Result<String, String> {
    if text.len() > bytes_max {
        return Err(format!("at most {bytes_max} bytes, this has {}", text.len()));
    }
    refuse(text, lines).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// How many at most: one at least.
pub(super) fn count(text: &str) -> Result<usize, String> {
    text.parse::<NonZeroUsize>()
        .map(NonZeroUsize::get)
        .map_err(|_| "must be a whole number from 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_holds_no_controls_and_is_of_bounded_length() {
        assert_eq!(line("Zoë"), Ok("Zoë".to_owned()));
        assert_eq!(note("first\nsecond"), Ok("first\nsecond".to_owned()));
        assert!(line("first\nsecond").is_err() && note("\u{1b}[2J").is_err());
        assert!(line(&"x".repeat(201)).is_err() && note(&"x".repeat(4_001)).is_err());
    }
}
