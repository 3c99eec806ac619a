//! What happened in a simulation, in order: as a hash that two runs of one seed must share, and in words for whoever asks.
//! It never influences what happens.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// Whether the words are wanted, or only their hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trace {
    /// Only the hash.
    #[default]
    Off,
    /// Every line, on standard output, as it happens.
    Printed,
}

/// The journal of one run.
#[derive(Debug)]
pub(super) struct Journal {
    started: Instant,
    trace: Trace,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    hash: u64,
    lines: u64,
}

impl Journal {
    /// An empty journal that starts now. Must be called within a tokio runtime.
    #[must_use]
    pub(super) fn new(trace: Trace) -> Self {
        let written = Written { hash: 0xCBF2_9CE4_8422_2325, lines: 0 };
        Self { started: Instant::now(), trace, written: Mutex::new(written) }
    }

    /// Notes what happened at this moment.
    pub(super) fn note(&self, what: fmt::Arguments<'_>) {
        let line = format!("{:>10.3} {what}", self.started.elapsed().as_secs_f64());
        if self.trace == Trace::Printed {
            println!("{line}");
        }
        let mut written = self.written();
        written.lines += 1;
        written.hash = line
            .bytes()
            .fold(written.hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
    }

    /// The hash of everything so far.
    #[must_use]
    pub(super) fn hash(&self) -> u64 {
        self.written().hash
    }

    /// How many lines there are.
    #[must_use]
    pub(super) fn lines(&self) -> u64 {
        self.written().lines
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
