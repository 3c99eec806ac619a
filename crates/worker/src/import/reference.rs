//! What orders of a file are called here, and the keys under which they are sent.

use std::borrow::Cow;

use application::ports::IMPORTED;
use domain::text;
use sha2::{Digest, Sha256};

/// Bytes of the name of an order and its shop together. With the mapping's name and the number of a part it fits into what
/// the service takes.
const NUMBER_BYTES_MAX: usize = 160;

/// The name that an order has here: of the mapping, of the shop if there are several, and its own. Letters and their marks
/// are composed (NFC). A hyphen in the mapping's name becomes a tilde, which no such name holds: so the name ends at the first
/// hyphen, and orders of two mappings never have one name.
///
/// # Errors
/// If it cannot be one, in words.
pub(super) fn reference(mapping: &str, shop: Option<&str>, number: &str) -> Result<String, String> {
    let own = match shop {
        None => number.to_owned(),
        // A slash in a shop's name would make one name of two.
        Some(shop) => format!("{}/{number}", shop.replace('%', "%25").replace('/', "%2F")),
    };
    Ok(format!("{IMPORTED}{}-{}", mapping.replace('-', "~"), own_name(&own)?))
}

/// The other system's name for an order, with its shop if it has one, as it can be a part of the name here.
///
/// # Errors
/// If it cannot, in words.
pub(super) fn own_name(own: &str) -> Result<Cow<'_, str>, String> {
    let own = text::name(own, NUMBER_BYTES_MAX).map_err(|why| format!("the order's number {why}"))?;
    if own.len() > NUMBER_BYTES_MAX {
        return Err(format!(
            "the order's number is {} bytes long, at most {NUMBER_BYTES_MAX} are taken",
            own.len()
        ));
    }
    Ok(own)
}

/// The key under which an order is sent. What differs is another request, so that it is the order's name that tells whether
/// it is here already and what has changed since.
pub(super) fn key(reference: &str, body: &[u8]) -> String {
    let mut digest = Sha256::new();
    digest.update((reference.len() as u64).to_be_bytes());
    digest.update(reference);
    digest.update(body);
    let digest: [u8; 32] = digest.finalize().into();
    let short: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("file-{short}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_of_different_shops_never_have_one_name() {
        let names = [
            reference("m", Some("a"), "b/1"),
            reference("m", Some("a/b"), "1"),
            reference("m", Some("a%2Fb"), "1"),
            reference("m", None, "a-1"),
        ];
        let mut distinct: Vec<_> = names.iter().map(|name| name.as_ref().expect("a name")).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
    }

    #[test]
    fn orders_of_different_mappings_never_have_one_name() {
        let parts = ["shop", "shop-x", "x", "shop~x", "-", "--", "a.b", "1", "x-1", "-x-1", "x-", "~1"];
        let mut names = Vec::new();
        for mapping in parts.iter().filter(|name| !name.contains('~')) {
            names.extend(parts.iter().map(|number| reference(mapping, None, number).expect("a name")));
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert_eq!(reference("shop-x", None, "1"), Ok("import-shop~x-1".to_owned()));
    }

    #[test]
    fn a_name_may_hold_any_letters_and_is_bounded() {
        assert_eq!(reference("m", None, "№1001"), Ok("import-m-№1001".to_owned()));
        assert_eq!(reference("m", None, "e\u{301}"), reference("m", None, "\u{e9}"));
        assert!(
            reference("m", None, &"x".repeat(NUMBER_BYTES_MAX + 1))
                .expect_err("long")
                .contains("at most 160")
        );
        assert!(reference("m", None, "a\u{202e}b").expect_err("unseen").contains("202E"));
        assert!(key("import-m-№1001", b"{}").is_ascii());
    }
}
