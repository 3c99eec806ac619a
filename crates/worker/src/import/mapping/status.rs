//! What the words of a status column mean for an order. Words that a mapping does not know hold the order back: nobody
//! guesses whether something is to be charged and sent.

use serde::Deserialize;

/// What is to be done with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meaning {
    /// It is taken in.
    Take,
    /// It has left the house already.
    AlreadyShipped,
    /// It is left out.
    Skip,
    /// It is left out, and cancelled if it was taken in before.
    Cancel,
}

/// A column, and what its words mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusColumn {
    /// Its heading.
    pub column: String,
    /// Words of orders that are taken in.
    #[serde(default)]
    pub take: Vec<String>,
    /// Words of orders that are left out.
    #[serde(default)]
    pub skip: Vec<String>,
    /// Words of orders that were cancelled.
    #[serde(default)]
    pub cancel: Vec<String>,
    /// Words of orders that have left the house.
    #[serde(default)]
    pub already_shipped: Vec<String>,
    /// What every other word means; without it the order is held back.
    pub other: Option<MeaningName>,
    /// What nothing means; taken in, if it is not said.
    pub blank: Option<MeaningName>,
}

/// A meaning as a mapping names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeaningName {
    /// See [`Meaning::Take`].
    Take,
    /// See [`Meaning::Skip`].
    Skip,
    /// See [`Meaning::Cancel`].
    Cancel,
    /// See [`Meaning::AlreadyShipped`].
    AlreadyShipped,
}

impl From<MeaningName> for Meaning {
    fn from(name: MeaningName) -> Self {
        match name {
            MeaningName::Take => Self::Take,
            MeaningName::Skip => Self::Skip,
            MeaningName::Cancel => Self::Cancel,
            MeaningName::AlreadyShipped => Self::AlreadyShipped,
        }
    }
}

impl StatusColumn {
    /// What a word of the column means.
    ///
    /// # Errors
    /// That nobody said so, in words.
    pub fn meaning(&self, word: &str) -> Result<Meaning, String> {
        let word = word.trim();
        if word.is_empty() {
            return Ok(self.blank.map_or(Meaning::Take, Meaning::from));
        }
        let among =
            |words: &[String]| words.iter().any(|known| known.trim().to_lowercase() == word.to_lowercase());
        let listed = [
            (&self.cancel, Meaning::Cancel),
            (&self.skip, Meaning::Skip),
            (&self.already_shipped, Meaning::AlreadyShipped),
            (&self.take, Meaning::Take),
        ];
        let found = listed.into_iter().find(|(words, _)| among(words)).map(|(_, meaning)| meaning);
        found.or(self.other.map(Meaning::from)).ok_or_else(|| {
            format!(
                "nobody has said what '{word}' in the column '{}' means; name it in the mapping under [[status]] as take, skip, \
                 cancel or already_shipped",
                self.column
            )
        })
    }
}

/// Columns whose words are known without a mapping: heading, take, skip, cancel, already shipped.
type Known = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

/// None of these is to be sent any more, whenever it came in.
const CANCELLED: &[&str] = &[
    "cancelled",
    "canceled",
    "cancelled by customer",
    "voided",
    "refunded",
    "failed",
    "expired",
    "closed",
    "fraud",
    "returned",
    "trash",
    "wc-cancelled",
    "wc-refunded",
    "wc-failed",
];
const SKIPPED: &[&str] = &["draft", "checkout-draft", "wc-checkout-draft"];
const TAKEN: &[&str] = &[
    "paid",
    "processing",
    "unfulfilled",
    "unshipped",
    "new",
    "open",
    "wc-processing",
    "awaiting shipment",
    "ready to ship",
];
const SHIPPED: &[&str] = &[
    "fulfilled",
    "shipped",
    "complete",
    "completed",
    "delivered",
    "dispatched",
    "sent",
    "wc-completed",
    "shipped - delivered to buyer",
    "shipped - picked up",
];

const KNOWN: &[Known] = &[
    ("Financial Status", &["paid"], &[], &["voided", "refunded", "expired"], &[]),
    ("Fulfillment Status", &["unfulfilled"], &[], &["restocked"], &["fulfilled"]),
    ("order-status", TAKEN, SKIPPED, CANCELLED, SHIPPED),
    ("item-status", TAKEN, SKIPPED, CANCELLED, SHIPPED),
    ("Order Status", TAKEN, SKIPPED, CANCELLED, SHIPPED),
    ("order_status", TAKEN, SKIPPED, CANCELLED, SHIPPED),
    ("Payment Status", TAKEN, SKIPPED, CANCELLED, SHIPPED),
    ("Status", TAKEN, SKIPPED, CANCELLED, SHIPPED),
    ("status", TAKEN, SKIPPED, CANCELLED, SHIPPED),
];

/// Columns that hold something exactly if the order was cancelled.
const CANCELLED_AT: &[&str] = &["Cancelled at", "cancelled_at", "canceled_at"];

/// What is known of a column by its heading alone.
#[must_use]
pub(crate) fn known(heading: &str) -> Option<StatusColumn> {
    let column = heading.to_owned();
    if CANCELLED_AT.contains(&heading) {
        return Some(StatusColumn { column, other: Some(MeaningName::Cancel), ..StatusColumn::default() });
    }
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    KNOWN.iter().find(|known| known.0 == heading).map(|(_, take, skip, cancel, already_shipped)| {
        StatusColumn {
            column,
            take: owned(take),
            skip: owned(skip),
            cancel: owned(cancel),
            already_shipped: owned(already_shipped),
            ..StatusColumn::default()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_the_mapping_says_and_others_hold_the_order_back() {
        let column = StatusColumn {
            column: "Zustand".to_owned(),
            take: vec!["bezahlt".to_owned()],
            cancel: vec!["storniert".to_owned()],
            ..StatusColumn::default()
        };
        assert_eq!(column.meaning(" Bezahlt "), Ok(Meaning::Take));
        assert_eq!(column.meaning("STORNIERT"), Ok(Meaning::Cancel));
        assert_eq!(column.meaning(""), Ok(Meaning::Take));
        let unknown = column.meaning("offen").expect_err("nobody said so");
        assert!(
            unknown.contains("'offen'") && unknown.contains("'Zustand'") && unknown.contains("[[status]]"),
            "{unknown}"
        );
        let lenient = StatusColumn { other: Some(MeaningName::Skip), ..column };
        assert_eq!(lenient.meaning("offen"), Ok(Meaning::Skip));
    }

    #[test]
    fn what_shops_write_is_known_by_the_heading() {
        let meaning = |heading: &str, word: &str| known(heading).expect("a heading of shops").meaning(word);
        assert_eq!(meaning("Financial Status", "paid"), Ok(Meaning::Take));
        assert_eq!(meaning("Financial Status", "refunded"), Ok(Meaning::Cancel));
        assert!(meaning("Financial Status", "partially_refunded").is_err());
        assert_eq!(meaning("Fulfillment Status", "fulfilled"), Ok(Meaning::AlreadyShipped));
        assert_eq!(meaning("Cancelled at", "2026-04-05 23:00:00 +0400"), Ok(Meaning::Cancel));
        assert_eq!(meaning("Cancelled at", ""), Ok(Meaning::Take));
        assert!(known("Colour").is_none());
    }
}
