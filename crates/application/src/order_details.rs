//! What an order says beside who wants what: whom to reach, where to, what it costs beside the goods, and what its shop wants to
//! remember. Frozen with the order. Stored as one document; an order without any of it has none.

use std::collections::BTreeMap;
use std::fmt;

use domain::{MoneyLineKind, text::Lines};
use serde::{Deserialize, Serialize};

use crate::messages::Amount;

/// Tags at most.
pub const TAGS_MAX: usize = 20;
/// Bytes of a tag, a name, an address line and the like.
pub const DETAIL_BYTES_MAX: usize = 255;
/// Lines of an address.
pub const ADDRESS_LINES_MAX: usize = 6;
/// Entries of the metadata at most.
pub const METADATA_MAX: usize = 50;
/// Bytes of a name in the metadata.
pub const METADATA_NAME_BYTES_MAX: usize = 40;
/// Bytes of a value in the metadata.
pub const METADATA_VALUE_BYTES_MAX: usize = 500;
/// Bytes of the note.
pub const ORDER_NOTE_BYTES_MAX: usize = 4_000;

/// What an order says beside who wants what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDetails {
    /// Whom to reach about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
    /// Where the goods go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_address: Option<Address>,
    /// Whom the bill is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_address: Option<Address>,
    /// What it costs beside the goods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub money_lines: Vec<MoneyLineView>,
    /// Words of the shop's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What the customer or the shop has to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_note: Option<String>,
    /// What the shop wants to remember, under names of its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// Whom to reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// Their name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Their mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Their telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// A postal address, as its country writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// The person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The company.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// Street and number, or whatever stands there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// The town.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// State, province or county.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// The country, by its two letters in ISO 3166-1.
    pub country: String,
}

/// On one line, as far as it is known.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, company, lines, city, region, postal_code, country } = self;
        let who = [name, company].into_iter().flatten();
        let where_to = [postal_code, city, region].into_iter().flatten().chain([country]);
        let parts = who.chain(lines).chain(where_to).map(String::as_str);
        let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        f.write_str(&parts.join(", "))
    }
}

/// A money line as it is written and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoneyLineView {
    /// `shipping`, `tax`, `discount` or `fee`.
    pub kind: String,
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How much, never below zero; a discount takes it off.
    pub amount: Amount,
}

impl OrderDetails {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The document as it is stored and compared.
    ///
    /// # Panics
    /// Never: it holds texts and numbers only.
    #[must_use]
    pub fn to_stored(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers can be written")
    }

    /// What was stored.
    ///
    /// # Errors
    /// If it is no such document.
    pub fn from_stored(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// Without what tells who somebody is. Countries stay, since taxes depend on them.
    #[must_use]
    pub fn erased(&self) -> Self {
        let country = |address: &Address| Address { country: address.country.clone(), ..Address::default() };
        Self {
            contact: None,
            shipping_address: self.shipping_address.as_ref().map(country),
            billing_address: self.billing_address.as_ref().map(country),
            order_note: None,
            metadata: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// Every text with its pointer, the most bytes that it may have, and whether it may have lines.
    pub(crate) fn texts(&self) -> Vec<(String, &str, usize, Lines)> {
        let mut found: Vec<(String, Option<&String>)> = Vec::new();
        if let Some(Contact { name, email, phone }) = &self.contact {
            for (member, text) in [("name", name), ("email", email), ("phone", phone)] {
                found.push((format!("/contact/{member}"), text.as_ref()));
            }
        }
        let addresses =
            [("shipping_address", &self.shipping_address), ("billing_address", &self.billing_address)];
        for (place, address) in addresses {
            let Some(Address { name, company, lines, city, region, postal_code, country: _ }) = address
            else {
                continue;
            };
            let members = [
                ("name", name),
                ("company", company),
                ("city", city),
                ("region", region),
                ("postal_code", postal_code),
            ];
            found.extend(members.map(|(member, text)| (format!("/{place}/{member}"), text.as_ref())));
            let lines = lines.iter().enumerate();
            found.extend(lines.map(|(index, line)| (format!("/{place}/lines/{index}"), Some(line))));
        }
        let labels = self.money_lines.iter().enumerate();
        found
            .extend(labels.map(|(index, line)| (format!("/money_lines/{index}/label"), line.label.as_ref())));
        found.extend(self.tags.iter().enumerate().map(|(index, tag)| (format!("/tags/{index}"), Some(tag))));
        let mut texts = Vec::with_capacity(found.len());
        for (pointer, text) in found {
            texts.extend(text.map(|text| (pointer, text.as_str(), DETAIL_BYTES_MAX, Lines::One)));
        }
        for (name, value) in &self.metadata {
            texts.push((format!("/metadata/{name}"), name, METADATA_NAME_BYTES_MAX, Lines::One));
            texts.push((format!("/metadata/{name}"), value, METADATA_VALUE_BYTES_MAX, Lines::Many));
        }
        let note = self.order_note.iter();
        texts.extend(
            note.map(|note| ("/order_note".to_owned(), note.as_str(), ORDER_NOTE_BYTES_MAX, Lines::Many)),
        );
        texts
    }
}

/// The kinds of money lines by name.
#[must_use]
pub fn money_line_kinds() -> String {
    MoneyLineKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_erased_tells_nobody_who_it_was() {
        let address = Address {
            name: Some("Ann".to_owned()),
            lines: vec!["1 Road".to_owned()],
            country: "IE".to_owned(),
            ..Address::default()
        };
        let details = OrderDetails {
            contact: Some(Contact { email: Some("ann@example.org".to_owned()), ..Contact::default() }),
            shipping_address: Some(address),
            tags: vec!["gift".to_owned()],
            order_note: Some("for Ann".to_owned()),
            metadata: BTreeMap::from([("who".to_owned(), "Ann".to_owned())]),
            ..OrderDetails::default()
        };
        let erased = details.erased().to_stored();
        assert!(!erased.contains("Ann") && !erased.contains("ann") && !erased.contains("Road"), "{erased}");
        assert!(erased.contains("IE") && erased.contains("gift"), "{erased}");
    }
}
