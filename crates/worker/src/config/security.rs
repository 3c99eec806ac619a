//! Who may reach the service, and how. Holds the settings only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;
use crate::security::Part;

/// Characters that a configured key has at least.
const ADMIN_KEY_CHARS_MIN: usize = 32;

/// Minutes of a session at most: a month.
const SESSION_MINUTES_MAX: u32 = 43_200;

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
    /// What the operators' page is: `on`, `read_only` (it shows everything and changes nothing) or `off`.
    pub page: PageMode,
    /// Signs the sessions of people who sign in on the page; 32 characters at least, the same for all workers behind one address.
    /// Empty for one made at the start: a restart then signs everybody out.
    pub session_secret: Secret,
    /// Minutes that a person stays signed in.
    pub session_minutes: u32,
    /// The path below which a proxy shows this service, such as `/orderwright`; empty for none.
    pub base_path: String,
    /// File with the certificates to show, own first, in PEM; empty to speak without TLS.
    pub tls_cert: String,
    /// File with the key of the certificate, in PEM.
    pub tls_key: String,
}

/// What the operators' page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum PageMode {
    /// It shows and acts.
    On,
    /// It shows.
    ReadOnly,
    /// It is not there.
    Off,
}

/// Whether this is empty or an absolute path of plain segments.
fn is_base_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let segment =
        |segment: &str| !segment.is_empty() && segment.bytes().all(plain) && !segment.starts_with('.');
    path.is_empty() || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment))
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
            page: PageMode::On,
            session_secret: Secret::default(),
            session_minutes: 720,
            base_path: String::new(),
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
        if (1..ADMIN_KEY_CHARS_MIN).contains(&self.session_secret.expose().len()) {
            mistakes.push(format!(
                "security.session_secret has fewer than {ADMIN_KEY_CHARS_MIN} characters; make one with: openssl rand -base64 32"
            ));
        }
        if !(1..=SESSION_MINUTES_MAX).contains(&self.session_minutes) {
            let found = self.session_minutes;
            mistakes.push(format!(
                "security.session_minutes = {found} is not between 1 and {SESSION_MINUTES_MAX}"
            ));
        }
        if !is_base_path(&self.base_path) {
            mistakes.push(format!(
                "security.base_path = '{}' is no path: write it like /orderwright, of letters, digits and - _ . ~, without a slash \
                 at its end",
                self.base_path
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
