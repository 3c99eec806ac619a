//! What a text from outside may contain: one rule for all senders and all stores. People and callers learn what is
//! wrong ([`refuse`]). Texts of a provider or a broker are kept and made harmless ([`clean`]). Texts stored before
//! the rule existed are shown harmless ([`shown`]). Two engines must never store two different texts.
//!
//! Forbidden is what controls a terminal, ends a log line, changes the direction of text, or cannot be stored
//! everywhere: U+0000 to U+001F, U+007F to U+009F, the line separators U+2028 and U+2029, and the direction controls.
//! A name (a SKU, a reference) is stricter: it has nothing invisible and is composed (NFC), so that what looks the
//! same is the same.

use std::borrow::Cow;
use std::fmt::{self, Write};

use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

/// Replaces a forbidden character.
pub const REPLACEMENT: char = '\u{fffd}';

/// Ends a text that was cut.
pub const CUT: char = '…';

/// How many lines a text may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// One: a name, a reason, a reference.
    One,
    /// Any number: a note, a description. May contain line feed, carriage return and tab.
    Many,
}

/// Why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidText {
    /// It is empty.
    #[error("must not be empty")]
    Empty,
    /// It is too long.
    #[error("is {chars} characters long, at most {chars_max} are allowed")]
    TooLong {
        /// How many characters it has.
        chars: usize,
        /// How many it may have.
        chars_max: usize,
    },
    /// It contains a forbidden character.
    #[error("has {} at position {position}, which may not stand there", CodePoint(*character))]
    ForbiddenCharacter {
        /// Where, counted in characters from zero.
        position: usize,
        /// Which.
        character: char,
    },
}

/// The name of a character that must not be shown itself: `U+001B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodePoint(pub char);

impl fmt::Display for CodePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "U+{:04X}", u32::from(self.0))
    }
}

impl Lines {
    /// Whether a text of this kind may contain this character.
    #[must_use]
    pub const fn allow(self, c: char) -> bool {
        match self {
            Self::One => !is_unfit(c),
            Self::Many => matches!(c, '\t' | '\n' | '\r') || !is_unfit(c),
        }
    }
}

/// Whether no text of one line may contain this character.
#[must_use]
pub const fn is_unfit(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

/// Whether this character is invisible, or looks like a space without being one.
#[must_use]
pub const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{a0}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{1680}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2000}'..='\u{200f}'
            | '\u{2028}'..='\u{202f}'
            | '\u{205f}'..='\u{206f}'
            | '\u{3000}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Refuses a text with a forbidden character.
///
/// # Errors
/// The first such character, and where it is.
pub fn refuse(text: &str, lines: Lines) -> Result<(), InvalidText> {
    refuse_unless(text, |_, c| lines.allow(c))
}

/// A name as it is stored: composed, 1 to `chars_max` printable characters, no space at either end.
///
/// # Errors
/// The first reason why it is not a name.
pub fn name(text: &str, chars_max: usize) -> Result<Cow<'_, str>, InvalidText> {
    let composed = composed(text);
    let chars = composed.chars().count();
    match chars {
        0 => return Err(InvalidText::Empty),
        chars if chars > chars_max => return Err(InvalidText::TooLong { chars, chars_max }),
        _ => {}
    }
    let inner = |at| at != 0 && at != chars - 1;
    refuse_unless(&composed, |at, c| {
        !is_unfit(c) && !is_invisible(c) && (!c.is_whitespace() || (c == ' ' && inner(at)))
    })?;
    Ok(composed)
}

/// The text composed (NFC), so that what looks the same is the same.
#[must_use]
pub fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || unicode_normalization::is_nfc(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    }
}

/// The text with [`REPLACEMENT`] for every forbidden character, cut to `chars_max` characters with [`CUT`] as the
/// last one.
#[must_use]
pub fn clean(text: &str, lines: Lines, chars_max: usize) -> Cow<'_, str> {
    let long = text.len() > chars_max && text.chars().nth(chars_max).is_some();
    if !long && text.chars().all(|c| lines.allow(c)) {
        return Cow::Borrowed(text);
    }
    let kept = if long { chars_max.saturating_sub(1) } else { chars_max };
    let cleaned = text.chars().take(kept).map(|c| if lines.allow(c) { c } else { REPLACEMENT });
    Cow::Owned(cleaned.chain(long.then_some(CUT)).collect())
}

/// [`clean`] for an owned text, which need not be copied.
#[must_use]
pub fn cleaned(text: String, lines: Lines, chars_max: usize) -> String {
    match clean(&text, lines, chars_max) {
        Cow::Borrowed(_) => text,
        Cow::Owned(cleaned) => cleaned,
    }
}

/// The text as a terminal or a log may show it: forbidden characters are escaped as in JSON, `\u001b`, so a JSON
/// document stays the same document.
#[must_use]
pub fn shown(text: &str, lines: Lines) -> Cow<'_, str> {
    if text.chars().all(|c| lines.allow(c)) {
        return Cow::Borrowed(text);
    }
    let mut spelled = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if lines.allow(c) => spelled.push(c),
            '\t' => spelled.push_str("\\t"),
            '\n' => spelled.push_str("\\n"),
            '\r' => spelled.push_str("\\r"),
            c => write!(spelled, "\\u{:04x}", u32::from(c)).expect("writing to a string works"),
        }
    }
    Cow::Owned(spelled)
}

pub(crate) fn refuse_unless(text: &str, allowed: impl Fn(usize, char) -> bool) -> Result<(), InvalidText> {
    match text.chars().enumerate().find(|&(at, c)| !allowed(at, c)) {
        Some((position, character)) => Err(InvalidText::ForbiddenCharacter { position, character }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOTH: [Lines; 2] = [Lines::One, Lines::Many];

    proptest! {
        #[test]
        fn what_was_cleaned_is_not_refused_and_cleaning_it_again_changes_nothing(text: String, chars_max in 1_usize..40) {
            for lines in BOTH {
                let once = clean(&text, lines, chars_max).into_owned();
                prop_assert_eq!(refuse(&once, lines), Ok(()));
                prop_assert!(once.chars().count() <= chars_max);
                prop_assert_eq!(clean(&once, lines, chars_max), once.as_str());
                prop_assert_eq!(cleaned(text.clone(), lines, chars_max), once);
            }
        }

        #[test]
        fn what_is_not_refused_is_neither_cleaned_nor_spelled_out(text: String) {
            for lines in BOTH {
                let fit = refuse(&text, lines).is_ok();
                prop_assert_eq!(fit, clean(&text, lines, usize::MAX) == text);
                prop_assert_eq!(fit, shown(&text, lines) == text);
                prop_assert_eq!(refuse(&shown(&text, lines), lines), Ok(()));
            }
        }

        #[test]
        fn a_name_is_its_own_name_and_fits_one_line(text in "\\PC{0,20}|.{0,20}") {
            if let Ok(known) = name(&text, 16) {
                prop_assert_eq!(name(&known, 16), Ok(Cow::Borrowed(&*known)));
                prop_assert_eq!(refuse(&known, Lines::One), Ok(()));
                prop_assert_eq!(known.trim(), &*known);
            }
        }
    }

    #[test]
    fn no_control_of_a_terminal_a_line_or_a_direction_is_fit() {
        for code_point in (0..0x20).chain(0x7f..0xa0).chain([0x61c, 0x200e, 0x200f, 0x2028, 0x2029]) {
            assert!(is_unfit(char::from_u32(code_point).expect("a character")), "{code_point:x}");
        }
        for code_point in (0x202a..=0x202e).chain(0x2066..=0x2069) {
            assert!(is_unfit(char::from_u32(code_point).expect("a character")), "{code_point:x}");
        }
        assert!(('\0'..=char::MAX).filter(|c| c.is_control()).all(is_unfit));
        for word in ["Café №5", "日本語", "عربى", "שלום", "نمی\u{200c}خواهم", "🇪🇺 👩\u{200d}🚀", "\u{fffd}"]
        {
            assert_eq!(refuse(word, Lines::One), Ok(()), "{word}");
        }
    }

    #[test]
    fn a_refusal_names_the_code_point_and_shows_nothing_of_it() {
        let error = refuse("a\u{1b}[2J", Lines::Many).unwrap_err();
        assert_eq!(error.to_string(), "has U+001B at position 1, which may not stand there");
        assert_eq!(shown("a\u{1b}[2J\nb", Lines::One), "a\\u001b[2J\\nb");
        assert_eq!(clean("a\0bcdef", Lines::One, 4), "a\u{fffd}b…");
    }

    #[test]
    fn names_that_look_the_same_are_the_same_and_none_is_invisible() {
        assert_eq!(name("Cafe\u{301}", 64).as_deref(), Ok("Café"));
        assert_eq!(name("茶-10 x 20", 64).as_deref(), Ok("茶-10 x 20"));
        assert_eq!(name("", 64), Err(InvalidText::Empty));
        assert_eq!(name("xxx", 2), Err(InvalidText::TooLong { chars: 3, chars_max: 2 }));
        for hidden in [" a", "a ", "a\u{200b}b", "a\u{a0}b", "\u{feff}a", "a\tb", "a\u{202e}b", "\u{3164}"] {
            assert!(matches!(name(hidden, 64), Err(InvalidText::ForbiddenCharacter { .. })), "{hidden:?}");
        }
    }
}
