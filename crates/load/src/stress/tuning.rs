//! What a stress test sets otherwise than a service has it by itself. The report names each, because the defaults were not
//! measured then.

use std::time::Duration;

use anyhow::Result;
use worker::config::{Config, Overrides};

/// Time limits that no stress test reaches, in milliseconds: a day for a stage, two for the whole order.
const STAGE_MS: u64 = 24 * 3_600_000;
const ORDER_MS: u64 = 2 * STAGE_MS;

/// Settings that differ, as variables of a worker's environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tuning(pub(crate) Vec<(&'static str, String)>);

impl Tuning {
    /// Connections to PostgreSQL for units of work.
    pub(crate) fn pool(pool_max: usize) -> Self {
        Self(vec![("ORDERWRIGHT__POSTGRES__POOL_MAX", pool_max.to_string())])
    }

    /// How long an order waits for news of its delivery until the carrier is asked, in milliseconds.
    pub(crate) fn delivery_poll(ms: u64) -> Self {
        Self(vec![("ORDERWRIGHT__LIMITS__DELIVERY_POLL_MS", ms.to_string())])
    }

    /// Calls to each provider in a second, and an order's own limit where its default is shorter than `wait`.
    pub(crate) fn call_budget(per_second: u32, wait: Duration) -> Self {
        let order_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let budgets = [
            "ORDERWRIGHT__PROVIDERS__PAYMENT_CALLS_PER_SECOND",
            "ORDERWRIGHT__PROVIDERS__SHIPPING_CALLS_PER_SECOND",
        ];
        let budgets = budgets.map(|name| (name, per_second.to_string()));
        let limit = (order_ms > Config::default().limits.order_ms)
            .then(|| ("ORDERWRIGHT__LIMITS__ORDER_MS", order_ms.to_string()));
        Self(budgets.into_iter().chain(limit).collect())
    }

    /// No stage has a time limit that matters: orders that wait for hours are wanted.
    pub(crate) fn patience() -> Self {
        Self(vec![
            ("ORDERWRIGHT__LIMITS__ORDER_MS", ORDER_MS.to_string()),
            ("ORDERWRIGHT__LIMITS__PAYMENT_MS", STAGE_MS.to_string()),
            ("ORDERWRIGHT__LIMITS__SHIPPING_MS", STAGE_MS.to_string()),
        ])
    }

    /// The configuration with them, over the same store and broker.
    pub(crate) fn applied(&self, config: Config) -> Result<Config> {
        let environment = self.0.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let tuned = Config::load(&Overrides { environment, ..Overrides::default() })?.config;
        Ok(Config { database: config.database, rabbitmq: config.rabbitmq, ..tuned })
    }

    pub(crate) fn told(&self) -> Vec<(String, String)> {
        let key = |name: &str| name.trim_start_matches("ORDERWRIGHT__").to_lowercase().replace("__", ".");
        self.0.iter().map(|(name, value)| (key(name), value.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_is_one_that_a_worker_knows() {
        let budget = Tuning::call_budget(25, Duration::from_secs(7_200));
        assert_eq!(budget.0.len(), 3, "two hours are more than an order has");
        for tuning in [Tuning::pool(2), Tuning::delivery_poll(90_000), Tuning::patience(), budget] {
            let set = tuning.applied(Config::default()).expect("it is valid");
            assert_ne!(set, Config::default(), "{tuning:?}");
        }
    }
}
