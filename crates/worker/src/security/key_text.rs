//! A key as its owner has it: `ow_ID_SECRET`. Only its digest is stored, and only the command that creates it shows
//! it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// How every key begins, so that one is recognised where it should not be.
const PREFIX: &str = "ow_";

/// Bytes of an id, and of a secret: 256 bits cannot be guessed, so a plain digest is safe to store.
const ID_BYTES: usize = 5;
const SECRET_BYTES: usize = 32;

/// Characters of a secret in base64.
const SECRET_CHARS: usize = 43;

/// A key, whole.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText {
    id: String,
    secret: String,
}

impl KeyText {
    /// Makes a key of random bytes, which `fill` gives.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn make<E>(fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut random = [0; ID_BYTES + SECRET_BYTES];
        fill(&mut random)?;
        let (id, secret) = random.split_at(ID_BYTES);
        let id = id.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { id, secret: URL_SAFE_NO_PAD.encode(secret) })
    }

    /// The key that a text is, if it has the form of one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = split(text)?;
        Some(Self { id: id.to_owned(), secret: secret.to_owned() })
    }

    /// The part that is no secret.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is kept of the part that is.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        digest(&self.secret)
    }

    /// The whole, to be shown once.
    #[must_use]
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, self.secret)
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}_******", self.id)
    }
}

/// Id and secret of a text that has the form of a key.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let hexadecimal = id.len() == 2 * ID_BYTES && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hexadecimal && secret.len() == SECRET_CHARS).then_some((id, secret))
}

/// SHA-256 of a secret.
#[must_use]
pub fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_being_written_and_never_shows_its_secret_by_chance() {
        let key = KeyText::make(|bytes| {
            bytes.iter_mut().zip(200_u8..).for_each(|(byte, number)| *byte = number);
            Ok::<(), ()>(())
        });
        let key = key.expect("it was filled");
        let text = key.expose();
        assert_eq!(KeyText::parse(&text), Some(key.clone()));
        assert!(!format!("{key:?}").contains(&key.secret));
        for wrong in
            ["", "ow_", "ow__", "ow_c8c9cacbcc_", "xx_c8c9cacbcc_y", &text[1..], &text[..text.len() - 1]]
        {
            assert_eq!(KeyText::parse(wrong), None, "{wrong}");
        }
    }
}
