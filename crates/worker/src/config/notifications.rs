//! Whom to tell what becomes of orders, and how. Holds the settings only.

use std::fmt;

use providers::notifications::check_address;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;

/// A way to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Way {
    /// A line in the log.
    Log,
    /// A line in a file.
    File,
    /// A mail to the customer.
    Smtp,
    /// A signed webhook to each address.
    Webhooks,
}

/// Whether something is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Allowance {
    /// It is not.
    Refuse,
    /// It is.
    Allow,
}

/// Whom to tell what becomes of orders, and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Notifications {
    /// By what ways: `log`, `file`, `smtp`, `webhooks`. Nobody is told, and nothing is stored for it, if there is none.
    pub ways: Vec<Way>,
    /// File for the way `file`; a JSON object on each line.
    pub file: String,
    /// Mail server: `smtp://user:password@host:587?tls=required` or `smtps://user:password@host`.
    pub smtp_url: Secret,
    /// Sender of mail.
    pub smtp_from: String,
    /// Receiver of mail about orders that name no mail address, with `{customer_id}` where the customer's id goes.
    pub smtp_to: String,
    /// Receivers of webhooks, each `https://HOST/PATH`.
    pub webhook_urls: Addresses,
    /// Signs our webhooks: `whsec_` and 24 to 64 bytes in base64.
    pub webhook_secret: Secret,
    /// The one before it, used as well while secrets change; empty for none.
    pub webhook_secret_previous: Secret,
    /// Whether webhooks may go to private addresses: `refuse` or `allow`.
    pub webhook_private_addresses: Allowance,
    /// File with certificates that vouch for receivers beside those of the system, in PEM; empty for none.
    pub webhook_roots: String,
    /// How long one mail or webhook may take, in milliseconds.
    pub call_limit_ms: u64,
}

/// Addresses of others, whose parameters may let anybody in and are shown to nobody.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Addresses(Vec<String>);

impl From<Vec<String>> for Addresses {
    fn from(addresses: Vec<String>) -> Self {
        Self(addresses)
    }
}

impl Addresses {
    /// The addresses themselves, for whoever goes there.
    #[must_use]
    pub fn expose(&self) -> &[String] {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn shown(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|address| super::shown(address))
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.shown()).finish()
    }
}

impl Serialize for Addresses {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.shown())
    }
}

impl Default for Notifications {
    fn default() -> Self {
        Self {
            ways: Vec::new(),
            file: "data/notifications.jsonl".to_owned(),
            smtp_url: Secret::default(),
            smtp_from: "Orderwright <orders@localhost>".to_owned(),
            smtp_to: "{customer_id}@localhost".to_owned(),
            webhook_urls: Addresses::default(),
            webhook_secret: Secret::default(),
            webhook_secret_previous: Secret::default(),
            webhook_private_addresses: Allowance::Refuse,
            webhook_roots: String::new(),
            call_limit_ms: 15_000,
        }
    }
}

impl Notifications {
    /// Whether this way is used.
    #[must_use]
    pub fn uses(&self, way: Way) -> bool {
        self.ways.contains(&way)
    }

    /// Values that cannot work, each with what would.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut expect = |holds: bool, mistake: &str| {
            if !holds {
                mistakes.push(mistake.to_owned());
            }
        };
        expect(
            !self.uses(Way::File) || !self.file.is_empty(),
            "notifications.file is empty, and notifications.ways has file",
        );
        expect(
            !self.uses(Way::Smtp) || !self.smtp_url.is_empty(),
            "notifications.smtp_url is empty, and notifications.ways has smtp; write smtp://user:password@host:587?tls=required",
        );
        expect(
            !self.uses(Way::Webhooks) || !self.webhook_urls.is_empty(),
            "notifications.webhook_urls is empty, and notifications.ways has webhooks",
        );
        for address in self.webhook_urls.expose() {
            expect(
                !self.uses(Way::Webhooks) || check_address(address).is_ok(),
                &format!(
                    "notifications.webhook_urls has '{}', which is no address for webhooks; write https://HOST/PATH",
                    super::shown(address)
                ),
            );
        }
        expect(
            !self.uses(Way::Webhooks) || !self.webhook_secret.is_empty(),
            "notifications.webhook_secret is empty; make one with: echo whsec_$(openssl rand -base64 32)",
        );
        expect(
            (100..=120_000).contains(&self.call_limit_ms),
            "notifications.call_limit_ms is not between 100 and 120000",
        );
        mistakes
    }
}
