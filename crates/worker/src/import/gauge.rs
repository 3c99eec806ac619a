//! Shows how far long work has come: a bar on a terminal, a line now and then elsewhere, nothing for programs.
//! Always on standard error, so that the answer on standard output stays clean.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::tell;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Lines that the whole of a work may take where there is no terminal.
const LINES_MAX: u64 = 10;

/// Whether progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It is.
    Yes,
    /// It is not: a program reads the answer.
    No,
}

/// How far one work has come.
pub struct Gauge {
    bar: ProgressBar,
    name: &'static str,
    plain: Plain,
    told: AtomicU64,
}

/// Whether lines are written instead of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plain {
    Lines,
    Nothing,
}

impl Gauge {
    /// A gauge of its own.
    #[must_use]
    pub fn new(shown: Shown, name: &'static str, total: u64) -> Self {
        Self::among(&MultiProgress::new(), shown, name, total)
    }

    /// One of several gauges shown together.
    #[must_use]
    pub fn among(group: &MultiProgress, shown: Shown, name: &'static str, total: u64) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let (bar, plain) = match (shown, terminal) {
            (Shown::No, _) => (ProgressBar::hidden(), Plain::Nothing),
            (Shown::Yes, false) => (ProgressBar::hidden(), Plain::Lines),
            (Shown::Yes, true) => (group.add(ProgressBar::new(total)), Plain::Nothing),
        };
        bar.set_length(total);
        if let Ok(style) = ProgressStyle::with_template("{prefix:>12} {bar:40} {pos:>8} of {len} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(name);
        Self { bar, name, plain, told: AtomicU64::new(0) }
    }

    /// So many more are done.
    pub fn advance(&self, by: u64) {
        self.bar.inc(by);
        self.tell();
    }

    /// So many are done in all.
    pub fn set(&self, position: u64) {
        self.bar.set_position(position);
        self.tell();
    }

    /// Leaves the gauge as it stands.
    pub fn finish(&self) {
        self.bar.abandon();
    }

    fn tell(&self) {
        if self.plain == Plain::Nothing {
            return;
        }
        let (position, total) = (self.bar.position(), self.bar.length().unwrap_or(0).max(1));
        let step = position.saturating_mul(LINES_MAX) / total;
        if self.told.fetch_max(step, Ordering::Relaxed) < step {
            tell!("{}: {position} of {total}", self.name);
        }
    }
}
