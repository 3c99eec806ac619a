//! Holds what an order's lines come to against what the file says of discounts, shipping, tax and the sum of it all.

use domain::{Currency, Money};

use super::super::Mapping;
use super::super::mapping::{Charge, Custom, Treat};
use super::super::tally::Reason;
use super::Objection;
use super::line::Line;

/// What rows say of money beside the lines: the fields that hold something.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) discount: Vec<String>,
    pub(super) shipping: Vec<String>,
    pub(super) tax: Vec<String>,
    pub(super) total: Vec<String>,
    /// Headings and fields of discounts that the mapping does not name.
    unnamed: Vec<(String, String)>,
}

impl Sums {
    /// Notes a discount that the mapping does not name.
    pub(super) fn note_unnamed(&mut self, heading: &str, field: &str) {
        if !field.is_empty() && field.chars().any(|c| ('1'..='9').contains(&c)) {
            self.unnamed.push((heading.to_owned(), field.to_owned()));
        }
    }
}

/// Everything that speaks against an order whose lines are these; with the line that it is about, if it is about one.
pub(super) fn check(
    lines: &[Line],
    sums: &Sums,
    mapping: &Mapping,
    custom: Custom,
) -> Vec<(Option<u64>, Objection)> {
    let Some(first) = lines.first() else { return Vec::new() };
    if let Some(other) = lines.iter().find(|line| line.currency != first.currency) {
        let detail = format!("is in {}, and the order is in {}", other.currency, first.currency);
        return vec![(Some(other.line), Objection(Reason::RowsDisagree, detail))];
    }
    let reader = Reader { mapping, custom, currency: first.currency };
    let objected = reader.check(lines, sums);
    objected.map_or_else(|objection| vec![(None, objection)], |()| Vec::new())
}

struct Reader<'a> {
    mapping: &'a Mapping,
    custom: Custom,
    currency: Currency,
}

/// An amount beside the lines, and how it is treated.
struct Beside {
    what: &'static str,
    key: &'static str,
    minor: i128,
    treat: Treat,
}

impl Reader<'_> {
    fn check(&self, lines: &[Line], sums: &Sums) -> Result<(), Objection> {
        let of_lines: i128 = lines.iter().map(|line| i128::from(line.minor) * i128::from(line.units)).sum();
        let charges = &self.mapping.charges;
        if let Some((heading, field)) = sums.unnamed.first() {
            let detail = format!(
                "'{heading}' is {field}, and the order would be charged {} without it; say under [charges.discount] in the \
                 mapping whether to hold_back, ignore, or that it is included in the prices",
                self.shown(of_lines)
            );
            return Err(Objection(Reason::OtherCharges, detail));
        }
        let beside = [
            self.beside("a discount", "discount", &sums.discount, charges.discount.as_ref(), -1)?,
            self.beside("shipping", "shipping", &sums.shipping, charges.shipping.as_ref(), 1)?,
            self.beside("tax", "tax", &sums.tax, charges.tax.as_ref(), 1)?,
        ];
        let added: i128 =
            beside.iter().filter(|beside| beside.treat != Treat::Included).map(|beside| beside.minor).sum();
        if let Some(wrong) = beside.iter().find(|beside| beside.treat == Treat::HoldBack && beside.minor != 0)
        {
            let detail = format!(
                "has {} of {}, and an order here is the sum of its lines: {} would be charged instead of {}; say \
                 [charges.{}] treat = \"ignore\" in the mapping to take such orders so, or \"included\" if the prices have it \
                 in them",
                wrong.what,
                self.shown(wrong.minor.abs()),
                self.shown(of_lines),
                self.shown(of_lines + added),
                wrong.key
            );
            return Err(Objection(Reason::OtherCharges, detail));
        }
        self.check_total(of_lines, &beside, &sums.total)
    }

    fn check_total(&self, of_lines: i128, beside: &[Beside], total: &[String]) -> Result<(), Objection> {
        if total.is_empty() {
            return Ok(());
        }
        let said = self.sum("total", total)?;
        let counted: Vec<&Beside> =
            beside.iter().filter(|beside| beside.treat != Treat::Included && beside.minor != 0).collect();
        let sum = of_lines + counted.iter().map(|beside| beside.minor).sum::<i128>();
        if sum == said {
            return Ok(());
        }
        let parts: String = counted
            .iter()
            .map(|beside| format!(", with {} of {}", beside.what, self.shown(beside.minor.abs())))
            .collect();
        let detail = format!(
            "its lines come to {}{parts}: {} in all; the file says {}, which differs by {}",
            self.shown(of_lines),
            self.shown(sum),
            self.shown(said),
            self.shown((said - sum).abs())
        );
        Err(Objection(Reason::SumDiffers, detail))
    }

    fn beside(
        &self,
        what: &'static str,
        key: &'static str,
        fields: &[String],
        charge: Option<&Charge>,
        sign: i128,
    ) -> Result<Beside, Objection> {
        // Discounts are written with and without a minus.
        let minor = sign * self.sum(key, fields)?.abs();
        Ok(Beside { what, key, minor, treat: charge.map_or(Treat::Ignore, |charge| charge.treat) })
    }

    fn sum(&self, key: &str, fields: &[String]) -> Result<i128, Objection> {
        let invalid = |why: String| Objection(Reason::OtherCharges, format!("{key} {why}"));
        fields.iter().try_fold(0_i128, |sum, field| {
            let plain = self.mapping.numbers.read(field, self.custom).map_err(invalid)?;
            if let Some(other) = plain.currency.filter(|code| code != self.currency.code()) {
                return Err(invalid(format!(
                    "'{field}' names {other}, and the order is in {}",
                    self.currency
                )));
            }
            let amount = self.mapping.amount(&plain.digits, self.currency).map_err(invalid)?;
            Ok(sum + i128::from(amount.minor))
        })
    }

    fn shown(&self, minor: i128) -> String {
        let bounded = i64::try_from(minor).unwrap_or(if minor < 0 { i64::MIN } else { i64::MAX });
        Money::new(bounded, self.currency).to_string()
    }
}
