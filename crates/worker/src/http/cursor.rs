//! The cursor of a listing, as an opaque text. It comes back from outside, so it is never trusted.

use application::ports::{OrderPlace, OrderSort};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{OrderId, Sku};
use jiff::Timestamp;
use uuid::Uuid;

/// A place in a listing.
pub(super) trait Cursor: Sized {
    /// Tells the cursors of one listing from those of another.
    const KIND: u8;

    fn to_bytes(&self) -> Vec<u8>;

    fn from_bytes(bytes: &[u8]) -> Option<Self>;

    fn encode(&self) -> String {
        let mut bytes = vec![Self::KIND];
        bytes.extend(self.to_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn decode(text: &str) -> Result<Self, &'static str> {
        const REFUSED: &str = "this is no cursor of this listing; take 'next_cursor' of the page before";
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| REFUSED)?;
        match bytes.split_first() {
            Some((kind, rest)) if *kind == Self::KIND => Self::from_bytes(rest).ok_or(REFUSED),
            Some(_) | None => Err(REFUSED),
        }
    }
}

impl Cursor for OrderId {
    const KIND: u8 = b'o';

    fn to_bytes(&self) -> Vec<u8> {
        self.0.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }
}

impl Cursor for Sku {
    const KIND: u8 = b's';

    fn to_bytes(&self) -> Vec<u8> {
        self.as_str().as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::parse(std::str::from_utf8(bytes).ok()?).ok()
    }
}

/// A place in a listing of orders, which means nothing in another order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlaceInOrder {
    pub(super) sort: OrderSort,
    pub(super) place: OrderPlace,
}

/// The orders as cursors have them; a place in this list must stay what it is.
const SORTS: [OrderSort; 4] = [
    OrderSort::OldestFirst,
    OrderSort::NewestFirst,
    OrderSort::EarliestChangeFirst,
    OrderSort::LatestChangeFirst,
];

impl Cursor for PlaceInOrder {
    const KIND: u8 = b'l';

    fn to_bytes(&self) -> Vec<u8> {
        let sort = SORTS.iter().position(|sort| *sort == self.sort).unwrap_or(0);
        let mut bytes = vec![u8::try_from(sort).unwrap_or(0)];
        bytes.extend(self.place.updated_at.as_microsecond().to_be_bytes());
        bytes.extend(self.place.order_id.0.as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sort, rest) = bytes.split_first()?;
        let (micros, id) = rest.split_first_chunk::<8>()?;
        let updated_at = Timestamp::from_microsecond(i64::from_be_bytes(*micros)).ok()?;
        let place = OrderPlace { order_id: OrderId(Uuid::from_slice(id).ok()?), updated_at };
        Some(Self { sort: *SORTS.get(usize::from(*sort))?, place })
    }
}

/// A place in a list that is numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position(pub(super) i64);

impl Cursor for Position {
    const KIND: u8 = b'p';

    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(i64::from_be_bytes).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_leads_back_to_its_place_and_to_no_other_listing(id: u128, position: i64) {
            let order = OrderId(Uuid::from_u128(id));
            prop_assert_eq!(OrderId::decode(&order.encode()), Ok(order));
            prop_assert_eq!(Position::decode(&Position(position).encode()), Ok(Position(position)));
            let updated_at = Timestamp::from_microsecond(position % 1_000_000_000).expect("near the epoch");
            for sort in SORTS {
                let place = PlaceInOrder { sort, place: OrderPlace { order_id: order, updated_at } };
                prop_assert_eq!(PlaceInOrder::decode(&place.encode()), Ok(place));
            }
            prop_assert!(Position::decode(&order.encode()).is_err());
            prop_assert!(PlaceInOrder::decode(&order.encode()).is_err());
            prop_assert!(Sku::decode(&order.encode()).is_err());
        }

        #[test]
        fn no_text_makes_a_cursor_panic(text in ".{0,60}") {
            let _ = (OrderId::decode(&text), PlaceInOrder::decode(&text), Position::decode(&text), Sku::decode(&text));
        }
    }
}
