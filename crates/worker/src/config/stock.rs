//! What becomes of orders whose goods are not in stock.

use domain::WhenShort;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of orders whose goods are not in stock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Stock {
    /// Unless an order says it.
    pub when_short: Shortfall,
}

/// What becomes of an order if some of its goods are not in stock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Shortfall {
    /// It is cancelled.
    #[default]
    Cancel,
    /// It waits until all of them are there.
    Wait,
}

impl Stock {
    /// The same in the words of the pipeline.
    #[must_use]
    pub const fn when_short(self) -> WhenShort {
        match self.when_short {
            Shortfall::Cancel => WhenShort::Cancel,
            Shortfall::Wait => WhenShort::Wait,
        }
    }
}
