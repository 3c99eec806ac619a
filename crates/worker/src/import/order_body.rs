//! An order as an import sends it.

use std::borrow::Cow;

use anyhow::Result;
use application::messages::Amount;
use application::order_details::OrderDetails;
use application::validators::{LineDraft, OrderDraft};
use bytes::Bytes;
use domain::{HoldPoint, WhenShort};
use serde::Serialize;

use super::client::PriceBody;
use super::reference::key;
use super::sheet::{Invoice, Item, Part};

/// An order as it is sent. The same order is the same text, whenever it is sent.
#[derive(Serialize)]
pub struct OrderBody<'a> {
    customer_id: &'a str,
    lines: Vec<LineBody<'a>>,
    external_reference: String,
    ordered_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_token: Option<&'a str>,
    #[serde(flatten)]
    details: Cow<'a, OrderDetails>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    holds: Vec<HoldBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    when_short: Option<&'static str>,
}

#[derive(Serialize)]
struct HoldBody<'a> {
    before: &'static str,
    reason: &'a str,
}

#[derive(Serialize)]
struct LineBody<'a> {
    sku: &'a str,
    quantity: u32,
    unit_price: PriceBody<'a>,
}

impl<'a> OrderBody<'a> {
    /// The order that a part of an invoice is; mostly the part is the whole.
    #[must_use]
    pub fn of(skus: &'a [String], invoice: &'a Invoice, part: &Part<'_>) -> Self {
        let lines = part.lines.iter().filter_map(|line| match line.item {
            Item::Product(product) => {
                let unit_price = PriceBody { minor: line.price_minor, currency: &invoice.currency };
                Some(LineBody { sku: &skus[product], quantity: line.units, unit_price })
            }
            Item::NeverOrdered | Item::NoProduct => None,
        });
        Self {
            customer_id: &invoice.customer,
            lines: lines.collect(),
            external_reference: part.reference.clone(),
            ordered_at: invoice.ordered_at.to_string(),
            payment_token: None,
            details: match part.is_first {
                true => Cow::Borrowed(&invoice.details),
                false => Cow::Owned(OrderDetails { money_lines: Vec::new(), ..invoice.details.clone() }),
            },
            holds: Vec::new(),
            when_short: None,
        }
    }

    /// The same order, paid with this.
    #[must_use]
    pub const fn paid_with(mut self, payment_token: Option<&'a str>) -> Self {
        self.payment_token = payment_token;
        self
    }

    /// The same order, which waits before its parcel if there is a reason.
    #[must_use]
    pub fn held_for(mut self, reason: Option<&'a str>) -> Self {
        self.holds = reason
            .map(|reason| HoldBody { before: HoldPoint::Shipping.as_str(), reason })
            .into_iter()
            .collect();
        self
    }

    /// The same order, which waits for its goods.
    #[must_use]
    pub const fn waiting_for_goods(mut self, waits: bool) -> Self {
        self.when_short = if waits { Some(WhenShort::Wait.as_str()) } else { None };
        self
    }

    /// The same, as the service reads it.
    #[must_use]
    pub(super) fn draft(&self) -> OrderDraft {
        let line = |line: &LineBody<'_>| LineDraft {
            sku: line.sku.to_owned(),
            quantity: i64::from(line.quantity),
            unit_price: Some(Amount {
                minor: line.unit_price.minor,
                currency: line.unit_price.currency.to_owned(),
            }),
        };
        OrderDraft {
            customer_id: self.customer_id.to_owned(),
            lines: self.lines.iter().map(line).collect(),
            payment_token: self.payment_token.map(str::to_owned),
            external_reference: Some(self.external_reference.clone()),
            ordered_at: Some(self.ordered_at.clone()),
            ..OrderDraft::from(self.details.clone().into_owned())
        }
    }

    /// The text that is sent, and the key under which it is.
    ///
    /// # Errors
    /// Never for what this holds.
    pub fn keyed(&self) -> Result<(String, Bytes)> {
        let text = serde_json::to_vec(self)?;
        Ok((key(&self.external_reference, &text), text.into()))
    }
}
