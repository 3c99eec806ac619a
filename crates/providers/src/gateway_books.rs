//! The gateway's list of charges over HTTP, a page at a time, for holding our books against it.

use std::borrow::Cow;

use application::ports::{ChargePage, GatewayBooks, ListedCharge, Listing, Unanswered};
use async_trait::async_trait;
use domain::{Currency, Money};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Number;

use super::HttpPaymentGateway;
use super::answer::{Refusal, unknown};
use super::client::Call;

const LIST: &str = "/payments/charges?limit=";

#[derive(Deserialize)]
struct PageAnswer<'a> {
    #[serde(borrow)]
    items: Vec<ChargeRow<'a>>,
    #[serde(borrow, default)]
    next: Option<Cursor<'a>>,
}

/// A charge that is asked for by its key need not say it.
#[derive(Deserialize)]
struct ChargeRow<'a> {
    #[serde(borrow, default)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    reference: Cow<'a, str>,
    amount_minor: i64,
    #[serde(borrow)]
    currency: Cow<'a, str>,
    captured_minor: i64,
    refunded_minor: i64,
}

/// Gateways name places in their lists by numbers or by texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Cursor<'a> {
    Number(Number),
    #[serde(borrow)]
    Text(Cow<'a, str>),
}

#[async_trait]
impl GatewayBooks for HttpPaymentGateway {
    async fn listed_charges(&self, after: Option<&str>, max: usize) -> Result<Listing, Unanswered> {
        let answer = self.client.make(Call::get(self.client.address.listed(LIST, max, after))).await?;
        if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
            return Ok(Listing::CannotList);
        }
        let page: PageAnswer<'_> = answer.verdict()??;
        let charges = page.items.into_iter().map(|row| row.listed(None)).collect::<Result<_, _>>()?;
        Ok(Listing::Page(ChargePage { charges, next: page.next.map(Cursor::into_text) }))
    }

    async fn listed_charge(&self, key: &str) -> Result<Option<ListedCharge>, Unanswered> {
        let answer = self.client.make(Call::get(self.keyed(key, ""))).await?;
        match answer.verdict::<ChargeRow<'_>>()? {
            Ok(row) => row.listed(Some(key)).map(Some),
            Err(Refusal::UnknownKey | Refusal::KeyClosed) => Ok(None),
            Err(refused @ Refusal::Refused { .. }) => Err(refused.into()),
        }
    }
}

impl ChargeRow<'_> {
    fn listed(self, asked_by: Option<&str>) -> Result<ListedCharge, Unanswered> {
        let currency = Currency::parse(&self.currency)
            .map_err(|_| unknown(format!("a charge in the currency '{}'", self.currency)))?;
        let key = self.key.as_deref().or(asked_by);
        Ok(ListedCharge {
            key: key.unwrap_or_default().to_owned(),
            reference: self.reference.into_owned(),
            id: self.id.into_owned(),
            amount: Money::new(self.amount_minor, currency),
            captured_minor: self.captured_minor,
            refunded_minor: self.refunded_minor,
        })
    }
}

impl Cursor<'_> {
    fn into_text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.into_owned(),
        }
    }
}
