//! Holds what an order's lines come to against what the file says of discounts, shipping, tax and the sum of it all.

use application::messages::Amount;
use application::order_details::MoneyLineView;
use domain::{Currency, Money, MoneyLineKind};

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

/// What an order whose lines are these costs beside them.
///
/// # Errors
/// What speaks against it; with the line that it is about, if it is about one.
pub(super) fn money_lines(
    lines: &[Line],
    sums: &Sums,
    mapping: &Mapping,
    custom: Custom,
) -> Result<Vec<MoneyLineView>, (Option<u64>, Objection)> {
    let Some(first) = lines.first() else { return Ok(Vec::new()) };
    if let Some(other) = lines.iter().find(|line| line.currency != first.currency) {
        let detail = format!("is in {}, and the order is in {}", other.currency, first.currency);
        return Err((Some(other.line), Objection(Reason::RowsDisagree, detail)));
    }
    let reader = Reader { mapping, custom, currency: first.currency };
    reader.money_lines(lines, sums).map_err(|objection| (None, objection))
}

struct Reader<'a> {
    mapping: &'a Mapping,
    custom: Custom,
    currency: Currency,
}

/// An amount beside the lines, and how it is treated.
struct Beside {
    what: &'static str,
    kind: MoneyLineKind,
    /// Below zero for what is taken off.
    minor: i128,
    treat: Treat,
}

impl Reader<'_> {
    fn money_lines(&self, lines: &[Line], sums: &Sums) -> Result<Vec<MoneyLineView>, Objection> {
        let of_lines: i128 = lines.iter().map(|line| i128::from(line.minor) * i128::from(line.units)).sum();
        let charges = &self.mapping.charges;
        if let Some((heading, field)) = sums.unnamed.first() {
            let detail = format!(
                "'{heading}' is {field}, and the order would be charged {} without it; say under [charges.discount] in the \
                 mapping whether to take it off, hold_back, ignore, or that it is included in the prices",
                self.shown(of_lines)
            );
            return Err(Objection(Reason::OtherCharges, detail));
        }
        let beside = [
            self.beside("a discount", MoneyLineKind::Discount, &sums.discount, charges.discount.as_ref())?,
            self.beside("shipping", MoneyLineKind::Shipping, &sums.shipping, charges.shipping.as_ref())?,
            self.beside("tax", MoneyLineKind::Tax, &sums.tax, charges.tax.as_ref())?,
        ];
        let added: i128 =
            beside.iter().filter(|beside| beside.treat != Treat::Included).map(|beside| beside.minor).sum();
        if let Some(wrong) = beside.iter().find(|beside| beside.treat == Treat::HoldBack && beside.minor != 0)
        {
            let detail = format!(
                "has {} of {}: is {} to be charged, or {}? Say [charges.{}] treat = \"take\" in the mapping if it comes to the \
                 prices, \"included\" if they have it in them, \"ignore\" if it is not charged here",
                wrong.what,
                self.shown(wrong.minor.abs()),
                self.shown(of_lines + added),
                self.shown(of_lines),
                wrong.kind.as_str()
            );
            return Err(Objection(Reason::OtherCharges, detail));
        }
        self.check_total(of_lines, &beside, &sums.total)?;
        let taken = beside.iter().filter(|beside| beside.treat == Treat::Take && beside.minor != 0);
        taken.map(|beside| self.money_line(beside)).collect()
    }

    fn money_line(&self, beside: &Beside) -> Result<MoneyLineView, Objection> {
        let minor = i64::try_from(beside.minor.abs())
            .map_err(|_| Objection(Reason::OtherCharges, format!("{} is too much", beside.kind.as_str())))?;
        Ok(MoneyLineView {
            kind: beside.kind.as_str().to_owned(),
            label: None,
            amount: Amount { minor, currency: self.currency.code().to_owned() },
        })
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
        kind: MoneyLineKind,
        fields: &[String],
        charge: Option<&Charge>,
    ) -> Result<Beside, Objection> {
        let treat = charge.map_or(Treat::Ignore, |charge| charge.treat);
        let sum = self.sum(kind.as_str(), fields)?;
        let minor = match kind {
            // Discounts are written with and without a minus.
            MoneyLineKind::Discount => -sum.abs(),
            _ if sum < 0 && treat == Treat::Take => {
                let detail = format!("{} of {} is less than nothing", kind.as_str(), self.shown(sum));
                return Err(Objection(Reason::OtherCharges, detail));
            }
            MoneyLineKind::Shipping | MoneyLineKind::Tax | MoneyLineKind::Fee => sum.abs(),
        };
        Ok(Beside { what, kind, minor, treat })
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
