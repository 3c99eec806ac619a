//! What works and is risky all the same. Beyond development each is told; what endangers orders, money or secrets is refused
//! in production. Looks only at the configuration.

use std::net::IpAddr;

use application::ports::Provider;

use super::{Allowance, Config, Place, Profile, SANDBOX_SECRET, Way, WebhookSecrets};

/// How a risk is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It is told, and the service starts.
    Told,
    /// The service does not start.
    Refused,
}

/// Something risky.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Risk {
    /// Whether this profile takes it.
    pub weight: Weight,
    /// The key, what is risky about its value, and what would be better.
    pub text: String,
}

/// How bad it would be in production.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Danger {
    /// It cannot work but on one's own machine.
    Fatal,
    /// Orders, money or secrets are in danger.
    Grave,
    /// Somebody should know.
    Slight,
}

/// Characters that a secret has at least which nobody can guess.
const SECRET_CHARS_MIN: usize = 16;

/// Hours for which providers repeat a webhook, by the rules of Standard Webhooks.
const WEBHOOK_REPEATS_HOURS: u64 = 28;

impl Config {
    /// Everything risky, and how this profile takes it.
    pub(super) fn risks(&self) -> Vec<Risk> {
        let found = [
            self.secret_risks(),
            self.entrance_risks(),
            self.place_risks(),
            self.telling_risks(),
            self.time_risks(),
            self.sharing_risks(),
        ]
        .concat();
        let weighed = |(danger, text)| match (self.profile, danger) {
            (Profile::Development, _) => None,
            (Profile::Staging | Profile::Production, Danger::Fatal)
            | (Profile::Production, Danger::Grave) => Some(Risk { weight: Weight::Refused, text }),
            (Profile::Staging, Danger::Grave | Danger::Slight) | (Profile::Production, Danger::Slight) => {
                Some(Risk { weight: Weight::Told, text })
            }
        };
        found.into_iter().filter_map(weighed).collect()
    }

    fn secret_risks(&self) -> Vec<(Danger, String)> {
        let [payments, shipping] =
            [Provider::Payments, Provider::Shipping].map(|provider| self.providers.webhook_secrets(provider));
        let mut found: Vec<String> = [payments, shipping].into_iter().filter_map(weak).collect();
        found.dedup();
        if payments.now == shipping.now {
            found.push(
                "providers.payment_webhook_secret and providers.shipping_webhook_secret are the same: the carrier's signature \
                 would pass for 'captured'; give each provider one of its own"
                    .to_owned(),
            );
        }
        found.into_iter().map(|text| (Danger::Grave, text)).collect()
    }

    fn entrance_risks(&self) -> Vec<(Danger, String)> {
        if is_here(host(&self.listen)) {
            return Vec::new();
        }
        let (listen, security) = (&self.listen, &self.security);
        let mut found = Vec::new();
        if security.tls_cert.is_empty() {
            found.push(format!(
                "listen = '{listen}' is reached from elsewhere without TLS; set security.tls_cert, or let a proxy speak TLS"
            ));
        }
        if security.admin_key.is_empty() {
            found.push(format!(
                "listen = '{listen}' is reached from elsewhere and security.admin_key is empty; \
                 the service starts only if a key was made with `orderwright keys create`"
            ));
        }
        if security.requests_per_second_max == 0 {
            found.push("security.requests_per_second_max = 0 lets one caller take all there is".to_owned());
        }
        found.into_iter().map(|text| (Danger::Slight, text)).collect()
    }

    fn telling_risks(&self) -> Vec<(Danger, String)> {
        let settings = &self.notifications;
        let mut found = Vec::new();
        if settings.uses(Way::Webhooks) && settings.webhook_private_addresses == Allowance::Allow {
            let text = "notifications.webhook_private_addresses = 'allow' lets webhooks reach what only this machine should";
            found.push((Danger::Grave, text.to_owned()));
        }
        let mail = settings.smtp_url.expose();
        if settings.uses(Way::Smtp) && mail.starts_with("smtp://") && !mail.contains("tls=required") {
            let text =
                "notifications.smtp_url sends mail in the clear; write ?tls=required behind it, or smtps://";
            found.push((Danger::Slight, text.to_owned()));
        }
        found
    }

    fn place_risks(&self) -> Vec<(Danger, String)> {
        let mut found = Vec::new();
        for (key, url) in
            [("payment_url", &self.providers.payment_url), ("shipping_url", &self.providers.shipping_url)]
        {
            if is_here(host(url)) {
                let url = super::shown(url);
                let text = format!("providers.{key} = '{url}' is on this machine, as only the sandbox is");
                found.push((Danger::Slight, text));
            }
        }
        match self.database.place() {
            Some(Place::File(path)) if path.starts_with(std::env::temp_dir()) => found.push((
                Danger::Grave,
                format!("database = '{}' lies among temporary files, which vanish", self.database),
            )),
            Some(Place::Postgres(address))
                if !is_here(host(&address)) && !address.contains("sslmode=verify-full") =>
            {
                let text = format!(
                    "database = '{}' is elsewhere and does not have to prove who it is; write ?sslmode=verify-full behind it",
                    self.database
                );
                found.push((Danger::Slight, text));
            }
            Some(Place::File(_) | Place::Postgres(_)) | None => {}
        }
        found
    }

    /// A broker shares messages out among workers, and a file is seen by one of them only: each would have orders that the
    /// others do not find.
    fn sharing_risks(&self) -> Vec<(Danger, String)> {
        match self.database.place() {
            Some(Place::File(_)) if !self.rabbitmq.addresses.is_empty() => vec![(
                Danger::Fatal,
                format!(
                    "rabbitmq.addresses names a broker between workers, and database = '{}' is a file that only one of them \
                     sees; name a PostgreSQL server that all share, or no broker",
                    self.database
                ),
            )],
            Some(Place::File(_) | Place::Postgres(_)) | None => Vec::new(),
        }
    }

    fn time_risks(&self) -> Vec<(Danger, String)> {
        let mut found = Vec::new();
        let mut expect = |holds: bool, danger, text: String| {
            if !holds {
                found.push((danger, text));
            }
        };
        let hours = self.retention.inbox_hours;
        expect(
            hours >= WEBHOOK_REPEATS_HOURS,
            Danger::Grave,
            format!(
                "retention.inbox_hours = {hours} forgets webhooks while they are still repeated; at least {WEBHOOK_REPEATS_HOURS}"
            ),
        );
        let (lease, statement) = (self.postgres.lease_ms, self.postgres.statement_limit_ms);
        expect(
            lease > statement,
            Danger::Grave,
            format!(
                "postgres.lease_ms = {lease} ends before a statement must (statement_limit_ms = {statement}); \
                 others would take over work that is still under way"
            ),
        );
        let stop = self.pipeline.stop_limit_ms;
        expect(
            stop >= self.providers.call_limit_ms,
            Danger::Slight,
            format!("pipeline.stop_limit_ms = {stop} cuts off calls that may take providers.call_limit_ms"),
        );
        found
    }
}

/// What is weak about a secret.
fn weak(WebhookSecrets { key, now, .. }: WebhookSecrets<'_>) -> Option<String> {
    let secret = now.expose();
    if secret == SANDBOX_SECRET {
        return Some(format!(
            "{key} is the sandbox's, which everybody knows; make one with: openssl rand -base64 32"
        ));
    }
    let short = secret.len() < SECRET_CHARS_MIN;
    short.then(|| format!("{key} has fewer than {SECRET_CHARS_MIN} characters and could be guessed"))
}

/// The host of an address, without port and path.
pub(super) fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => host.split(':').next().unwrap_or(host),
    }
}

/// Whether a host is this machine.
pub(super) fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
