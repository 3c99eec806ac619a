//! Sessions of people who signed in with a key. A session is a signed text in a cookie, so every worker that has the
//! same secret knows it and nothing is stored. It names the key, never holds it, and ends with it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

use super::ring::Identity;

/// Bytes of a secret that is made here.
const SECRET_BYTES: usize = 32;

/// Makes sessions and knows its own.
pub struct Sessions {
    secret: Vec<u8>,
    lasting: Duration,
}

impl Sessions {
    /// Sessions under this secret, each of this length.
    #[must_use]
    pub fn new(secret: &str, lasting: Duration) -> Self {
        Self { secret: secret.as_bytes().to_vec(), lasting }
    }

    /// Sessions under a secret of random bytes: they end with this process, and no other worker knows them.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn of_this_process<E>(
        lasting: Duration,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut secret = vec![0; SECRET_BYTES];
        fill(&mut secret)?;
        Ok(Self { secret, lasting })
    }

    /// How long a session lasts.
    #[must_use]
    pub const fn lasting(&self) -> Duration {
        self.lasting
    }

    /// A session of the key with this id and digest, from now on.
    pub(super) fn begin(&self, id: &str, digest: &[u8; 32], now: Timestamp) -> String {
        let lasting = SignedDuration::try_from(self.lasting).unwrap_or(SignedDuration::ZERO);
        let end = now.saturating_add(lasting).unwrap_or(now).as_second();
        let signature = URL_SAFE_NO_PAD.encode(self.signed(id, end, digest).finalize().into_bytes());
        format!("{id}.{end}.{signature}")
    }

    /// Whose session this is, unless it is past its time, forged, or of a key that has changed or gone.
    pub(super) fn read(
        &self,
        token: &str,
        now: Timestamp,
        key: impl FnOnce(&str) -> Option<(Identity, [u8; 32])>,
    ) -> Option<Identity> {
        let mut parts = token.splitn(3, '.');
        let (id, end, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let end: i64 = end.parse().ok()?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let (identity, digest) = key(id)?;
        self.signed(id, end, &digest).verify_slice(&signature).ok()?;
        (now.as_second() < end).then_some(identity)
    }

    fn signed(&self, id: &str, end: i64, digest: &[u8; 32]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes a key of any length");
        mac.update(b"orderwright session\0");
        mac.update(&end.to_be_bytes());
        mac.update(digest);
        mac.update(id.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use application::ports::Scope;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn key(id: &str) -> Option<(Identity, [u8; 32])> {
        let scopes = [Scope::Operate].into_iter().collect();
        (id == "ab12").then(|| (Identity { id: id.into(), name: "ops".into(), scopes }, [7; 32]))
    }

    #[test]
    fn a_session_is_known_until_its_end_by_those_with_the_secret_and_while_its_key_stays() {
        let sessions = Sessions::new("a secret of the deployment", HOUR);
        let now = Timestamp::UNIX_EPOCH;
        let at = |seconds| Timestamp::from_second(seconds).expect("a time");
        let token = sessions.begin("ab12", &[7; 32], now);
        assert_eq!(sessions.read(&token, at(3_599), key), key("ab12").map(|(identity, _)| identity));
        assert_eq!(sessions.read(&token, at(3_600), key), None, "its time is over");
        assert_eq!(sessions.read(&token, now, |_| None), None, "its key is revoked");
        let renewed = |id: &str| key(id).map(|(identity, _)| (identity, [8; 32]));
        assert_eq!(sessions.read(&token, now, renewed), None, "its key is another under the same id");
        assert_eq!(Sessions::new("another secret", HOUR).read(&token, now, key), None);
        let (head, signature) = token.rsplit_once('.').expect("three parts");
        let longer = format!("ab12.{}.{signature}", 999_999);
        for forged in
            ["", "ab12", "ab12.3600", &format!("{head}."), &longer, &format!("{head}.AAAA"), "..", "a.b.c.d"]
        {
            assert_eq!(sessions.read(forged, now, key), None, "{forged}");
        }
    }
}
