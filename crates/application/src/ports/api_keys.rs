//! API keys as stored: the scopes of a key, and the digest of its secret. Never the secret.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use bus::Fault;
use jiff::Timestamp;

use super::AuditEntry;

/// A scope of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Read orders, their histories and sagas, without what tells who somebody is.
    OrdersRead,
    /// Place orders and cancel them.
    OrdersWrite,
    /// Read products and stock.
    StockRead,
    /// Change products and stock.
    StockWrite,
    /// Read the service's state, help sagas, redrive dead letters.
    Operate,
    /// Everything.
    Admin,
    /// Import files of another system's orders. Whoever may do so speaks for that system: two importers share its orders.
    OrdersImport,
    /// See personal data in what other scopes read; it is hidden from everybody else.
    PersonalRead,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::OrdersRead,
        Self::OrdersWrite,
        Self::OrdersImport,
        Self::PersonalRead,
        Self::StockRead,
        Self::StockWrite,
        Self::Operate,
        Self::Admin,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrdersRead => "orders:read",
            Self::OrdersWrite => "orders:write",
            Self::OrdersImport => "orders:import",
            Self::PersonalRead => "personal:read",
            Self::StockRead => "stock:read",
            Self::StockWrite => "stock:write",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|scope| scope.as_str()).collect();
            format!("there is no scope '{text}'; there are {}", known.join(", "))
        })
    }
}

/// Several scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Whether they include this scope.
    #[must_use]
    pub const fn allow(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.0 & scope.bit() != 0)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Scope::as_str).collect();
        f.write_str(&names.join(" "))
    }
}

impl FromStr for Scopes {
    type Err = String;

    /// Names with spaces or commas between them.
    fn from_str(text: &str) -> Result<Self, String> {
        text.split([' ', ',']).filter(|name| !name.is_empty()).map(str::parse).collect()
    }
}

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The public part of the key.
    pub id: String,
    /// Its name.
    pub name: String,
    /// SHA-256 of the secret part.
    pub digest: [u8; 32],
    /// What it may do.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it expires, if that was set.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, if it was. A revoked key stays, so that a caller can be told about it.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// The audit entry for its creation.
    #[must_use]
    pub fn creation(&self, actor: &str) -> AuditEntry {
        audited("keys create", self.created_at, actor, &self.id, self.scopes.to_string())
    }

    /// The audit entry for revoking the key of this id.
    #[must_use]
    pub fn revocation(id: &str, actor: &str, at: Timestamp) -> AuditEntry {
        audited("keys revoke", at, actor, id, String::new())
    }
}

fn audited(action: &str, at: Timestamp, actor: &str, id: &str, note: String) -> AuditEntry {
    let subject = format!("key {id}");
    AuditEntry { at, actor: actor.to_owned(), action: action.to_owned(), subject, note }
}

impl ApiKey {
    /// Whether it is valid at this moment.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// The store of keys.
#[async_trait]
pub trait ApiKeys: Send + Sync + 'static {
    /// Adds a key and its audit entry, in one transaction.
    ///
    /// # Errors
    /// Those of the store; [`bus::Verdict::GiveUp`] if the id exists.
    async fn add_key(&self, key: &ApiKey, actor: &str) -> Result<(), Fault>;

    /// Revokes a key and adds its audit entry, in one transaction. Returns whether there was a key to revoke.
    ///
    /// # Errors
    /// Those of the store.
    async fn revoke_key(&self, id: &str, actor: &str, now: Timestamp) -> Result<bool, Fault>;

    /// Up to `max` keys, oldest first, revoked and expired ones included.
    ///
    /// # Errors
    /// Those of the store.
    async fn keys(&self, max: usize) -> Result<Vec<ApiKey>, Fault>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_what_their_names_say_and_admin_is_all_of_them() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
            let alone: Scopes = [scope].into_iter().collect();
            assert_eq!(alone.to_string().parse(), Ok(alone));
            for other in Scope::ALL {
                assert_eq!(alone.allow(other), scope == other || scope == Scope::Admin, "{scope} {other}");
            }
        }
        let two: Scopes = "orders:read, operate".parse().expect("two scopes");
        assert_eq!(two.to_string(), "orders:read operate");
        assert!("orders:reed".parse::<Scopes>().is_err_and(|told| told.contains("orders:read")));
        assert!(
            Scopes::default().is_empty() && !Scope::ALL.iter().any(|scope| Scopes::default().allow(*scope))
        );
    }
}
