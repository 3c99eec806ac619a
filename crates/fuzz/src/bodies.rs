//! What clients and providers send over HTTP.

use jiff::Timestamp;
use providers::webhooks::{Verifier, parse_batch};
use worker::http::{Reader, Verdict};

/// A secret for this test only.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Whatever is wrong with a body is the client's mistake, never the service's.
pub(crate) fn api(reader: Reader, bytes: &[u8]) {
    match reader.read(bytes) {
        Verdict::Taken => {}
        Verdict::Refused(status) => assert!(status.is_client_error(), "{reader:?} is refused with {status}"),
    }
}

/// A batch that is refused is refused as a whole, in words.
pub(crate) fn webhook_events(bytes: &[u8]) {
    match parse_batch(bytes) {
        Ok(events) => events.iter().for_each(|event| drop(format!("{event:?}"))),
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
}

/// Id, time and signatures in the first three lines, then the body. Fuzzing cannot guess a signature.
pub(crate) fn webhook_signature(bytes: &[u8]) {
    let verifier = Verifier::new(SECRET).expect("a secret");
    let mut parts = bytes.splitn(4, |byte| *byte == b'\n');
    let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (id, moment, signatures) = (text(), text(), text());
    let body = parts.next().unwrap_or_default();
    let verified = verifier.verify(&id, &moment, &signatures, body, Timestamp::UNIX_EPOCH);
    let refused = verified.expect_err("a signature was guessed");
    let said = refused.to_string();
    assert!(!said.contains("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "the secret is told: {said}");
}
