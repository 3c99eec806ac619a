//! Decides whether a request comes in: its key, what the key may do, how often its caller has asked. On the hot path of every
//! request: one load where no key is needed, a digest and a look into memory where one is. Never asks the store.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use application::ports::Scope;
use bus::Clock;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Uri};
use tokio::time::Instant;

use super::hosts::{self, Hosts, Stranger};
use super::limiter::{Caller, Limiter, Rate};
use super::ring::{Identity, KeyRing};
use super::session::Sessions;
use super::{Access, Part};

/// The header that may hold a key, beside `Authorization: Bearer`.
const KEY_HEADER: &str = "x-api-key";

/// Where a request comes from; not told on a service that only this machine reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// What can be set about the gate.
#[derive(Clone, Debug)]
pub struct GateSettings {
    /// How often each caller may ask.
    pub rate: Rate,
    /// What is public.
    pub public: Vec<Part>,
    /// Whether others than this machine reach the service.
    pub reach: Reach,
}

/// From where the service can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This machine only. Without any key every caller on it may do everything.
    Here,
    /// Other machines too. Every caller needs a key.
    Beyond,
}

/// The gate.
pub struct Gate {
    ring: Arc<KeyRing>,
    limiter: Limiter,
    public: Vec<Part>,
    reach: Reach,
    hosts: Hosts,
    clock: Arc<dyn Clock>,
}

/// Why a request does not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It has no key.
    KeyMissing,
    /// Its key is none, or is revoked, or past its time.
    KeyUnknown,
    /// Its key may not do this.
    ScopeMissing(Scope),
    /// Its caller has asked too often.
    TooOften(Duration),
}

impl Gate {
    /// A gate of these settings, with the keys of this ring.
    #[must_use]
    pub fn new(settings: GateSettings, ring: Arc<KeyRing>, clock: Arc<dyn Clock>) -> Self {
        let GateSettings { rate, public, reach } = settings;
        Self { ring, limiter: Limiter::new(rate), public, reach, hosts: Hosts::default(), clock }
    }

    /// The same gate, also reachable under these host names while no key exists.
    #[must_use]
    pub fn reached_as(self, hosts: Hosts) -> Self {
        Self { hosts, ..self }
    }

    /// Whether a request names this host and does not come from another site's page; checked while no key exists.
    pub(crate) fn is_of_here(
        &self,
        access: Access,
        request: (&Method, &Uri, &HeaderMap),
    ) -> Result<(), Stranger> {
        self.hosts.check(access, request)
    }

    /// Whose key this text is, if it is one that is in force.
    pub(crate) fn identify(&self, text: &str) -> Option<Identity> {
        self.ring.identify(text, self.clock.now())
    }

    /// A session for a person with this key, as a text for their browser.
    pub(crate) fn begin_session(&self, sessions: &Sessions, identity: &Identity) -> Option<String> {
        let now = self.clock.now();
        let (identity, digest) = self.ring.of_id(&identity.id, now)?;
        Some(sessions.begin(&identity.id, &digest, now))
    }

    /// Whose session this is, if it goes on and their key is still in force.
    pub(crate) fn session(&self, sessions: &Sessions, token: &str) -> Option<Identity> {
        let now = self.clock.now();
        sessions.read(token, now, |id| self.ring.of_id(id, now))
    }

    /// Counts a request of a person who signed in as one of their key's.
    pub(crate) fn count_session(&self, identity: &Identity, now: Instant) -> Result<(), Duration> {
        self.limiter.admit(Caller::Key(Arc::clone(&identity.id)), now)
    }

    /// Whether a request that changes something was sent by a page of this very host. A browser cannot forge these
    /// headers; what has neither of them is no browser, and has no session to abuse.
    pub(crate) fn is_of_own_page(&self, request: (&Method, &Uri, &HeaderMap)) -> bool {
        hosts::is_of_own_page(request)
    }

    /// A gate without checks, for a service that only this machine reaches.
    #[must_use]
    pub fn open(clock: Arc<dyn Clock>) -> Self {
        let rate = Rate { per_second: 0, burst: 0 };
        let settings = GateSettings { rate, public: Vec::new(), reach: Reach::Here };
        Self::new(settings, Arc::new(KeyRing::new(None)), clock)
    }

    /// Whether requests are checked: as soon as there is a key, or other machines reach the service.
    #[must_use]
    pub(crate) fn is_closed(&self) -> bool {
        self.reach == Reach::Beyond || self.ring.any()
    }

    /// Whether a request comes in that wants this.
    pub(crate) fn admit(
        &self,
        access: Access,
        headers: &HeaderMap,
        peer: Option<Peer>,
        now: Instant,
    ) -> Result<Option<Identity>, Refused> {
        let shown = key_of(headers);
        let identity = shown.and_then(|text| self.ring.identify(text, self.clock.now()));
        self.count(identity.as_ref(), peer, now)?;
        let needed = match access {
            Access::Anybody | Access::Page => return Ok(identity),
            Access::Part(part, _) if self.public.contains(&part) => return Ok(identity),
            Access::Part(_, scope) | Access::Scope(scope) => scope,
        };
        match identity {
            Some(identity) if identity.scopes.allow(needed) => Ok(Some(identity)),
            Some(_) => Err(Refused::ScopeMissing(needed)),
            None if shown.is_some() => Err(Refused::KeyUnknown),
            None => Err(Refused::KeyMissing),
        }
    }

    /// A caller without a key on this very machine, such as a probe, is not counted.
    fn count(&self, identity: Option<&Identity>, peer: Option<Peer>, now: Instant) -> Result<(), Refused> {
        let caller = match (identity, peer) {
            (Some(identity), _) => Caller::Key(Arc::clone(&identity.id)),
            (None, Some(Peer(address))) if !address.to_canonical().is_loopback() => Caller::at(address),
            (None, Some(_) | None) => return Ok(()),
        };
        self.limiter.admit(caller, now).map_err(Refused::TooOften)
    }
}

/// The key that a request shows.
fn key_of(headers: &HeaderMap) -> Option<&str> {
    let bearer = || {
        let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    };
    headers.get(KEY_HEADER).and_then(|value| value.to_str().ok()).or_else(bearer)
}
