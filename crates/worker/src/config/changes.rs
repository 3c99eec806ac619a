//! What has changed between two readings of the settings, told by the names of the keys and never by what they say.

use std::collections::BTreeMap;
use std::fmt;

use toml::Value;

use super::layer::{Layer, Rank};
use super::{DEFAULT_FILE, file};

/// The keys that a running service follows when it is told to read its settings anew. All others count after a restart.
const FOLLOWED: [&str; 8] = [
    "providers.payment_webhook_secret",
    "providers.payment_webhook_secret_previous",
    "providers.shipping_webhook_secret",
    "providers.shipping_webhook_secret_previous",
    "providers.webhook_secret",
    "providers.webhook_secret_previous",
    "providers.webhook_tolerance_s",
    "telemetry.order_events",
];

/// Every key and what it says, secrets included, which lie in no file any more here.
#[derive(Clone, PartialEq)]
pub struct Settings(BTreeMap<String, Value>);

impl Settings {
    /// What was said, over the defaults.
    pub(super) fn of(said: &Layer) -> Self {
        let mut all = file::parse("defaults", DEFAULT_FILE, Rank::Packaged)
            .expect("a test holds that the file as it ships is well-formed");
        all.lay(said.clone());
        Self(all.0.into_iter().map(|(key, said)| (key, said.value)).collect())
    }

    /// The keys that say something else now and that a running service follows.
    #[must_use]
    pub fn followed_since(&self, before: &Self) -> Vec<&str> {
        self.changed_since(before).filter(|key| FOLLOWED.contains(key)).collect()
    }

    /// The keys that say something else now and count only after a restart.
    #[must_use]
    pub fn waiting_since(&self, before: &Self) -> Vec<&str> {
        self.changed_since(before).filter(|key| !FOLLOWED.contains(key)).collect()
    }

    fn changed_since(&self, before: &Self) -> impl Iterator<Item = &str> {
        let differs = |(key, value): &(&String, &Value)| before.0.get(*key) != Some(*value);
        self.0.iter().filter(differs).map(|(key, _)| key.as_str())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
