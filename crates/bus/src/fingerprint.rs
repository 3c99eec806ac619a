//! What dead letters of one cause have in common: queue, kind, and the error without what differs from one message to the
//! next. Pure; knows no store.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

/// Characters of a pattern; what differs behind them is not told apart.
const PATTERN_CHARS_MAX: usize = 300;

/// Stands for an id, a number or a time.
const NUMBER: char = '#';

/// Stands for a quoted text.
const QUOTED: &str = "'…'";

/// Dead letters that are read for a list of groups; beyond them counts are lower bounds.
pub const GROUPED_MAX: usize = 10_000;

/// The key of a group of dead letters: stable over time, processes and stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKey(u64);

impl GroupKey {
    /// The group of a dead letter of this queue and kind with this error.
    #[must_use]
    pub fn of(queue: &str, kind: &str, reason: &str) -> Self {
        let pattern = reason_pattern(reason);
        let parts = [queue, "\n", kind, "\n", pattern.as_str()];
        Self(parts.iter().flat_map(|part| part.bytes()).fold(FNV_OFFSET, fnv_1a))
    }

    /// The key as a store keeps it.
    #[must_use]
    pub const fn to_stored(self) -> i64 {
        self.0.cast_signed()
    }

    /// The key that a store has kept.
    #[must_use]
    pub const fn from_stored(stored: i64) -> Self {
        Self(stored.cast_unsigned())
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// One step of FNV-1a with 64 bits. The hash of the standard library may change with it; a key must not.
const fn fnv_1a(hash: u64, byte: u8) -> u64 {
    (hash ^ byte as u64).wrapping_mul(0x0100_0000_01b3)
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A text that is no [`GroupKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key of a group has 16 hexadecimal digits, as the list of groups shows it")]
pub struct NoGroupKey;

impl FromStr for GroupKey {
    type Err = NoGroupKey;

    fn from_str(text: &str) -> Result<Self, NoGroupKey> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex {
            return Err(NoGroupKey);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| NoGroupKey)
    }
}

/// Dead letters of one queue, one kind and one pattern of error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterGroup {
    /// Its key.
    pub key: GroupKey,
    /// The queue.
    pub queue: String,
    /// The kind of message.
    pub kind: String,
    /// The error without what differs.
    pub pattern: String,
    /// How many were read.
    pub count: u64,
    /// The position of one of them, the latest.
    pub sample: i64,
    /// When the first of those was set aside.
    pub first_died_at: Timestamp,
    /// When the last of those was set aside.
    pub last_died_at: Timestamp,
}

/// A list of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterGroups {
    /// The groups, the most numerous first, then the one that has the latest position.
    pub groups: Vec<DeadLetterGroup>,
    /// Whether there are dead letters that were not read, so that counts are lower bounds and groups may be missing: a list
    /// reads the latest [`GROUPED_MAX`].
    pub is_partial: bool,
    /// Whether there are more groups than were asked for.
    pub has_more: bool,
}

/// An error without what differs from one message to the next: ids, numbers and times are `#`, quoted texts are `'…'`.
///
/// ```
/// # use orderwright_bus as bus;
/// let reason = "cups.read failed: no cup 'A-17' after 3 tries at 2026-03-04T09:00:00Z";
/// assert_eq!(bus::reason_pattern(reason), "cups.read failed: no cup '…' after # tries at #");
/// ```
#[must_use]
pub fn reason_pattern(reason: &str) -> String {
    let mut pattern = String::with_capacity(reason.len().min(PATTERN_CHARS_MAX * 4));
    let mut rest = reason;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        if let Some(length) = quoted(rest, before) {
            pattern.push_str(QUOTED);
            (before, rest) = (first, &rest[length..]);
        } else if first.is_alphanumeric() {
            let length = word(rest);
            push_word(&mut pattern, &rest[..length]);
            (before, rest) = ('a', &rest[length..]);
        } else {
            pattern.push(if first.is_whitespace() { ' ' } else { first });
            (before, rest) = (first, &rest[first.len_utf8()..]);
        }
    }
    match pattern.char_indices().nth(PATTERN_CHARS_MAX) {
        Some((end, _)) => pattern[..end].to_owned(),
        None => pattern,
    }
}

/// Bytes of the quoted text that this text begins with. An apostrophe within a word is no quote.
fn quoted(text: &str, before: char) -> Option<usize> {
    let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"' | '`'))?;
    if before.is_alphanumeric() {
        return None;
    }
    let ends = |(at, _): &(usize, &str)| {
        text[at + 1..].chars().next().is_none_or(|behind| !behind.is_alphanumeric())
    };
    let (end, _) = text.match_indices(quote).skip(1).find(ends)?;
    Some(end + 1)
}

/// Bytes of the word that this text begins with: letters and digits, and what joins them in ids, times and addresses.
fn word(text: &str) -> usize {
    let mut end = 0;
    for (at, character) in text.char_indices() {
        if character.is_alphanumeric() {
            end = at + character.len_utf8();
        } else if !matches!(character, '-' | '_' | ':' | '.' | '+' | '@') || at > end {
            break;
        }
    }
    end
}

/// Adds a word, as itself if it has no digit. Several numbers in a row, be they listed or apart, are one.
fn push_word(pattern: &mut String, word: &str) {
    if !word.contains(char::is_numeric) {
        pattern.push_str(word);
        return;
    }
    let bare = pattern.trim_end_matches([',', ' ']);
    if bare.ends_with(NUMBER) && bare.len() < pattern.len() {
        pattern.truncate(bare.len());
    } else {
        pattern.push(NUMBER);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_differs_from_message_to_message_is_left_out_and_words_stay() {
        for (reason, pattern) in [
            ("", ""),
            ("it makes no sense", "it makes no sense"),
            ("no order 0190f3a1-7c2b-7abc-8def-0123456789ab", "no order #"),
            ("order key-17_a: 503 after 12ms", "order #: # after #"),
            ("a.b failed at 2026-03-04T09:00:00.5Z: x", "a.b failed at #: x"),
            ("at 10.0.0.7:5432, 10.0.0.8:5432 and [::1]:5432", "at # and [::#]:#"),
            ("no cup 'CHAI', but \"it's 'odd'\" or `so`", "no cup '…', but '…' or '…'"),
            ("it can't be, and won't", "it can't be, and won't"),
            ("an open 'quote", "an open 'quote"),
            ("rows 1, 2, 3 of 4", "rows # of #"),
            ("two\nlines\tof it", "two lines of it"),
            ("Größe 7Ä", "Größe #"),
            (r#"{"id":"7","n":[1,2]}"#, "{'…':'…','…':[#]}"),
        ] {
            assert_eq!(reason_pattern(reason), pattern, "{reason}");
        }
        assert_eq!(reason_pattern(&"ä ".repeat(1_000)).chars().count(), PATTERN_CHARS_MAX);
    }

    #[test]
    fn a_key_is_the_same_for_ever_and_differs_by_queue_kind_and_error() {
        let key = GroupKey::of("q", "K", "no order 7");
        assert_eq!(key.to_string(), "ca181adf9ca089d9");
        assert_eq!(key, GroupKey::of("q", "K", "no order 8"));
        for other in [
            GroupKey::of("r", "K", "no order 7"),
            GroupKey::of("q", "L", "no order 7"),
            GroupKey::of("q", "K", "no parcel 7"),
        ] {
            assert_ne!(key, other);
        }
        assert!("ca18".parse::<GroupKey>().is_err() && "+a181adf9ca089d9".parse::<GroupKey>().is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail_and_other_digits_make_no_other_pattern(text in "([a-c0-9'\", .:#-]|.){0,60}") {
            let pattern = reason_pattern(&text);
            prop_assert!(!pattern.contains(char::is_numeric));
            let other: String = text.chars().map(|one| if one.is_ascii_digit() { '7' } else { one }).collect();
            prop_assert_eq!(reason_pattern(&other), pattern);
        }

        #[test]
        fn a_key_is_read_as_it_was_written_and_kept(number: u64) {
            let key = GroupKey(number);
            prop_assert_eq!(key.to_string().parse(), Ok(key));
            prop_assert_eq!(GroupKey::from_stored(key.to_stored()), key);
        }
    }
}
