//! Standard error for logs: received text cannot control a terminal.

use std::io::{self, IsTerminal, Write};

use domain::text::{Lines, shown};
use tracing_subscriber::fmt::MakeWriter;

/// Standard error for a log, of which each line is written at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogWriter {
    /// Whatever moves a terminal is spelled out.
    Plain,
    /// The log's own colours are let through; its fields must be harmless already.
    Coloured,
}

/// Whether standard error may be coloured.
pub(crate) fn has_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

impl MakeWriter<'_> for LogWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut stream = io::stderr().lock();
        match self {
            Self::Coloured => stream.write_all(line)?,
            Self::Plain => {
                let text = String::from_utf8_lossy(line);
                stream.write_all(shown(&text, Lines::Many).as_bytes())?;
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
