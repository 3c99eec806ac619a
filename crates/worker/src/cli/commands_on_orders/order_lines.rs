//! `orders cancel-lines`.

use std::str::FromStr;

use anyhow::{Context, Result, bail};
use application::commands::{CancelLinesCommand, CancelLinesReply};
use clap::Args;
use domain::Sku;
use serde::Serialize;

use super::answer::answer;
use super::order_returns::in_its_currency;
use super::{Desk, SeenOrder, Signed};

/// Units of a product, or all that are left of it: `SKU=UNITS` or `SKU`.
#[derive(Clone, Debug)]
struct Fewer(Sku, Option<i64>);

impl FromStr for Fewer {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((sku, units)) = text.rsplit_once('=') else { return Ok(Self(Sku::parse(text)?, None)) };
        let units = units.parse().with_context(|| format!("'{units}' is no number of units"))?;
        Ok(Self(Sku::parse(sku)?, Some(units)))
    }
}

/// What the customer wants no longer.
#[derive(Debug, Args)]
pub(in crate::cli) struct Wish {
    /// Units of a product, all that are left of it unless a number is said; may be given several times.
    #[arg(long = "line", value_name = "SKU[=UNITS]", required = true)]
    lines: Vec<Fewer>,
    /// How much less the order costs, in minor units of its currency; the price of the units unless said.
    #[arg(long, value_name = "MINOR")]
    amount: Option<i64>,
}

#[derive(Serialize)]
struct Cancelled {
    order_id: String,
    amount_minor: i64,
    total_minor: i64,
    currency: &'static str,
    refund_key: Option<String>,
}

pub(super) async fn cancel(
    desk: &Desk,
    name: &str,
    wish: Wish,
    seen: SeenOrder,
    signed: Signed,
) -> Result<()> {
    let order_id = desk.order_id(name).await?;
    let Signed { actor, note } = signed;
    let amount = match wish.amount {
        Some(minor) => Some(in_its_currency(desk, order_id, minor).await?),
        None => None,
    };
    let lines = wish.lines.into_iter().map(|Fewer(sku, units)| (sku, units)).collect();
    let command = CancelLinesCommand { order_id, lines, amount, actor, note };
    let it = match desk.run_if_unchanged(&command, seen.of(order_id).as_ref()).await? {
        CancelLinesReply::Cancelled(it) => *it,
        CancelLinesReply::Refused(why) => bail!("nothing was cancelled: {why}"),
        CancelLinesReply::NotFound => bail!("there is no order {order_id}"),
    };
    let cancelled = Cancelled {
        order_id: order_id.to_string(),
        amount_minor: it.amount.minor,
        total_minor: it.total.minor,
        currency: it.total.currency.code(),
        refund_key: it.refund_key,
    };
    answer(desk.format, &cancelled, |cancelled| {
        let back = match &cancelled.refund_key {
            Some(key) => format!("; it is asked back as {key}, and a running service has the gateway do it"),
            None => String::new(),
        };
        format!("{order_id}: costs {} less, {} in all{back}", it.amount, it.total)
    })
}
