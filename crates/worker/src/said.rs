//! Output on standard output and standard error. A reader that goes away early, as `head` does, is no failure: the
//! rest is dropped, and the command runs to its end. Any other write error, such as a full disk, is reported when the
//! command ends. Nothing else in this program prints.

use std::borrow::Cow;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

use domain::text::{Lines, shown};

use crate::conceal::conceal;

/// Why an answer could not be written.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Writes to standard output as `print!` does.
#[macro_export]
macro_rules! show {
    ($($words:tt)*) => { $crate::said::answer(::std::format_args!($($words)*)) };
}

/// Writes a line to standard output as `println!` does.
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => { $crate::said::line(::std::format_args!($($words)*)) };
}

/// Writes a line to standard error as `eprintln!` does.
#[macro_export]
macro_rules! tell {
    ($($words:tt)*) => { $crate::said::remark(::std::format_args!($($words)*)) };
}

/// Writes an answer, without a line break of its own.
pub fn answer(words: Arguments<'_>) {
    written(io::stdout().lock().write_all(harmless(words).as_bytes()));
}

/// Writes a line of an answer.
pub fn line(words: Arguments<'_>) {
    written(writeln!(io::stdout().lock(), "{}", harmless(words)));
}

/// Writes a line, if there is still a reader.
pub fn remark(words: Arguments<'_>) {
    // There is no reader left to report this to.
    let _ = writeln!(io::stderr().lock(), "{}", conceal(&harmless(words)));
}

/// The text with characters that control a terminal escaped, as in JSON.
fn harmless(words: Arguments<'_>) -> String {
    let words = words.to_string();
    match shown(&words, Lines::Many) {
        Cow::Borrowed(_) => words,
        Cow::Owned(spelled) => spelled,
    }
}

fn written(done: io::Result<()>) {
    match done.and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => drop(UNWRITTEN.set(error)),
        Ok(()) | Err(_) => {}
    }
}

/// The exit code of a command whose answer was to be written.
#[must_use]
pub fn ended(code: ExitCode) -> ExitCode {
    let Some(error) = UNWRITTEN.get() else { return code };
    remark(format_args!("error: the answer cannot be written: {error}"));
    ExitCode::FAILURE
}
