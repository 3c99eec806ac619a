//! Declares a closed set of names: the variants, the word each is stored and sent under, and its small code. It holds
//! no rule about what the names mean.

use thiserror::Error;

/// A word that is not in the set.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a {set}")]
pub struct UnknownName {
    /// The set that was searched, e.g. `OrderStatus`.
    pub set: &'static str,
    /// The word that was not found.
    pub text: String,
}

/// Declares an enum whose every variant has a stable snake_case word and a stable small code, both given once.
macro_rules! closed_set {
    (
        $(#[$set_meta:meta])*
        pub enum $Set:ident {
            $( $(#[$meta:meta])* $Variant:ident = $code:literal, $word:literal; )+
        }
    ) => {
        $(#[$set_meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $Set { $( $(#[$meta])* $Variant = $code, )+ }

        impl $Set {
            /// Every member, in the order of declaration.
            pub const ALL: &'static [Self] = &[ $( Self::$Variant, )+ ];

            /// The stable snake_case word.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$Variant => $word, )+ }
            }

            /// The stable small code, for compact storage.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The member with this code, if there is one.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $( $code => Some(Self::$Variant), )+ _ => None }
            }
        }

        impl std::fmt::Display for $Set {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $Set {
            type Err = $crate::closed_set::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|member| member.as_str() == text).ok_or_else(|| {
                    $crate::closed_set::UnknownName { set: stringify!($Set), text: text.to_owned() }
                })
            }
        }

        #[cfg(test)]
        impl $Set {
            /// The law of every closed set: word and code lead back to their member.
            pub(crate) fn assert_words_and_codes_round_trip() {
                for &member in Self::ALL {
                    assert_eq!(member.as_str().parse(), Ok(member));
                    assert_eq!(Self::from_code(member.code()), Some(member));
                }
            }
        }
    };
}

pub(crate) use closed_set;

/// Declares a set of members of a closed set of at most eight, as small as a number.
macro_rules! set_of {
    ($(#[$meta:meta])* pub struct $Name:ident of $Member:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $Name(u8);

        impl $Name {
            /// Adds a member.
            pub const fn add(&mut self, member: $Member) {
                self.0 |= 1 << member.code();
            }

            /// Removes a member.
            pub const fn remove(&mut self, member: $Member) {
                self.0 &= !(1 << member.code());
            }

            /// Whether this is a member.
            #[must_use]
            pub const fn include(self, member: $Member) -> bool {
                self.0 & (1 << member.code()) != 0
            }

            /// Whether there is no member.
            #[must_use]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// As a number, for a store; 0 for none.
            #[must_use]
            pub const fn code(self) -> u8 {
                self.0
            }

            /// The set of this number.
            #[must_use]
            pub const fn of_code(code: u8) -> Self {
                Self(code)
            }

            /// Every law of such a set.
            #[cfg(test)]
            pub(crate) fn assert_is_a_set_of_its_members() {
                let mut set = Self::default();
                for (count, &member) in (0..).zip($Member::ALL) {
                    assert!(!set.include(member));
                    set.add(member);
                    assert_eq!($Member::ALL.iter().filter(|one| set.include(**one)).count(), count + 1);
                    assert_eq!(Self::of_code(set.code()), set);
                }
                assert_eq!(set, $Member::ALL.iter().copied().collect());
                for &member in $Member::ALL {
                    assert!(!set.is_empty());
                    set.remove(member);
                    assert!(!set.include(member));
                }
                assert!(set.is_empty());
            }
        }

        impl FromIterator<$Member> for $Name {
            fn from_iter<I: IntoIterator<Item = $Member>>(members: I) -> Self {
                members.into_iter().fold(Self::default(), |mut set, member| {
                    set.add(member);
                    set
                })
            }
        }
    };
}

pub(crate) use set_of;

#[cfg(test)]
mod tests {
    use crate::{
        Availability, CancelReason, HoldPoint, HoldPoints, MovementKind, OrderStatus, PaymentStatus,
        ShipmentStatus, UnknownName,
    };

    #[test]
    fn every_word_and_every_code_leads_back_to_its_member() {
        OrderStatus::assert_words_and_codes_round_trip();
        crate::Dispute::assert_words_and_codes_round_trip();
        crate::Capture::assert_words_and_codes_round_trip();
        PaymentStatus::assert_words_and_codes_round_trip();
        ShipmentStatus::assert_words_and_codes_round_trip();
        MovementKind::assert_words_and_codes_round_trip();
        CancelReason::assert_words_and_codes_round_trip();
        Availability::assert_words_and_codes_round_trip();
        crate::ParcelTrouble::assert_words_and_codes_round_trip();
        HoldPoint::assert_words_and_codes_round_trip();
        crate::WhenShort::assert_words_and_codes_round_trip();
        crate::ReturnStatus::assert_words_and_codes_round_trip();
    }

    #[test]
    fn a_set_of_members_has_those_that_were_added_and_not_removed() {
        HoldPoints::assert_is_a_set_of_its_members();
        crate::Troubles::assert_is_a_set_of_its_members();
    }

    #[test]
    fn an_unknown_word_is_named_together_with_its_set() {
        let error = "payed".parse::<OrderStatus>().unwrap_err();
        assert_eq!(error, UnknownName { set: "OrderStatus", text: "payed".into() });
        assert_eq!(OrderStatus::from_code(200), None);
    }
}
