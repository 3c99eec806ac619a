//! The address of the database: a file of our own or a server. Never shows the password that may be in it.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::STARS;

/// How the address of a server begins.
const SERVER: [&str; 2] = ["postgres://", "postgresql://"];

/// Where the data lies, as it was written.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline, extend("x-secret" = true))]
pub struct DatabaseAddress(String);

/// Where the data lies, as it is meant.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of the embedded store.
    File(PathBuf),
    /// A PostgreSQL server, by its whole address.
    Postgres(String),
}

impl DatabaseAddress {
    /// What it means; none if it cannot mean anything.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        if SERVER.iter().any(|scheme| self.0.starts_with(scheme)) {
            return Some(Place::Postgres(self.0.clone()));
        }
        let path = self.0.strip_prefix("sqlite:").unwrap_or(&self.0);
        (!path.is_empty() && !is_meant_for_a_server(path)).then(|| Place::File(PathBuf::from(path)))
    }

    /// Why it cannot mean anything, without a word of it that may be a secret.
    #[must_use]
    pub fn mistake(&self) -> Option<String> {
        if self.place().is_some() {
            return None;
        }
        let path = self.0.strip_prefix("sqlite:").unwrap_or(&self.0);
        Some(if path.starts_with("file:") {
            "database begins with 'file:', which is no part of a path; write the path alone, or sqlite:PATH"
                .to_owned()
        } else if is_meant_for_a_server(path) {
            "database is like the address of a server, and is none that is known; write a path without '@', '//' and ';', \
             sqlite:PATH or postgres://user:password@host/database"
                .to_owned()
        } else {
            "database names no file; write a path, sqlite:PATH or postgres://user:password@host/database"
                .to_owned()
        })
    }

    /// The address with its password, for a process that we start.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for DatabaseAddress {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for DatabaseAddress {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place().is_none() && is_meant_for_a_server(&self.0) {
            return f.write_str(STARS);
        }
        f.write_str(&without_parameters(&without_user(&self.0)))
    }
}

impl fmt::Debug for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for DatabaseAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `scheme://user:password@…`, without all of the user's part: a token may stand there alone. The last `@` counts, so that none
/// of a password shows that was not escaped.
fn without_user(address: &str) -> String {
    let hidden = || {
        let user = address.find("://")? + 3;
        let at = user + address[user..].rfind('@')?;
        Some(format!("{}{STARS}{}", &address[..user], &address[at..]))
    };
    hidden().unwrap_or_else(|| address.to_owned())
}

/// An address of a server as anybody may see it.
pub(super) fn seen(address: &str) -> String {
    let Some((_, rest)) = address.split_once("://") else { return STARS.to_owned() };
    // What is no port may be the beginning of a password that holds a comma.
    let place =
        rest.rsplit('@').next().and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    let port = place.rsplit_once(':').map_or("", |(_, port)| port);
    if !(port.ends_with(']') || port.bytes().all(|byte| byte.is_ascii_digit())) {
        return STARS.to_owned();
    }
    without_parameters(&without_user(address))
}

/// What of the parameters behind an address anybody may see; another may be a secret, however it is spelled.
const SHOWN: [&str; 12] = [
    "heartbeat",
    "frame_max",
    "connection_timeout",
    "channel_max",
    "sslmode",
    "sslrootcert",
    "application_name",
    "connect_timeout",
    "target_session_attrs",
    "user",
    "dbname",
    "options",
];

/// `…?password=…&…`.
fn without_parameters(address: &str) -> String {
    let Some(query) = address.find('?') else { return address.to_owned() };
    let parameters = address[query + 1..].split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, _)) if SHOWN.contains(&name) => parameter.to_owned(),
        Some((name, _)) => format!("{name}={STARS}"),
        None => parameter.to_owned(),
    });
    format!("{}?{}", &address[..query], parameters.collect::<Vec<_>>().join("&"))
}

/// Words before a `=` in the other form that clients of a server take.
const WORDS: [&str; 10] = [
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "passfile",
    "service",
    "sslmode",
    "sslpassword",
];

/// Whether this is the other form of a server's address: `host=… user=… password=…`.
fn is_key_value(address: &str) -> bool {
    let mut words = address.split_whitespace().filter_map(|word| word.split_once('=')).map(|(name, _)| name);
    words.any(|name| WORDS.iter().any(|known| name.eq_ignore_ascii_case(known)))
        || address.to_ascii_lowercase().contains("password")
            && address.contains('=')
            && !address.contains("://")
}

/// Whether a text is more like the address of a server than like a path, however it is mistyped. It may hold a password, which
/// must not become the name of a file.
fn is_meant_for_a_server(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let schemes = ["postgres:", "postgresql:", "mysql:", "sqlserver:", "file:"];
    is_key_value(path)
        || path.contains('@')
        || path.contains("//")
        || path.contains('=') && path.contains(';')
        || ["pwd=", "passwd=", "server="].iter().any(|word| lower.contains(word))
        || schemes.iter().any(|scheme| lower.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown_wherever_it_stands() {
        for (written, shown) in [
            ("postgres://me:pass-word@host:1/db", "postgres://******@host:1/db"),
            ("postgres://me:pass@word:x@host/db", "postgres://******@host/db"),
            ("postgres://pass-word@host/db", "postgres://******@host/db"),
            (
                "postgresql://host/db?user=me&password=pass-word",
                "postgresql://host/db?user=me&password=******",
            ),
            ("postgres://me@host/db?sslmode=prefer", "postgres://******@host/db?sslmode=prefer"),
            ("oracle://me:pass-word@host", "******"),
            ("postgres:/me:pass-word@host/db", "******"),
            ("data/orders.db", "data/orders.db"),
            ("postgres://me:pa/s?s@host/db", "postgres://******@host/db"),
            (
                "postgres://host/db?PassWord=pass-word&sslmode=require",
                "postgres://host/db?PassWord=******&sslmode=require",
            ),
            ("host=h user=me password=pass-word", "******"),
            ("dbname=d passfile=pass-word", "******"),
            ("password = 'pass-word' host = h", "******"),
            ("postgres//me:pass-word@h/db", "******"),
            ("Server=h;Pwd=pass-word;", "******"),
            ("sqlite:me:pass-word@h", "******"),
        ] {
            let address = DatabaseAddress::from(written);
            assert_eq!((address.to_string().as_str(), format!("{address:?}").as_str()), (shown, shown));
            assert_eq!(serde_json::to_value(&address).expect("a text"), shown);
        }
    }

    #[test]
    fn a_server_is_told_from_a_file() {
        let is_server = |text: &str| matches!(DatabaseAddress::from(text).place(), Some(Place::Postgres(_)));
        let is_file = |text: &str| matches!(DatabaseAddress::from(text).place(), Some(Place::File(_)));
        assert!(["postgres://h/d", "postgresql://h/d"].iter().all(|text| is_server(text)));
        assert!(["o.db", "sqlite:o.db", "/a/b c.db", "postgres.db"].iter().all(|text| is_file(text)));
        for nothing in [
            "",
            "sqlite:",
            "mysql://h/d",
            "postgres:/h/d",
            "postgresql:h",
            "host=h dbname=d",
            "sqlite:host=h",
            "postgres//u:pass-word@h/db",
            "postgres:u:pass-word@h/db",
            "Postgres://u:pass-word@h/db",
            "postgres/u:pass-word@h/db",
            "mysql:h",
            "u:pass-word@h",
            "Server=h;Pwd=pass-word;",
            "Data Source=h;User=u;Passwd=pass-word",
            "pwd=pass-word",
            "//u:pass-word/db",
            "file:o.db",
            "sqlite:file:o.db",
        ] {
            let address = DatabaseAddress::from(nothing);
            assert!(address.place().is_none(), "{nothing}");
            let told = address.mistake().expect("a mistake");
            assert!(told.contains("write") && !told.contains("pass-word"), "{told}");
        }
        assert!(DatabaseAddress::from("o.db").mistake().is_none());
        assert!(
            DatabaseAddress::from("file:o.db")
                .mistake()
                .is_some_and(|told| told.contains("begins with 'file:'"))
        );
    }
}
