//! Which feed has which delivery in hand. Kept outside the tables: a claim ends with its feed and is never stored.

use std::collections::BTreeMap;

use crate::Receipt;

/// Deliveries in hand, by position.
#[derive(Debug, Default)]
pub(super) struct Claims {
    holders: BTreeMap<i64, u64>,
    feeds: u64,
}

impl Claims {
    pub(super) fn next_feed(&mut self) -> u64 {
        self.feeds += 1;
        self.feeds
    }

    /// Takes a delivery; false if it is in hand already.
    pub(super) fn take(&mut self, position: i64, feed: u64) -> bool {
        match self.holders.entry(position) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(feed);
                true
            }
            std::collections::btree_map::Entry::Occupied(_) => false,
        }
    }

    pub(super) fn forget(&mut self, feed: u64, receipts: &[Receipt]) {
        for position in receipts.iter().filter_map(Receipt::row) {
            if self.holders.get(&position) == Some(&feed) {
                self.holders.remove(&position);
            }
        }
    }

    pub(super) fn forget_feed(&mut self, feed: u64) {
        self.holders.retain(|_, holder| *holder != feed);
    }

    /// Whether a delivery is in hand.
    pub(super) fn holds(&self, position: i64) -> bool {
        self.holders.contains_key(&position)
    }

    /// How many deliveries are in hand.
    pub(super) fn count(&self) -> usize {
        self.holders.len()
    }
}
