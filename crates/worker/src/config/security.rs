//! Who may reach the service, and how. Holds the settings only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;
use crate::security::Part;

/// Characters that a configured key has at least.
const ADMIN_KEY_CHARS_MIN: usize = 32;

/// Who may reach the service, and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// A key that may do everything, beside those made with `orderwright keys create`; empty for none.
    pub admin_key: Secret,
    /// How often keys are read again, in milliseconds: a revoked one lets nobody in after that.
    pub keys_refresh_ms: u64,
    /// What anybody may see without a key: `health` (live and ready), `metrics`, `docs`.
    pub public: Vec<Part>,
    /// Names under which the service may be reached while there is no key, beside `localhost` and the addresses of this machine:
    /// host names without a port. Once there is a key, any name will do.
    pub hosts: Vec<String>,
    /// Requests per second of one key, or of one address without a key, in the long run; 0 is no limit. Callers on this machine
    /// without a key are not limited.
    pub requests_per_second_max: u32,
    /// Requests at once after a rest.
    pub requests_burst_max: u32,
    /// File with the certificates to show, own first, in PEM; empty to speak without TLS.
    pub tls_cert: String,
    /// File with the key of the certificate, in PEM.
    pub tls_key: String,
}

impl Default for Security {
    fn default() -> Self {
        Self {
            admin_key: Secret::default(),
            keys_refresh_ms: 2_000,
            public: vec![Part::Health, Part::Docs],
            hosts: Vec::new(),
            requests_per_second_max: 500,
            requests_burst_max: 1_000,
            tls_cert: String::new(),
            tls_key: String::new(),
        }
    }
}

impl Security {
    /// Values that cannot work, each with what would.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if (1..ADMIN_KEY_CHARS_MIN).contains(&self.admin_key.expose().len()) {
            mistakes.push(format!(
                "security.admin_key has fewer than {ADMIN_KEY_CHARS_MIN} characters; make one with: openssl rand -base64 32"
            ));
        }
        if !(100..=60_000).contains(&self.keys_refresh_ms) {
            let found = self.keys_refresh_ms;
            mistakes.push(format!("security.keys_refresh_ms = {found} is not between 100 and 60000"));
        }
        for host in self.hosts.iter().filter(|host| !is_host(host)) {
            mistakes.push(format!(
                "security.hosts holds '{}', which is no host name; write it without scheme and port",
                host.escape_debug()
            ));
        }
        if self.tls_cert.is_empty() != self.tls_key.is_empty() {
            mistakes.push("security.tls_cert and security.tls_key go together; name both or none".to_owned());
        }
        mistakes
    }
}

/// Whether a text can be a host name, or an address in place of one.
fn is_host(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_address = || text.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    !text.is_empty() && (text.chars().all(fits) || is_address())
}
