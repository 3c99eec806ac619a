//! What a strain sets otherwise than a service has it by itself. The report names each, for it is not the default that was
//! measured then.

use crate::config::Config;

/// Time limits that no strain reaches, in milliseconds: a day for a stage, two for the whole order.
const STAGE_MS: u64 = 24 * 3_600_000;
const ORDER_MS: u64 = 2 * STAGE_MS;

/// Settings that differ.
#[derive(Clone, Debug, Default)]
pub(super) struct Tuning(Vec<Setting>);

#[derive(Clone, Copy, Debug)]
enum Setting {
    PoolMax(usize),
    DeliveryPollMs(u64),
    Patience,
}

impl Tuning {
    /// Connections to PostgreSQL for units of work.
    pub(super) fn pool(pool_max: usize) -> Self {
        Self(vec![Setting::PoolMax(pool_max)])
    }

    /// How long an order waits for news of its delivery until the carrier is asked, in milliseconds.
    pub(super) fn delivery_poll(ms: u64) -> Self {
        Self(vec![Setting::DeliveryPollMs(ms)])
    }

    /// No stage has a time limit that matters: orders that wait for hours are wanted.
    pub(super) fn patience() -> Self {
        Self(vec![Setting::Patience])
    }

    /// The configuration with them.
    pub(super) fn apply(&self, config: &mut Config) {
        for setting in &self.0 {
            match setting {
                Setting::PoolMax(pool_max) => config.postgres.pool_max = *pool_max,
                Setting::DeliveryPollMs(ms) => config.limits.delivery_poll_ms = *ms,
                Setting::Patience => {
                    config.limits.order_ms = ORDER_MS;
                    config.limits.payment_ms = STAGE_MS;
                    config.limits.shipping_ms = STAGE_MS;
                }
            }
        }
    }

    /// The same for a worker's environment.
    pub(super) fn words(&self) -> Vec<(&'static str, String)> {
        let words = self.0.iter().flat_map(|setting| match setting {
            Setting::PoolMax(pool_max) => vec![("ORDERWRIGHT__POSTGRES__POOL_MAX", pool_max.to_string())],
            Setting::DeliveryPollMs(ms) => vec![("ORDERWRIGHT__LIMITS__DELIVERY_POLL_MS", ms.to_string())],
            Setting::Patience => vec![
                ("ORDERWRIGHT__LIMITS__ORDER_MS", ORDER_MS.to_string()),
                ("ORDERWRIGHT__LIMITS__PAYMENT_MS", STAGE_MS.to_string()),
                ("ORDERWRIGHT__LIMITS__SHIPPING_MS", STAGE_MS.to_string()),
            ],
        });
        words.collect()
    }

    /// Name and value of each.
    pub(super) fn told(&self) -> Vec<(String, String)> {
        let name = |word: &str| word.trim_start_matches("ORDERWRIGHT__").to_lowercase().replace("__", ".");
        self.words().into_iter().map(|(word, value)| (name(word), value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    #[test]
    fn a_worker_reads_from_its_environment_what_is_set_here() {
        for tuning in [Tuning::pool(2), Tuning::delivery_poll(90_000), Tuning::patience()] {
            let mut set = Config::default();
            tuning.apply(&mut set);
            assert_ne!(set, Config::default());
            let environment =
                tuning.words().into_iter().map(|(name, word)| (name.to_owned(), word)).collect();
            let read = Config::load(&Overrides { environment, ..Overrides::default() }).expect("it is valid");
            assert_eq!((read.config.limits, read.config.postgres), (set.limits, set.postgres));
        }
    }
}
