//! Ids. An id is made outside and passed in, or derived from another. Nothing here draws randomness: the same parent
//! and ordinal give the same child, so publishing twice is a repeat.

use std::{fmt, str::FromStr, sync::Arc};

use uuid::Uuid;

use crate::text::{InvalidText, is_unfit, name, refuse_unless};

/// The longest a [`CustomerId`] or a [`Sku`] may be, in characters.
pub const TEXT_CHARS_MAX: usize = 64;

/// The namespace that turns a SKU into a product id. Frozen: changing it would rename every product.
const PRODUCT_NAMESPACE: Uuid = Uuid::from_u128(0x6f72_6465_7277_5269_8768_7470_726f_6475);

macro_rules! uuid_id {
    ($(#[$meta:meta])* $Id:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $Id(pub Uuid);

        impl fmt::Display for $Id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $Id {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id! {
    /// Names an order.
    OrderId
}
uuid_id! {
    /// Names a hold of an order.
    HoldId
}
uuid_id! {
    /// Names a return of an order.
    ReturnId
}
uuid_id! {
    /// Names a product, and the stock of it.
    ProductId
}
uuid_id! {
    /// Names one line of an order.
    OrderItemId
}

impl ProductId {
    /// The product of a SKU. The same in every installation, so that an import can be repeated.
    pub fn of(sku: &Sku) -> Self {
        Self(Uuid::new_v5(&PRODUCT_NAMESPACE, sku.as_str().as_bytes()))
    }
}

impl OrderItemId {
    /// The id of the line at `ordinal`, counted from zero, of an order.
    pub fn of(order_id: OrderId, ordinal: u32) -> Self {
        Self(derive_child(order_id.0, ordinal))
    }
}

/// The bits of a UUID that are neither time, version nor variant.
const TAIL_BITS: u32 = 74;
const TAIL_MASK: u128 = (1 << TAIL_BITS) - 1;

/// The child of `parent` at `ordinal`; always the same.
///
/// The 48 bits of time are kept, so that children lie beside their parent in an index. The other 74 bits go through a
/// permutation: for one parent no two ordinals collide, and for one ordinal no two parents of one version do.
pub fn derive_child(parent: Uuid, ordinal: u32) -> Uuid {
    let version = (parent.as_u128() >> 76) & 0xf;
    // Odd, so invertible modulo a power of two: distinct (version, ordinal) pairs stay distinct.
    let key = (version << 32 | u128::from(ordinal)).wrapping_mul(0x2d3_51a7_9e37_79b9_7f4b) & TAIL_MASK;
    let mixed = permute(permute(tail(parent)) ^ key);
    with_tail(parent.as_u128() >> 80, mixed)
}

/// Multiplications by odd numbers, and xors with the shifted value. Each can be undone, so the whole can.
fn permute(mut x: u128) -> u128 {
    for odd in [0x1f5_c6b1_94d0_49bb_1331, 0x26a_90e4_bf58_476d_1ce5, 0x3b1_2d57_ff51_afd7_ed55] {
        x ^= x >> 37;
        x = x.wrapping_mul(odd) & TAIL_MASK;
    }
    x ^ (x >> 37)
}

fn tail(id: Uuid) -> u128 {
    let bits = id.as_u128();
    ((bits >> 64) & 0xfff) << 62 | (bits & ((1 << 62) - 1))
}

fn with_tail(time_ms: u128, tail: u128) -> Uuid {
    let (high, low) = (tail >> 62, tail & ((1 << 62) - 1));
    Uuid::from_u128(time_ms << 80 | 0x8 << 76 | high << 64 | 0b10 << 62 | low)
}

macro_rules! text_id {
    ($(#[$meta:meta])* $Id:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $Id(Arc<str>);

        impl $Id {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $Id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $Id {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }
    };
}

text_id! {
    /// The customer, as the system that knows customers names them.
    CustomerId
}
text_id! {
    /// A SKU: printable characters of any alphabet, no space at either end.
    Sku
}

impl CustomerId {
    /// Accepts 1 to [`TEXT_CHARS_MAX`] characters, none of them forbidden in a line of text (see [`crate::text`]).
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        check_length(text)?;
        refuse_unless(text, |_, c| !is_unfit(c))?;
        Ok(Self(text.into()))
    }
}

impl Sku {
    /// Accepts 1 to [`TEXT_CHARS_MAX`] printable characters of any alphabet with no space at either end, and composes
    /// them: the same letters are the same SKU, however they were typed (see [`crate::text::name`]).
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        Ok(Self(name(text, TEXT_CHARS_MAX)?.into()))
    }
}

fn check_length(text: &str) -> Result<(), InvalidText> {
    match text.chars().count() {
        0 => Err(InvalidText::Empty),
        1..=TEXT_CHARS_MAX => Ok(()),
        chars => Err(InvalidText::TooLong { chars, chars_max: TEXT_CHARS_MAX }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::text::composed;

    proptest! {
        #[test]
        fn children_keep_the_time_and_say_version_eight(parent: u128, ordinal: u32) {
            let child = derive_child(Uuid::from_u128(parent), ordinal);
            prop_assert_eq!(child.as_u128() >> 80, parent >> 80);
            prop_assert_eq!(child.get_version_num(), 8);
            prop_assert_eq!(child.get_variant(), uuid::Variant::RFC4122);
            prop_assert_eq!(child, derive_child(Uuid::from_u128(parent), ordinal));
        }

        #[test]
        fn ordinals_of_one_parent_never_meet(parent: u128, a: u32, b: u32) {
            let parent = Uuid::from_u128(parent);
            prop_assert_eq!(derive_child(parent, a) == derive_child(parent, b), a == b);
        }

        #[test]
        fn parents_born_in_one_millisecond_never_meet(time in 0_u128..1 << 48, a in 0..=TAIL_MASK, flipped in 0..TAIL_BITS, ordinal: u32) {
            let (first, second) = (with_tail(time, a), with_tail(time, a ^ 1 << flipped));
            prop_assert_ne!(derive_child(first, ordinal), derive_child(second, ordinal));
        }

        #[test]
        fn no_text_makes_the_parsers_panic_and_what_they_accept_is_kept(text in "\\PC{0,80}|[ -~]{0,70}|\\x00") {
            if let Ok(id) = CustomerId::parse(&text) {
                prop_assert_eq!(id.as_str(), &text);
            }
            if let Ok(sku) = Sku::parse(&text) {
                prop_assert_eq!(sku.as_str(), composed(text.trim()));
                prop_assert_eq!(Sku::parse(sku.as_str()), Ok(sku));
            }
        }
    }

    #[test]
    fn a_whole_small_family_tree_has_no_two_of_one_name() {
        let mut seen = HashSet::new();
        for parent in 0..40 {
            for ordinal in 0..40 {
                let child = derive_child(Uuid::from_u128(parent), ordinal);
                assert!(seen.insert(child));
                for grandchild in 0..40 {
                    assert!(seen.insert(derive_child(child, grandchild)));
                }
            }
        }
    }

    #[test]
    fn ids_that_others_have_stored_stay_what_they_are() {
        let parent = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
        assert_eq!(derive_child(parent, 0).to_string(), "01900000-0000-89b2-8577-18cddeaf565b");
        let sku = Sku::parse("CHAI-10").unwrap();
        assert_eq!(ProductId::of(&sku).to_string(), "83fa6fca-b400-5609-9223-f5c3266ca05a");
    }

    #[test]
    fn a_sku_of_any_alphabet_is_one_however_its_letters_were_typed() {
        for sku in ["TH\u{c9}-1", "B\u{fc}ro", "№7", "茶-1", "чай"] {
            assert_eq!(Sku::parse(sku).map(|sku| sku.to_string()), Ok(sku.to_owned()));
        }
        assert_eq!(Sku::parse("THE\u{301}-1"), Sku::parse("TH\u{c9}-1"));
        assert!(Sku::parse(&"e\u{301}".repeat(TEXT_CHARS_MAX)).is_ok());
    }

    #[test]
    fn texts_are_refused_for_the_reason_that_applies() {
        assert_eq!(Sku::parse(""), Err(InvalidText::Empty));
        assert_eq!(Sku::parse(&"x".repeat(65)), Err(InvalidText::TooLong { chars: 65, chars_max: 64 }));
        assert_eq!(Sku::parse(" a"), Err(InvalidText::ForbiddenCharacter { position: 0, character: ' ' }));
        assert_eq!(Sku::parse("a "), Err(InvalidText::ForbiddenCharacter { position: 1, character: ' ' }));
        assert_eq!(
            CustomerId::parse("a\nb"),
            Err(InvalidText::ForbiddenCharacter { position: 1, character: '\n' })
        );
        assert!(Sku::parse("Chai 10 x 20").is_ok() && CustomerId::parse("Café №5").is_ok());
    }
}
