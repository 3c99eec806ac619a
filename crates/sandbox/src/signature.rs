//! Signs webhooks by the rules of Standard Webhooks. Must never log or show the secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

#[derive(Clone)]
pub(crate) struct Signer(Hmac<Sha256>);

/// The part after `whsec_` is not base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MalformedSecret;

impl Signer {
    pub(crate) fn new(secret: &str) -> Result<Self, MalformedSecret> {
        let key = match secret.strip_prefix("whsec_") {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| MalformedSecret)?,
            None => secret.as_bytes().to_vec(),
        };
        Hmac::new_from_slice(&key).map(Self).map_err(|_| MalformedSecret)
    }

    /// The value of `webhook-signature` for this id, time (Unix seconds) and body.
    pub(crate) fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(id.as_bytes());
        mac.update(format!(".{timestamp_s}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_gets_the_signature_of_the_standard() {
        let signer = Signer::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a valid secret");
        let signature =
            signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_claims_to_be_base64_and_is_not_is_refused() {
        assert_eq!(Signer::new("whsec_***").err(), Some(MalformedSecret));
    }
}
