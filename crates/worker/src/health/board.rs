//! The results of the last round of checks. An old round is reported as old.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use super::{Finding, Status, Uses};

/// The last finding of every check.
#[derive(Debug, Default)]
pub struct HealthBoard {
    findings: Mutex<Findings>,
    uses: OnceLock<Uses>,
}

#[derive(Debug, Default)]
struct Findings {
    answers: Vec<Answer>,
    round: Option<Round>,
}

/// When the last round was over, and within what time the next should be.
#[derive(Clone, Copy, Debug)]
struct Round {
    ended_at: Instant,
    patience: Duration,
}

/// The name of the check that reports missing rounds.
const ROUNDS: &str = "health-service";

/// The last finding of one check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The check.
    pub name: &'static str,
    /// `up`, `degraded` or `down`.
    pub status: &'static str,
    /// What was seen.
    pub detail: String,
    /// How long the check took, in microseconds.
    pub duration_us: u64,
    /// Since when it has had this status.
    pub since: Timestamp,
    /// When it was last made.
    pub checked_at: Timestamp,
    /// The status itself.
    #[serde(skip)]
    pub verdict: Status,
}

/// All findings, and what they come to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// As ill as the worst.
    pub status: &'static str,
    /// The version of the program.
    pub version: &'static str,
    /// What the service works with.
    pub uses: Uses,
    /// Every check.
    pub checks: Vec<Answer>,
    /// The status itself.
    #[serde(skip)]
    pub verdict: Status,
}

/// Whether a check's status is another than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is the same, or this is the first.
    None,
    /// It was this before.
    From(Status),
}

impl HealthBoard {
    /// What the service works with, which does not change while it runs.
    pub fn note(&self, uses: Uses) {
        // The first reporter has said the same.
        let _ = self.uses.set(uses);
    }

    /// Everything that was found.
    #[must_use]
    pub fn read(&self) -> Report {
        let mut checks = self.lock().answers.clone();
        checks.extend(self.overdue());
        let uses = self.uses.get().cloned().unwrap_or_default();
        let verdict = checks.iter().map(|answer| answer.verdict).max().unwrap_or_default();
        Report { status: verdict.as_str(), version: env!("CARGO_PKG_VERSION"), uses, checks, verdict }
    }

    /// A round is over; the next should be within this time.
    pub(super) fn round_ended(&self, patience: Duration) {
        self.lock().round = Some(Round { ended_at: Instant::now(), patience });
    }

    /// That no round was made for long, if so: what the checks found then says nothing about now.
    fn overdue(&self) -> Option<Answer> {
        let findings = self.lock();
        let (round, last) = (findings.round?, findings.answers.last()?);
        let silent = round.ended_at.elapsed();
        (silent > round.patience).then(|| Answer {
            name: ROUNDS,
            status: Status::Down.as_str(),
            detail: format!("no check was made for {} s", silent.as_secs()),
            duration_us: 0,
            since: last.checked_at,
            checked_at: last.checked_at,
            verdict: Status::Down,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Findings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A check was made.
    pub(super) fn put(&self, name: &'static str, found: Finding, took: Duration, now: Timestamp) -> Change {
        let mut findings = self.lock();
        let answers = &mut findings.answers;
        let mut answer = Answer {
            name,
            status: found.status.as_str(),
            detail: found.detail,
            duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            since: now,
            checked_at: now,
            verdict: found.status,
        };
        let Some(known) = answers.iter_mut().find(|known| known.name == name) else {
            answers.push(answer);
            return Change::None;
        };
        let before = known.verdict;
        if before == answer.verdict {
            answer.since = known.since;
        }
        *known = answer;
        if before == found.status { Change::None } else { Change::From(before) }
    }
}
