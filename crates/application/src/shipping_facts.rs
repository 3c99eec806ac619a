//! What a carrier and the customs need to know of one unit, as callers write it, as it is shown, and as it is stored.

use domain::{InvalidFact, ShippingFacts};
use serde::{Deserialize, Serialize};

use crate::countries::{is_country, not_a_country};
use crate::whole_number::read_optional;

/// [`ShippingFacts`] as a document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShippingFactsView {
    /// Its weight as packed, in grams.
    #[serde(deserialize_with = "read_optional", skip_serializing_if = "Option::is_none")]
    pub weight_g: Option<i64>,
    /// Its length as packed, in millimetres.
    #[serde(deserialize_with = "read_optional", skip_serializing_if = "Option::is_none")]
    pub length_mm: Option<i64>,
    /// Its width as packed, in millimetres.
    #[serde(deserialize_with = "read_optional", skip_serializing_if = "Option::is_none")]
    pub width_mm: Option<i64>,
    /// Its height as packed, in millimetres.
    #[serde(deserialize_with = "read_optional", skip_serializing_if = "Option::is_none")]
    pub height_mm: Option<i64>,
    /// Its customs tariff number in the Harmonized System.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hs_code: Option<String>,
    /// The country where it was made, by its two letters in ISO 3166-1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin_country: Option<String>,
}

/// A mistake in facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongFact {
    /// Which of them.
    pub member: &'static str,
    /// What kind of mistake it is.
    pub code: &'static str,
    /// What would be right.
    pub told: String,
}

impl ShippingFactsView {
    /// The facts.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn take(self) -> Result<ShippingFacts, Vec<WrongFact>> {
        let facts = ShippingFacts::from(self);
        let wrong = |(member, mistake): (&'static str, InvalidFact)| {
            let code = match mistake {
                InvalidFact::Measure { .. } => "out_of_range",
                InvalidFact::HsCode => "invalid_hs_code",
            };
            WrongFact { member, code, told: mistake.to_string() }
        };
        let mut found: Vec<WrongFact> = facts.mistakes().into_iter().map(wrong).collect();
        if let Some(country) = facts.origin_country.as_deref().filter(|country| !is_country(country)) {
            let told = not_a_country(country);
            found.push(WrongFact { member: "origin_country", code: "unknown_country", told });
        }
        if found.is_empty() { Ok(facts) } else { Err(found) }
    }
}

impl From<ShippingFacts> for ShippingFactsView {
    fn from(facts: ShippingFacts) -> Self {
        let ShippingFacts { weight_g, length_mm, width_mm, height_mm, hs_code, origin_country } = facts;
        Self { weight_g, length_mm, width_mm, height_mm, hs_code, origin_country }
    }
}

impl From<ShippingFactsView> for ShippingFacts {
    fn from(view: ShippingFactsView) -> Self {
        let ShippingFactsView { weight_g, length_mm, width_mm, height_mm, hs_code, origin_country } = view;
        Self { weight_g, length_mm, width_mm, height_mm, hs_code, origin_country }
    }
}

/// Facts as they are stored; none if nothing is known.
///
/// # Panics
/// Never: they are texts and numbers only.
#[must_use]
pub fn to_stored(facts: &ShippingFacts) -> Option<String> {
    let view = || ShippingFactsView::from(facts.clone());
    (!facts.is_empty()).then(|| serde_json::to_string(&view()).expect("texts and numbers can be written"))
}

/// What was stored.
///
/// # Errors
/// If it is no such document.
pub fn from_stored(stored: Option<&str>) -> Result<ShippingFacts, String> {
    let view: Option<ShippingFactsView> =
        stored.map(serde_json::from_str).transpose().map_err(|error| error.to_string())?;
    Ok(view.unwrap_or_default().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shirt() -> ShippingFactsView {
        ShippingFactsView {
            weight_g: Some(180),
            length_mm: Some(300),
            width_mm: Some(200),
            height_mm: Some(20),
            hs_code: Some("6109.10".to_owned()),
            origin_country: Some("PT".to_owned()),
        }
    }

    #[test]
    fn facts_are_read_as_they_were_stored() {
        let facts = shirt().take().expect("they are sound");
        assert_eq!(from_stored(to_stored(&facts).as_deref()).expect("it was stored"), facts);
        assert_eq!(to_stored(&ShippingFacts::default()), None);
        assert!(from_stored(None).expect("nothing is known").is_empty());
    }

    #[test]
    fn a_country_that_is_none_is_named_beside_every_other_mistake() {
        let wrong =
            ShippingFactsView { weight_g: Some(-1), origin_country: Some("pt".to_owned()), ..shirt() };
        let told = wrong.take().expect_err("two mistakes");
        let members: Vec<&str> = told.iter().map(|wrong| wrong.member).collect();
        assert_eq!(members, ["weight_g", "origin_country"]);
    }
}
