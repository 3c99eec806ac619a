//! What the service runs for. A profile changes a few defaults and says how risks are taken; it decides nothing else.

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the service runs for.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema, ValueEnum,
)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Profile {
    /// One's own machine: everything works at once, risks are not mentioned that only matter elsewhere.
    #[default]
    Development,
    /// As in production, but risks are told and not refused.
    Staging,
    /// The real thing: what would endanger it is refused.
    Production,
}

impl Profile {
    /// All of them, the most careless first.
    pub const ALL: [Self; 3] = [Self::Development, Self::Staging, Self::Production];

    /// Its name, as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }

    /// The profile of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == name)
    }

    /// The defaults that are others than those of development, as a file would say them.
    #[must_use]
    pub const fn defaults(self) -> &'static str {
        match self {
            Self::Development => "",
            Self::Staging => include_str!("staging.toml"),
            Self::Production => include_str!("production.toml"),
        }
    }
}
