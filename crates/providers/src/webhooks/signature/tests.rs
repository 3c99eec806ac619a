//! The laws of signatures: what was not signed is refused, whatever was changed. Speaks to no provider.

use proptest::prelude::*;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SENT_S: i64 = 1_614_265_330;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

/// An independent signer: hashes by the definition of HMAC, without the crate that verifies.
fn sign(secret: &[u8], id: &str, timestamp: &str, body: &[u8]) -> String {
    use sha2::Digest;
    assert!(secret.len() <= 64, "longer keys are hashed first");
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        secret.iter().zip(&mut block).for_each(|(key, slot)| *slot ^= key);
        block
    };
    let content = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    let inner = Sha256::digest([&pad(0x36)[..], &content].concat());
    let outer = Sha256::digest([&pad(0x5c)[..], &inner].concat());
    format!("v1,{}", STANDARD.encode(outer))
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    let at = bit % (bytes.len() * 8);
    flipped[at / 8] ^= 1 << (at % 8);
    flipped
}

proptest! {
    #[test]
    fn what_a_holder_of_the_secret_signs_is_believed(
        secret in "[!-~]{1,64}".prop_filter("not encoded", |secret| !secret.starts_with("whsec_")),
        id in "[a-zA-Z0-9_-]{1,40}",
        body: Vec<u8>,
        drift_s in -300_i64..=300,
    ) {
        let signature = sign(secret.as_bytes(), &id, &SENT_S.to_string(), &body);
        let verifier = Verifier::new(&secret).expect("a secret");
        let verdict = verifier.verify(&id, &SENT_S.to_string(), &signature, &body, at(SENT_S + drift_s));
        prop_assert_eq!(verdict, Ok(()));
    }

    #[test]
    fn any_flipped_bit_is_refused(
        id in "[a-zA-Z0-9_-]{1,40}",
        body in prop::collection::vec(any::<u8>(), 1..200),
        part in 0..4_usize,
        bit: usize,
    ) {
        let timestamp = SENT_S.to_string();
        let signature = sign(b"secret", &id, &timestamp, &body);
        let mut parts = [id.into_bytes(), timestamp.into_bytes(), signature.into_bytes(), body];
        parts[part] = flipped(&parts[part], bit);
        let [id, timestamp, signature, body] = &parts;
        let texts = [id, timestamp, signature].map(|text| std::str::from_utf8(text));
        // A header that is no text never gets as far as the verifier.
        if let [Ok(id), Ok(timestamp), Ok(signature)] = texts {
            let verdict = Verifier::new("secret").expect("a secret").verify(id, timestamp, signature, body, at(SENT_S));
            prop_assert!(verdict.is_err());
        }
    }

    #[test]
    fn nothing_that_a_stranger_sends_is_believed_or_makes_it_panic(
        id in "\\PC{0,20}", timestamp in "\\PC{0,20}|1614265330", signature in "\\PC{0,60}|v1,[A-Za-z0-9+/]{43}=", body: Vec<u8>,
    ) {
        let verifier = Verifier::new(SECRET).expect("a secret");
        prop_assert!(verifier.verify(&id, &timestamp, &signature, &body, at(SENT_S)).is_err());
    }

    #[test]
    fn moving_the_border_between_id_time_and_body_is_refused(tail in "[0-9]{1,10}") {
        let id = format!("msg.{tail}");
        let signature = sign(b"secret", &id, &SENT_S.to_string(), b"body");
        let verifier = Verifier::new("secret").expect("a secret");
        let moved = format!("{SENT_S}.body");
        prop_assert!(verifier.verify("msg", &tail, &signature, moved.as_bytes(), at(SENT_S)).is_err());
        prop_assert!(verifier.verify(&id, &SENT_S.to_string(), &signature, b"body", at(SENT_S)).is_err());
    }
}

#[test]
fn the_example_of_the_standard_is_believed() {
    let verdict = Verifier::new(SECRET).expect("a secret").verify(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "1614265330",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        br#"{"test": 2432232314}"#,
        at(SENT_S),
    );
    assert_eq!(verdict, Ok(()));
}

#[test]
fn messages_from_outside_the_tolerance_are_refused_though_well_signed() {
    let signature = sign(b"secret", "msg", &SENT_S.to_string(), b"body");
    let verifier = Verifier::new("secret").expect("a secret");
    let at_age = |age_s| verifier.verify("msg", &SENT_S.to_string(), &signature, b"body", at(SENT_S + age_s));
    assert_eq!(at_age(300), Ok(()));
    assert_eq!(at_age(301), Err(SignatureRefused::TooOld));
    assert_eq!(at_age(-300), Ok(()));
    assert_eq!(at_age(-301), Err(SignatureRefused::TooNew));
}

#[test]
fn while_secrets_are_rotated_both_ends_may_go_first() {
    let (old, new) = (sign(b"old", "msg", "1614265330", b"x"), sign(b"new", "msg", "1614265330", b"x"));
    let believed = |verifier: &Verifier, header: &str| {
        verifier.verify("msg", "1614265330", header, b"x", at(SENT_S)).is_ok()
    };
    let only_old = Verifier::new("old").expect("a secret");
    let both = Verifier::new("new").and_then(|verifier| verifier.accepting("old")).expect("secrets");
    assert!(believed(&only_old, &format!("{new} {old}")), "the sender signs with both");
    assert!(believed(&both, &old) && believed(&both, &new), "the receiver knows both");
    assert!(!believed(&only_old, &new));
    assert!(believed(&only_old, &format!("v1a,whatever v1,%%% {old}")), "others beside it do no harm");
}

#[test]
fn the_reason_for_a_refusal_is_clear() {
    let verifier = Verifier::new("secret").expect("a secret");
    let good = sign(b"secret", "msg", "1614265330", b"x");
    let many = ["v1,AAAA"; 9].join(" ");
    let cases = [
        ("", "1614265330", good.as_str(), SignatureRefused::MalformedId),
        ("a.b", "1614265330", &good, SignatureRefused::MalformedId),
        ("msg", "", &good, SignatureRefused::MalformedTimestamp),
        ("msg", "-5", &good, SignatureRefused::MalformedTimestamp),
        ("msg", "99999999999999999999", &good, SignatureRefused::MalformedTimestamp),
        ("msg", "1614265330", "", SignatureRefused::NoSignature),
        ("msg", "1614265330", "v2,AAAA", SignatureRefused::NoSignature),
        ("msg", "1614265330", &many, SignatureRefused::TooManySignatures),
        ("other", "1614265330", &good, SignatureRefused::Mismatch),
    ];
    for (id, timestamp, signature, reason) in cases {
        assert_eq!(
            verifier.verify(id, timestamp, signature, b"x", at(SENT_S)),
            Err(reason),
            "{id} {timestamp}"
        );
    }
}

#[test]
fn what_cannot_be_a_secret_is_refused_and_no_secret_is_shown() {
    assert_eq!(Verifier::new("").err(), Some(InvalidSecret::Empty));
    assert_eq!(Verifier::new("whsec_").err(), Some(InvalidSecret::Empty));
    assert_eq!(Verifier::new("whsec_***").err(), Some(InvalidSecret::NotBase64));
    let four =
        (1..4).try_fold(Verifier::new("s0").expect("a secret"), |all, n| all.accepting(&format!("s{n}")));
    assert_eq!(
        four.expect("secrets").accepting("s4").err(),
        Some(InvalidSecret::TooMany { secrets_max: limits::SECRETS_MAX })
    );
    assert_eq!(format!("{:?}", Verifier::new("hush").expect("a secret")), "Verifier { secrets: 1, .. }");
}
