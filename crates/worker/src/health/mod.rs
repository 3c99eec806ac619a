//! Health checks of the service's parts, each with its own time limit. They run in the background and their results
//! are stored, so a request gets an answer at once, whatever is wrong. Read only; never calls a provider.

mod board;
mod broker;
mod database;
mod events;
mod orders;
mod providers;
mod rates;
mod scene;
mod service;
mod services;
mod stock;
mod uses;
mod webhooks;

pub use board::{Answer, HealthBoard, Report};
pub use broker::{Broker, BrokerCheck, BrokerQueue};
pub use database::FILE_GONE_WORDS;
pub use scene::Scene;
pub use service::{HealthService, Parts};
pub use uses::Uses;

use std::time::Duration;

use async_trait::async_trait;

/// How a part is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It works.
    #[default]
    Up,
    /// It works, and a person should look at it.
    Degraded,
    /// It does not work.
    Down,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How the part is.
    pub status: Status,
    /// What was seen, in words; never a secret.
    pub detail: String,
}

/// A check of one part. Must never write, and never ask a provider for anything.
#[async_trait]
pub trait Check: Send + Sync + 'static {
    /// Its name.
    fn name(&self) -> &'static str;

    /// How long it may take, where that is not what all may.
    fn limit(&self) -> Option<Duration> {
        None
    }

    /// Looks once.
    async fn look(&self, scene: &Scene) -> Finding;
}

impl Status {
    /// All of them, from good to bad.
    pub const ALL: &'static [Self] = &[Self::Up, Self::Degraded, Self::Down];

    /// Its name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

impl Finding {
    /// It works.
    pub fn up(detail: impl Into<String>) -> Self {
        Self { status: Status::Up, detail: detail.into() }
    }

    /// It works, and a person should look at it.
    pub fn degraded(detail: impl Into<String>) -> Self {
        Self { status: Status::Degraded, detail: detail.into() }
    }

    /// It does not work.
    pub fn down(detail: impl Into<String>) -> Self {
        Self { status: Status::Down, detail: detail.into() }
    }

    /// All of these together: as ill as the worst, with what it said; if all are well, with what the last one said.
    #[must_use]
    pub fn worst_of(findings: impl IntoIterator<Item = Self>) -> Self {
        findings
            .into_iter()
            .reduce(|one, other| match one.status.cmp(&other.status) {
                std::cmp::Ordering::Greater => one,
                std::cmp::Ordering::Less => other,
                std::cmp::Ordering::Equal if one.status == Status::Up => other,
                std::cmp::Ordering::Equal => {
                    Self { detail: format!("{}; {}", one.detail, other.detail), ..one }
                }
            })
            .unwrap_or_else(|| Self::up("there is nothing to check"))
    }
}
