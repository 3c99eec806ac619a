//! `orders hold` and `orders release`, and the holds that `orders show` tells of.

use anyhow::{Result, bail};
use application::commands::{HoldOrderCommand, HoldOrderReply, ReleaseHoldCommand, ReleaseHoldReply};
use application::ports::{HoldView, OrderView};
use application::validators::hold_reason;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use comfy_table::Table;
use domain::{HoldId, HoldPoint};
use serde::Serialize;

use super::answer::{answer, or_dash, second, table};
use super::{Desk, SeenOrder, Signed};

pub(super) fn hold_points() -> impl TypedValueParser<Value = HoldPoint> {
    PossibleValuesParser::new(HoldPoint::ALL.iter().map(|point| point.as_str()))
        .try_map(|text| text.parse::<HoldPoint>())
}

/// What an order waits for, or waited for.
pub(super) fn holds(order: &OrderView) -> Table {
    let mut table = table(&["hold", "before", "why", "placed by", "placed", "released", "released by"]);
    for hold in &order.holds {
        table.add_row([
            hold.hold_id.to_string(),
            hold.before.to_owned(),
            hold.reason.clone(),
            hold.actor.clone().unwrap_or_else(|| "a rule".to_owned()),
            second(hold.placed_at),
            or_dash(hold.released_at.map(second).as_deref()),
            or_dash(hold.released_by.as_deref()),
        ]);
    }
    table
}

pub(super) async fn hold(
    desk: &Desk,
    name: &str,
    before: HoldPoint,
    seen: SeenOrder,
    signed: Signed,
) -> Result<()> {
    let order_id = desk.order_id(name).await?;
    let Signed { actor, note: reason } = signed;
    if let Err(why) = hold_reason(&reason) {
        bail!("--note says why the order waits: {why}");
    }
    let command = HoldOrderCommand { order_id, before, reason, actor };
    let hold = match desk.run_if_unchanged(&command, seen.of(order_id).as_ref()).await? {
        HoldOrderReply::Placed(hold) => HoldView::from(hold),
        HoldOrderReply::Refused(why) => bail!("the order was not put on hold: {why}"),
        HoldOrderReply::NotFound => bail!("there is no order {order_id}"),
    };
    answer(desk.format, &hold, |hold| {
        format!("{order_id}: waits before {} under hold {}", hold.before, hold.hold_id)
    })
}

#[derive(Serialize)]
struct ReleasedHold {
    order_id: String,
    hold_id: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    saga_state: Option<&'static str>,
}

pub(super) async fn release(
    desk: &Desk,
    name: &str,
    hold_id: HoldId,
    seen: SeenOrder,
    signed: Signed,
) -> Result<()> {
    let order_id = desk.order_id(name).await?;
    let Signed { actor, note } = signed;
    let command = ReleaseHoldCommand { order_id, hold_id, actor, note };
    let (outcome, state) = match desk.run_if_unchanged(&command, seen.of(order_id).as_ref()).await? {
        ReleaseHoldReply::Released { state, .. } => ("released", Some(state.as_str())),
        ReleaseHoldReply::Before(_) => ("already", None),
        ReleaseHoldReply::NoSuchHold => bail!("order {order_id} has no hold {hold_id}"),
        ReleaseHoldReply::NotFound => bail!("there is no order {order_id}"),
    };
    let (order_id, hold_id) = (order_id.to_string(), hold_id.to_string());
    let released = ReleasedHold { order_id, hold_id, outcome, saga_state: state };
    answer(desk.format, &released, |it| match it.saga_state {
        Some("on_hold") => format!("{}: released; other holds keep it on hold", it.order_id),
        Some(state) => format!("{}: released; the order is {state}", it.order_id),
        None => format!("{}: it was released before", it.order_id),
    })
}
