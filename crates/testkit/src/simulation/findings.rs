//! What was found wrong. Collected during a run by whoever sees it; judged by nobody but the reader.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Findings kept of one run; the first are the interesting ones.
const FINDINGS_MAX: usize = 20;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which of the six invariants; 0 for what is wrong with the run itself.
    pub invariant: u8,
    /// The order, product or part that it is about.
    pub subject: String,
    /// What is wrong.
    pub detail: String,
    /// What happened to the order, one line each.
    pub timeline: Vec<String>,
}

impl Finding {
    /// A finding without a timeline.
    #[must_use]
    pub fn of(invariant: u8, subject: &str, detail: impl Into<String>) -> Self {
        Self { invariant, subject: subject.to_owned(), detail: detail.into(), timeline: Vec::new() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {} is broken for {}: {}", self.invariant, self.subject, self.detail)?;
        self.timeline.iter().try_for_each(|line| write!(f, "\n      {line}"))
    }
}

/// The findings of one run.
#[derive(Debug, Default)]
pub(super) struct Findings(Mutex<Vec<Finding>>);

impl Findings {
    pub(super) fn add(&self, finding: Finding) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() < FINDINGS_MAX {
            found.push(finding);
        }
    }

    pub(super) fn all(&self) -> Vec<Finding> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
