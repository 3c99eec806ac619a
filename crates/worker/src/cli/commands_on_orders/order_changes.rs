//! `orders change` and `orders erase-contact`.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use application::commands::{
    ChangeOrderCommand, ChangeOrderReply, EraseContactCommand, EraseContactReply, OrderChanges,
};
use application::validators::validate_changes;
use serde::Serialize;

use super::answer::answer;
use super::{Desk, SeenOrder, Signed};

#[derive(Serialize)]
struct ChangedOrder {
    order_id: String,
    changed: Vec<&'static str>,
}

pub(super) async fn change(
    desk: &Desk,
    name: &str,
    to: &Path,
    seen: SeenOrder,
    signed: Signed,
) -> Result<()> {
    let changes = read_changes(to)?;
    let order_id = desk.order_id(name).await?;
    let Signed { actor, note } = signed;
    let command = ChangeOrderCommand { order_id, changes, actor, note };
    match desk.run_if_unchanged(&command, seen.of(order_id).as_ref()).await? {
        ChangeOrderReply::Changed(changed) => {
            let changed = ChangedOrder { order_id: order_id.to_string(), changed };
            answer(desk.format, &changed, |it| match it.changed.join(", ") {
                said if said.is_empty() => format!("{}: it said so before", it.order_id),
                said => format!("{}: changed {said}", it.order_id),
            })
        }
        ChangeOrderReply::TooLate(why) => bail!(why),
        ChangeOrderReply::NotFound => bail!("there is no order {order_id}"),
    }
}

fn read_changes(file: &Path) -> Result<OrderChanges> {
    let text = match file.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?,
        _ => std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?,
    };
    let changes: OrderChanges = serde_json::from_str(&text).with_context(|| {
        format!(
            "{} has to be JSON with contact, shipping_address and billing_address, or some of them",
            file.display()
        )
    })?;
    if let Err(violations) = validate_changes(&changes) {
        let told: Vec<String> =
            violations.iter().map(|wrong| format!("{}: {}", wrong.pointer, wrong.message)).collect();
        bail!("nothing was changed: {}", told.join("; "));
    }
    Ok(changes)
}

#[derive(Serialize)]
struct ErasedContact {
    order_id: String,
    erased: &'static str,
}

pub(super) async fn erase_contact(desk: &Desk, name: &str, signed: Signed) -> Result<()> {
    let order_id = desk.order_id(name).await?;
    let Signed { actor, note } = signed;
    let erased = match desk.commands.run(&EraseContactCommand { order_id, actor, note }).await? {
        EraseContactReply::Erased => "now",
        EraseContactReply::Nothing => "before",
        EraseContactReply::AddressNeeded(why) => bail!(why),
        EraseContactReply::NotFound => bail!("there is no order {order_id}"),
    };
    let erased = ErasedContact { order_id: order_id.to_string(), erased };
    answer(desk.format, &erased, |it| match it.erased {
        "now" => format!("{}: contact, addresses, note and metadata are erased", it.order_id),
        _ => format!("{}: there was nothing to erase", it.order_id),
    })
}
