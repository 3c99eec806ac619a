//! Removes secrets from text output: everything before the `@` of an address, and what follows words such as
//! `password=`. The last line of defence over all text that leaves this program; code that holds a secret hides it by
//! itself.

use std::borrow::Cow;
use std::io::{self, Write};

/// Replaces a secret.
pub const STARS: &str = "******";

/// Words whose value after `=` is a secret.
const TELLING: [&str; 7] = ["password=", "passwd=", "pwd=", "secret=", "token=", "api_key=", "access_key="];

/// What our own words say of the form of an address.
const FORM: &str = "user:password";

/// The text without user parts of addresses and values of telling words.
#[must_use]
pub fn conceal(text: &str) -> Cow<'_, str> {
    if !is_suspicious(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(without_values(&without_bare_users(&without_user_parts(text))))
}

fn is_suspicious(bytes: &[u8]) -> bool {
    bytes.contains(&b'@') && bytes.contains(&b':') || has_telling_word(bytes)
}

fn has_telling_word(bytes: &[u8]) -> bool {
    bytes.contains(&b'=')
        && TELLING
            .iter()
            .any(|word| bytes.windows(word.len()).any(|at| at.eq_ignore_ascii_case(word.as_bytes())))
}

/// Whether an address ends before this character.
const fn ends(c: char) -> bool {
    c.is_ascii_whitespace() || matches!(c, '"' | '\'' | '\\' | '<' | '>' | '`')
}

fn without_user_parts(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(ends).unwrap_or(after.len());
        // There may be several addresses, separated by commas.
        let end = after[..end].find("://").map_or(end, |next| after[..next].rfind(',').unwrap_or(end));
        let (address, left) = after.split_at(end);
        shown.push_str(&without_user_part(address));
        rest = left;
    }
    shown.push_str(rest);
    shown
}

/// The last `@` counts, so that none of a password shows that was not escaped.
fn without_user_part(address: &str) -> Cow<'_, str> {
    let Some(at) = address.rfind('@') else { return Cow::Borrowed(address) };
    let user = &address[..at];
    if user == FORM || user.ends_with(STARS) {
        return Cow::Borrowed(address);
    }
    Cow::Owned(format!("{STARS}{}", &address[at..]))
}

/// What is written like `user:password@host`, as where the beginning of an address was forgotten or mistyped.
fn without_bare_users(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for word in text.split_inclusive(ends) {
        let user = word.rfind('@').map(|at| &word[..at]).filter(|user| user.contains(':'));
        match user.filter(|user| !(user.ends_with(FORM) || user.ends_with(STARS))) {
            Some(user) => {
                shown.push_str(STARS);
                shown.push_str(&word[user.len()..]);
            }
            None => shown.push_str(word),
        }
    }
    shown
}

fn without_values(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, word)) = first_word(rest) {
        let (before, after) = rest.split_at(at + word.len());
        shown.push_str(before);
        shown.push_str(STARS);
        rest = &after[value_length(after)..];
    }
    shown.push_str(rest);
    shown
}

/// Where the first telling word begins, and which one it is.
fn first_word(text: &str) -> Option<(usize, &'static str)> {
    let found = |word: &&'static str| {
        let at =
            text.as_bytes().windows(word.len()).position(|at| at.eq_ignore_ascii_case(word.as_bytes()))?;
        Some((at, *word))
    };
    TELLING.iter().filter_map(found).min()
}

/// How far a value goes: to the closing quote if it has one, else to what cannot be part of one.
fn value_length(text: &str) -> usize {
    if let Some(quoted) = text.strip_prefix('\'')
        && let Some(end) = quoted.find('\'')
    {
        return end + 2;
    }
    text.find(|c: char| ends(c) || matches!(c, '&' | ';')).unwrap_or(text.len())
}

/// Writes without secrets. Each message arrives in one piece.
#[derive(Debug)]
pub struct Concealing<W>(pub W);

impl<W: Write> Write for Concealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if is_suspicious(bytes) {
            self.0.write_all(conceal(&String::from_utf8_lossy(bytes)).as_bytes())?;
        } else {
            self.0.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Panic messages are written without secrets, too.
pub fn hush_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let words = panic.to_string();
        let trace = std::backtrace::Backtrace::capture();
        let is_known = trace.status() == std::backtrace::BacktraceStatus::Captured;
        let trace = if is_known { format!("\n{trace}") } else { String::new() };
        let _ = writeln!(io::stderr(), "{}{}", conceal(&words), conceal(&trace));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_before_the_at_of_an_address_and_nothing_behind_a_telling_word_is_shown() {
        for (written, shown) in [
            ("no answer at http://me:hush@host/x", "no answer at http://******@host/x"),
            ("'https://hush@host' is odd", "'https://******@host' is odd"),
            ("amqp://a:hush@one/v,amqp://b:hu@sh@two", "amqp://******@one/v,amqp://******@two"),
            ("postgres://me:hu/s?h@host/db", "postgres://******@host/db"),
            ("{\"url\":\"http://h/x\",\"to\":\"a@b\"}", "{\"url\":\"http://h/x\",\"to\":\"a@b\"}"),
            (
                "unexpected argument 'host=h password=hush' found",
                "unexpected argument 'host=h password=******' found",
            ),
            ("host=h PASSWORD='hu sh' dbname=d", "host=h PASSWORD=****** dbname=d"),
            ("https://h/x?token=hush&a=b", "https://h/x?token=******&a=b"),
            ("write postgres://user:password@host/database", "write postgres://user:password@host/database"),
            ("postgres://me:******@host", "postgres://me:******@host"),
            ("'me:hush@host' and postgres//me:hu@sh@host/db", "'******@host' and ******@host/db"),
            ("told a@b at 12:30:00", "told a@b at 12:30:00"),
            ("nothing to hide", "nothing to hide"),
        ] {
            assert_eq!(conceal(written), shown);
            let mut out = Vec::new();
            Concealing(&mut out).write_all(written.as_bytes()).expect("memory takes it");
            assert_eq!(String::from_utf8_lossy(&out), shown);
        }
    }
}
