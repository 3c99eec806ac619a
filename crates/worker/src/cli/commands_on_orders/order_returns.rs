//! `orders refund`, `orders return`, `orders receive-return` and `orders cancel-return`, and the returns that `orders show` tells of.

use std::str::FromStr;

use anyhow::{Context, Result, bail};
use application::commands::{
    CancelReturnCommand, CancelReturnReply, ReceiveReturnCommand, ReceiveReturnReply, RefundOrderCommand,
    RefundReply, RequestReturnCommand, RequestReturnReply,
};
use application::ports::{OrderView, ReturnView};
use application::validators::hold_reason;
use clap::Args;
use comfy_table::Table;
use domain::{Arrival, Money, OrderId, Restock, ReturnId, Sku};
use serde::Serialize;

use super::answer::{answer, or_dash, second, table};
use super::{Desk, SeenOrder, Signed};

/// Units of a product, as a command line names them: `SKU=UNITS`.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Units(Sku, i64);

impl FromStr for Units {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (sku, units) = text.rsplit_once('=').context("SKU=UNITS, such as TEA-1=2")?;
        Ok(Self(Sku::parse(sku)?, units.parse().with_context(|| format!("'{units}' is no number of units"))?))
    }
}

/// What arrived of a product: `SKU=UNITS`, or `SKU=UNITS/RESTOCKED`.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Arrived(Arrival);

impl FromStr for Arrived {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (sku, units) =
            text.rsplit_once('=').context("SKU=UNITS or SKU=UNITS/RESTOCKED, such as TEA-1=2/1")?;
        let number = |units: &str| units.parse().with_context(|| format!("'{units}' is no number of units"));
        let (received, restocked) = match units.split_once('/') {
            Some((received, restocked)) => (number(received)?, Some(number(restocked)?)),
            None => (number(units)?, None),
        };
        Ok(Self(Arrival { sku: Sku::parse(sku)?, received, restocked }))
    }
}

/// What came back, and what becomes of it.
#[derive(Debug, Args)]
pub(in crate::cli) struct Receipt {
    /// What arrived of a product, and how many of these units are for sale again; may be given several times. All that was awaited
    /// arrived, unless said.
    #[arg(long = "line", value_name = "SKU=UNITS[/RESTOCKED]")]
    lines: Vec<Arrived>,
    /// What arrived is for sale again, where its line does not say otherwise.
    #[arg(long)]
    restock: bool,
    /// What is paid back, in minor units of the order's currency.
    #[arg(long, value_name = "MINOR")]
    refund: Option<i64>,
}

/// What came back of an order, or is awaited.
pub(super) fn returns(order: &OrderView) -> Table {
    let mut table =
        table(&["return", "status", "why", "asked by", "asked", "units", "ended by", "paid back"]);
    for it in &order.returns {
        table.add_row([
            it.return_id.to_string(),
            it.status.to_owned(),
            it.reason.clone(),
            it.actor.clone().unwrap_or_else(|| "the carrier".to_owned()),
            second(it.requested_at),
            lines(it),
            or_dash(it.ended_by.as_deref()),
            paid_back(it),
        ]);
    }
    table
}

fn lines(it: &ReturnView) -> String {
    let line = |line: &application::ports::ReturnLineView| {
        let (sku, quantity) = (&line.sku, line.quantity);
        match it.status {
            "received" => format!("{sku}: {} of {quantity}, {} for sale", line.received, line.restocked),
            _ => format!("{sku}: {quantity}"),
        }
    };
    it.lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn paid_back(it: &ReturnView) -> String {
    match (it.refund_minor, it.refunded_at) {
        (None, _) => "-".to_owned(),
        (Some(minor), Some(_)) => minor.to_string(),
        (Some(minor), None) => format!("{minor}, asked for"),
    }
}

pub(super) async fn request(
    desk: &Desk,
    name: &str,
    lines: Vec<Units>,
    seen: SeenOrder,
    signed: Signed,
) -> Result<()> {
    let order_id = desk.order_id(name).await?;
    let Signed { actor, note: reason } = signed;
    if let Err(why) = hold_reason(&reason) {
        bail!("--note says why the goods come back: {why}");
    }
    let lines = lines.into_iter().map(|Units(sku, units)| (sku, units)).collect();
    let command = RequestReturnCommand { order_id, lines, reason, actor };
    let it = match desk.run_if_unchanged(&command, seen.of(order_id).as_ref()).await? {
        RequestReturnReply::Requested(it) => ReturnView::from(*it),
        RequestReturnReply::Refused(why) => bail!("nothing is awaited: {why}"),
        RequestReturnReply::NotFound => bail!("there is no order {order_id}"),
    };
    answer(desk.format, &it, |it| format!("{order_id}: return {} is awaited", it.return_id))
}

pub(super) async fn receive(
    desk: &Desk,
    name: &str,
    return_id: ReturnId,
    receipt: Receipt,
    seen: SeenOrder,
    signed: Signed,
) -> Result<()> {
    let order_id = desk.order_id(name).await?;
    let Receipt { lines, restock, refund } = receipt;
    let refund = match refund {
        Some(minor) => Some(in_its_currency(desk, order_id, minor).await?),
        None => None,
    };
    let Signed { actor, note } = signed;
    let arrived = lines.into_iter().map(|Arrived(arrival)| arrival).collect();
    let restock = if restock { Restock::All } else { Restock::None };
    let command = ReceiveReturnCommand { order_id, return_id, arrived, restock, refund, actor, note };
    let it = match desk.run_if_unchanged(&command, seen.of(order_id).as_ref()).await? {
        ReceiveReturnReply::Received(it) => ReturnView::from(*it),
        ReceiveReturnReply::Refused(why) => bail!("the return was not taken in: {why}"),
        ReceiveReturnReply::NoSuchReturn => bail!("order {order_id} has no return {return_id}"),
        ReceiveReturnReply::NotFound => bail!("there is no order {order_id}"),
    };
    answer(desk.format, &it, |it| {
        let asked = match &it.refund_key {
            Some(key) => {
                format!("; {} minor units are asked back as {key}", it.refund_minor.unwrap_or_default())
            }
            None => String::new(),
        };
        format!("{order_id}: taken in{asked}")
    })
}

pub(super) async fn cancel(
    desk: &Desk,
    name: &str,
    return_id: ReturnId,
    seen: SeenOrder,
    signed: Signed,
) -> Result<()> {
    let order_id = desk.order_id(name).await?;
    let Signed { actor, note } = signed;
    let command = CancelReturnCommand { order_id, return_id, actor, note };
    let it = match desk.run_if_unchanged(&command, seen.of(order_id).as_ref()).await? {
        CancelReturnReply::Cancelled(it) => ReturnView::from(*it),
        CancelReturnReply::Refused(why) => bail!("the return was not cancelled: {why}"),
        CancelReturnReply::NoSuchReturn => bail!("order {order_id} has no return {return_id}"),
        CancelReturnReply::NotFound => bail!("there is no order {order_id}"),
    };
    answer(desk.format, &it, |it| format!("{order_id}: return {} is awaited no longer", it.return_id))
}

/// So many minor units in the currency of the order.
pub(super) async fn in_its_currency(desk: &Desk, order_id: OrderId, minor: i64) -> Result<Money> {
    let order = desk.store.readers.order(order_id).await?;
    let order = order.with_context(|| format!("there is no order {order_id}"))?;
    Ok(Money::new(minor, order.total.money()?.currency))
}

#[derive(Serialize)]
struct Asked {
    order_id: String,
    refund_key: String,
}

pub(super) async fn refund(
    desk: &Desk,
    name: &str,
    minor: i64,
    seen: SeenOrder,
    signed: Signed,
) -> Result<()> {
    let order_id = desk.order_id(name).await?;
    let amount = in_its_currency(desk, order_id, minor).await?;
    let Signed { actor, note: reason } = signed;
    let command = RefundOrderCommand { order_id, amount, actor, reason };
    let refund_key = match desk.run_if_unchanged(&command, seen.of(order_id).as_ref()).await? {
        RefundReply::Accepted { refund_key } => refund_key,
        RefundReply::Refused { why } => bail!("nothing was paid back: {why}"),
        RefundReply::NotFound => bail!("there is no order {order_id}"),
    };
    let asked = Asked { order_id: order_id.to_string(), refund_key };
    answer(desk.format, &asked, |asked| {
        format!(
            "{}: {amount} asked back as {}; a running service has the gateway do it",
            asked.order_id, asked.refund_key
        )
    })
}
