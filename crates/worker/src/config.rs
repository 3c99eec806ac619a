//! Configuration: built-in defaults, then a file, then the environment, then flags; checked as a whole, every mistake
//! named at once. Secrets never appear in what is shown.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use application::pipeline::PipelineSettings;
use application::ports::Provider;
use application::saga::StageLimits;
use bus::{CallBudget, Patience, RetryPolicy};
use domain::Capture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conceal::STARS;

mod broker;
mod changes;
mod connections;
mod database;
mod environment;
mod file;
mod holds;
mod layer;
mod loading;
mod notifications;
mod profile;
mod risks;
mod schema;
mod secret;
mod security;
mod server;
mod spelling;
mod stock;
mod telemetry;

pub use broker::{BrokerAddresses, QueueKindName, RabbitMq};
pub use changes::Settings;
pub use connections::Connections;
pub use database::{DatabaseAddress, Place};
pub use holds::{HoldBefore, Holds};
pub use loading::{Loaded, Mistakes};
pub use notifications::{Allowance, Notifications, Way};
pub use profile::Profile;
pub use risks::{Risk, Weight};
pub use schema::{SCHEMA_FILE, document};
pub use secret::Secret;
pub use security::{PageMode, Security};
pub use server::Postgres;
pub use stock::{Shortfall, Stock};
pub use telemetry::{LogFormat, OrderEvents, OtlpProtocol, Telemetry};

/// The file as it ships: every key, with its default and its meaning.
pub const DEFAULT_FILE: &str = include_str!("config/default.toml");

/// The secret that the sandbox signs with unless it is told another.
pub const SANDBOX_SECRET: &str = "sandbox-secret";

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What the service runs for; decides some defaults, and whether risks are told or refused.
    pub profile: Profile,
    /// Address that the API listens on.
    pub listen: String,
    /// Where the data lies: a path, `sqlite:PATH`, or `postgres://user:password@host:port/database`.
    pub database: DatabaseAddress,
    /// How the PostgreSQL server is used, if it lies on one.
    pub postgres: Postgres,
    /// Who may reach the service, and how.
    pub security: Security,
    /// How many connections there may be, and how long each may take.
    pub connections: Connections,
    /// Whom to tell what becomes of orders, and how.
    pub notifications: Notifications,
    /// The broker, if messages go over one.
    pub rabbitmq: RabbitMq,
    /// The payment gateway and the shipping provider.
    pub providers: Providers,
    /// How long stages may take.
    pub limits: Limits,
    /// Which new orders are put on hold until a person releases them.
    pub holds: Holds,
    /// What becomes of orders whose goods are not in stock.
    pub stock: Stock,
    /// How the pipeline works.
    pub pipeline: Pipeline,
    /// What is kept, and for how long.
    pub retention: Retention,
    /// What the service tells about itself.
    pub telemetry: Telemetry,
}

/// The outside.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Providers {
    /// Base address of the payment gateway.
    pub payment_url: String,
    /// Base address of the shipping provider.
    pub shipping_url: String,
    /// Secret that signs the webhooks of whichever provider has none of its own.
    pub webhook_secret: Secret,
    /// The secret before it, accepted as well while they change; empty for none.
    pub webhook_secret_previous: Secret,
    /// The payment gateway's own secret: whoever knows it can tell us that money was taken. Empty for `webhook_secret`.
    pub payment_webhook_secret: Secret,
    /// The secret before it, accepted as well while they change; empty for none.
    pub payment_webhook_secret_previous: Secret,
    /// The shipping provider's own secret. Empty for `webhook_secret`.
    pub shipping_webhook_secret: Secret,
    /// The secret before it, accepted as well while they change; empty for none.
    pub shipping_webhook_secret_previous: Secret,
    /// How far the time of a webhook may be from ours, in seconds; one that is farther off may be an old one sent again.
    pub webhook_tolerance_s: u64,
    /// When the money of an order is taken.
    pub capture: CaptureTime,
    /// Time limit of one call, in milliseconds.
    pub call_limit_ms: u64,
    /// Calls under way at once, per kind.
    pub calls_at_once_max: usize,
    /// Calls to the payment gateway in a second, of all workers together; 0 for any number.
    pub payment_calls_per_second: u32,
    /// Calls to the payment gateway under way at once, of all workers together; 0 for any number.
    pub payment_calls_in_flight: u32,
    /// Calls to the shipping provider in a second, of all workers together; 0 for any number.
    pub shipping_calls_per_second: u32,
    /// Calls to the shipping provider under way at once, of all workers together; 0 for any number.
    pub shipping_calls_in_flight: u32,
    /// How long a call waits for its turn before its message goes back to the store, in milliseconds.
    pub turn_wait_ms: u64,
}

/// When the money of an order is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum CaptureTime {
    /// With the order: one call authorises and captures.
    #[default]
    AtOnce,
    /// It is authorised with the order, and captured once the carrier has the parcel.
    AtShipment,
}

impl Providers {
    /// When the money of a new order is taken.
    #[must_use]
    pub const fn capture(&self) -> Capture {
        match self.capture {
            CaptureTime::AtOnce => Capture::AtOnce,
            CaptureTime::AtShipment => Capture::AtShipment,
        }
    }

    /// The budget of the payment gateway.
    #[must_use]
    pub const fn payment_budget(&self) -> CallBudget {
        CallBudget { per_second: self.payment_calls_per_second, in_flight_max: self.payment_calls_in_flight }
    }

    /// The budget of the shipping provider.
    #[must_use]
    pub const fn shipping_budget(&self) -> CallBudget {
        CallBudget {
            per_second: self.shipping_calls_per_second,
            in_flight_max: self.shipping_calls_in_flight,
        }
    }

    /// Three seconds' worth of calls at once, of each kind and worker: what waits in a worker has left the order of the queue, and
    /// whoever waits too long has to go back there.
    fn calls_at_once(&self) -> usize {
        let rates = [self.payment_calls_per_second, self.shipping_calls_per_second];
        let worth = |rate: u32| usize::try_from(rate.saturating_mul(3)).unwrap_or(usize::MAX);
        let bound = rates.into_iter().filter(|rate| *rate > 0).map(worth).min();
        bound.map_or(self.calls_at_once_max, |bound| bound.min(self.calls_at_once_max))
    }
}

/// How long stages may take, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// From acceptance to hand-over.
    pub order_ms: u64,
    /// From the first call that the gateway let through to its final word.
    pub payment_ms: u64,
    /// From the first call that the carrier let through to its booking.
    pub shipping_ms: u64,
    /// Between two questions to a silent carrier.
    pub delivery_poll_ms: u64,
    /// Between two requests for the same capture.
    pub capture_ms: u64,
    /// Between two requests for the same undoing.
    pub undo_ms: u64,
    /// For which an order waits for its goods.
    pub stock_ms: u64,
}

/// How the pipeline works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pipeline {
    /// Messages in one transaction.
    pub batch_max: usize,
    /// Retries of a charge or booking.
    pub call_retries_max: u32,
    /// Pause before the first of them, in milliseconds; it doubles.
    pub call_retry_first_ms: u64,
    /// Longest pause between questions about a call of unknown outcome, once its retries are used up, in milliseconds.
    pub look_up_interval_ms: u64,
    /// First pause while a provider is away or throttles, in milliseconds; it grows.
    pub away_pause_first_ms: u64,
    /// Longest of these pauses, unless the provider names a longer one, in milliseconds.
    pub away_pause_max_ms: u64,
    /// Retries of an undoing, before a person is asked.
    pub undo_retries_max: u32,
    /// Pause before the first of them, in milliseconds; it doubles.
    pub undo_retry_first_ms: u64,
    /// How long a graceful stop may take, in milliseconds.
    pub stop_limit_ms: u64,
}

/// What is kept, and for how long, in hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Answers under an idempotency key.
    pub idempotency_hours: u64,
    /// Ids of webhook events.
    pub inbox_hours: u64,
    /// The log of events for programs that follow orders, and what was delivered to webhook endpoints.
    pub events_hours: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            listen: "127.0.0.1:8080".to_owned(),
            database: "data/orderwright.db".into(),
            postgres: Postgres::default(),
            security: Security::default(),
            connections: Connections::default(),
            notifications: Notifications::default(),
            rabbitmq: RabbitMq::default(),
            providers: Providers::default(),
            limits: Limits::default(),
            holds: Holds::default(),
            stock: Stock::default(),
            pipeline: Pipeline::default(),
            retention: Retention::default(),
            telemetry: Telemetry::default(),
        }
    }
}

impl Default for Providers {
    fn default() -> Self {
        Self {
            payment_url: "http://127.0.0.1:8090".to_owned(),
            shipping_url: "http://127.0.0.1:8090".to_owned(),
            webhook_secret: Secret::from(SANDBOX_SECRET.to_owned()),
            webhook_secret_previous: Secret::default(),
            payment_webhook_secret: Secret::default(),
            payment_webhook_secret_previous: Secret::default(),
            shipping_webhook_secret: Secret::default(),
            shipping_webhook_secret_previous: Secret::default(),
            webhook_tolerance_s: 300,
            capture: CaptureTime::default(),
            call_limit_ms: 5_000,
            calls_at_once_max: bus::limits::PERFORM_MAX,
            payment_calls_per_second: 0,
            payment_calls_in_flight: 0,
            shipping_calls_per_second: 0,
            shipping_calls_in_flight: 0,
            turn_wait_ms: 30_000,
        }
    }
}

/// The secrets of one provider's webhooks.
#[derive(Clone, Copy, Debug)]
pub struct WebhookSecrets<'a> {
    /// The key that names the one in force.
    pub key: &'static str,
    /// The one in force.
    pub now: &'a Secret,
    /// The one before it; empty if there is none.
    pub previous: &'a Secret,
}

impl Providers {
    /// The secrets of this provider: its own, or those of whoever has none.
    #[must_use]
    pub fn webhook_secrets(&self, provider: Provider) -> WebhookSecrets<'_> {
        let (key, now, previous) = match provider {
            Provider::Payments => (
                "providers.payment_webhook_secret",
                &self.payment_webhook_secret,
                &self.payment_webhook_secret_previous,
            ),
            Provider::Shipping => (
                "providers.shipping_webhook_secret",
                &self.shipping_webhook_secret,
                &self.shipping_webhook_secret_previous,
            ),
        };
        if now.is_empty() {
            let (now, previous) = (&self.webhook_secret, &self.webhook_secret_previous);
            return WebhookSecrets { key: "providers.webhook_secret", now, previous };
        }
        WebhookSecrets { key, now, previous }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let limits = application::saga::STAGE_LIMITS;
        Self {
            order_ms: millis(limits.order),
            payment_ms: millis(limits.payment),
            shipping_ms: millis(limits.shipping),
            delivery_poll_ms: millis(limits.delivery_poll),
            capture_ms: millis(limits.capture),
            undo_ms: millis(limits.undo),
            stock_ms: millis(limits.stock),
        }
    }
}

impl Default for Pipeline {
    fn default() -> Self {
        let settings = PipelineSettings::default();
        Self {
            batch_max: settings.batch_max,
            call_retries_max: settings.call_retry.retries_max,
            call_retry_first_ms: millis(settings.call_retry.first),
            look_up_interval_ms: millis(settings.look_up_interval),
            away_pause_first_ms: millis(settings.away.first),
            away_pause_max_ms: millis(settings.away.longest),
            undo_retries_max: settings.undo_retry.retries_max,
            undo_retry_first_ms: millis(settings.undo_retry.first),
            stop_limit_ms: 10_000,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { idempotency_hours: 24, inbox_hours: 72, events_hours: 720 }
    }
}

/// Whether somebody can listen there: an address, or a name and a port.
fn is_place_to_listen(text: &str) -> bool {
    let named = |(host, port): (&str, &str)| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        !host.is_empty() && host.chars().all(fits) && port.parse::<u16>().is_ok()
    };
    text.parse::<SocketAddr>().is_ok() || text.rsplit_once(':').is_some_and(named)
}

/// Whether an address carries neither a user nor parameters: nobody would be sent those, and they would be seen.
fn is_bare(url: &str) -> bool {
    !url.contains(['@', '?', '#'])
}

/// An address as it may be seen: without what stands before its `@`, whatever else is wrong with it, and without parameters.
pub(crate) fn shown(url: &str) -> String {
    let (scheme, rest) = url.find("://").map_or(("", url), |at| url.split_at(at + 3));
    let rest = rest.rfind('@').map_or_else(|| rest.to_owned(), |at| format!("{}{}", STARS, &rest[at..]));
    let seen = rest.split(['?', '#']).next().unwrap_or_default();
    let hidden = if seen.len() < rest.len() { format!("?{STARS}") } else { String::new() };
    format!("{scheme}{seen}{hidden}")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What flags and environment say, over file and defaults.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--profile`.
    pub profile: Option<Profile>,
    /// Every variable of the environment that is a setting: `ORDERWRIGHT__SECTION__KEY`, the short names such as
    /// `ORDERWRIGHT_DATABASE`, and `ORDERWRIGHT_DEFAULT__SECTION__KEY` of an image or a package.
    pub environment: Vec<(String, String)>,
    /// `--config` / `ORDERWRIGHT_CONFIG`.
    pub file: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--database`.
    pub database: Option<String>,
    /// `--broker`.
    pub broker: Option<String>,
    /// `--payment-url`.
    pub payment_url: Option<String>,
    /// `--shipping-url`.
    pub shipping_url: Option<String>,
    /// `--webhook-secret`.
    pub webhook_secret: Option<String>,
}

impl Config {
    /// Values that cannot work, each with what would.
    fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut expect = |holds: bool, mistake: String| {
            if !holds {
                mistakes.push(mistake);
            }
        };
        expect(
            is_place_to_listen(&self.listen),
            format!(
                "listen = '{}' is not an address; write HOST:PORT, such as 127.0.0.1:8080 or localhost:8080",
                self.listen
            ),
        );
        if let Some(mistake) = self.database.mistake() {
            expect(false, mistake);
        }
        for (key, url) in
            [("payment_url", &self.providers.payment_url), ("shipping_url", &self.providers.shipping_url)]
        {
            expect(
                url.starts_with("http://") && is_bare(url),
                format!("providers.{key} = '{}' is not an address; write http://HOST:PORT", shown(url)),
            );
        }
        expect(
            Provider::ALL.iter().all(|provider| !self.providers.webhook_secrets(*provider).now.is_empty()),
            "providers.webhook_secret is empty, and not both providers have a secret of their own".to_owned(),
        );
        for (key, value, least) in self
            .numbers()
            .into_iter()
            .chain(self.postgres.numbers())
            .chain(self.rabbitmq.numbers())
            .chain(self.telemetry.numbers())
        {
            expect(value >= least, format!("{key} = {value} is too small; at least {least}"));
        }
        expect(
            self.limits.payment_ms < self.limits.order_ms && self.limits.shipping_ms < self.limits.order_ms,
            format!(
                "limits.order_ms = {} must be longer than payment_ms and shipping_ms, or every slow order is cancelled",
                self.limits.order_ms
            ),
        );
        mistakes.extend(self.postgres.mistake());
        mistakes.extend(self.rabbitmq.mistake());
        mistakes.extend(self.telemetry.mistakes());
        mistakes.extend(self.security.mistakes());
        mistakes.extend(self.connections.mistakes());
        mistakes.extend(self.notifications.mistakes());
        mistakes.extend(self.holds.mistakes());
        mistakes
    }

    fn numbers(&self) -> [(&'static str, u64, u64); 18] {
        let size = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        [
            ("providers.webhook_tolerance_s", self.providers.webhook_tolerance_s, 10),
            ("providers.call_limit_ms", self.providers.call_limit_ms, 10),
            ("providers.calls_at_once_max", size(self.providers.calls_at_once_max), 1),
            ("providers.turn_wait_ms", self.providers.turn_wait_ms, 100),
            ("limits.order_ms", self.limits.order_ms, 100),
            ("limits.payment_ms", self.limits.payment_ms, 50),
            ("limits.shipping_ms", self.limits.shipping_ms, 50),
            ("limits.delivery_poll_ms", self.limits.delivery_poll_ms, 50),
            ("limits.capture_ms", self.limits.capture_ms, 50),
            ("limits.undo_ms", self.limits.undo_ms, 50),
            ("limits.stock_ms", self.limits.stock_ms, 50),
            ("pipeline.look_up_interval_ms", self.pipeline.look_up_interval_ms, 10),
            ("pipeline.away_pause_first_ms", self.pipeline.away_pause_first_ms, 10),
            (
                "pipeline.away_pause_max_ms",
                self.pipeline.away_pause_max_ms,
                self.pipeline.away_pause_first_ms,
            ),
            ("pipeline.batch_max", size(self.pipeline.batch_max), 1),
            ("retention.idempotency_hours", self.retention.idempotency_hours, 1),
            ("retention.inbox_hours", self.retention.inbox_hours, 1),
            ("retention.events_hours", self.retention.events_hours, 1),
        ]
    }

    /// The settings of the pipeline.
    #[must_use]
    pub fn pipeline_settings(&self) -> PipelineSettings {
        let defaults = PipelineSettings::default();
        let ms = Duration::from_millis;
        PipelineSettings {
            capture: self.providers.capture(),
            when_short: self.stock.when_short(),
            limits: StageLimits {
                order: ms(self.limits.order_ms),
                payment: ms(self.limits.payment_ms),
                shipping: ms(self.limits.shipping_ms),
                delivery_poll: ms(self.limits.delivery_poll_ms),
                capture: ms(self.limits.capture_ms),
                undo: ms(self.limits.undo_ms),
                stock: ms(self.limits.stock_ms),
            },
            call_retry: RetryPolicy {
                retries_max: self.pipeline.call_retries_max,
                first: ms(self.pipeline.call_retry_first_ms),
                ..defaults.call_retry
            },
            look_up_interval: ms(self.pipeline.look_up_interval_ms),
            away: Patience {
                first: ms(self.pipeline.away_pause_first_ms),
                longest: ms(self.pipeline.away_pause_max_ms),
            },
            undo_retry: RetryPolicy {
                retries_max: self.pipeline.undo_retries_max,
                first: ms(self.pipeline.undo_retry_first_ms),
                ..defaults.undo_retry
            },
            calls_at_once_max: self.providers.calls_at_once(),
            batch_max: self.pipeline.batch_max,
            ..defaults
        }
    }
}

impl Overrides {
    /// The variables of this process that are settings.
    #[must_use]
    pub fn of_this_process() -> Vec<(String, String)> {
        environment::of_this_process()
    }

    /// The variables of this process that name one of the same keys as these: who says something by these leaves those out.
    #[must_use]
    pub fn rivals(names: &[&str]) -> Vec<String> {
        let keys: Vec<_> = names.iter().filter_map(|name| environment::key_of(name)).collect();
        let ours = environment::of_this_process().into_iter().map(|(name, _)| name);
        ours.filter(|name| environment::key_of(name).is_some_and(|key| keys.contains(&key))).collect()
    }

    /// Key, value and where it was said.
    fn flags(&self) -> Vec<(&'static str, String, &'static str)> {
        [
            ("listen", &self.listen, "--listen"),
            ("database", &self.database, "--database"),
            ("rabbitmq.addresses", &self.broker, "--broker"),
            ("providers.payment_url", &self.payment_url, "--payment-url"),
            ("providers.shipping_url", &self.shipping_url, "--shipping-url"),
            ("providers.webhook_secret", &self.webhook_secret, "--webhook-secret"),
        ]
        .into_iter()
        .filter_map(|(key, value, flag)| Some((key, value.clone()?, flag)))
        .collect()
    }
}

#[cfg(test)]
mod tests;
