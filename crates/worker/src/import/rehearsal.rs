//! What the service would make of orders, without sending any: a dry run tells what a real one would do.

use application::commands::CreateOrderCommand;
use application::order_details::MoneyLineView;
use application::ports::Caller;
use application::validators::validate_order;
use domain::{
    AMOUNT_MINOR_MAX, MoneyLineKind, NewOrder, NewOrderLine, Order, OrderId, OrderStatus, ProductId,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::known::{KnownLine, KnownOrder};
use super::order_body::OrderBody;
use super::{Outcome, Refusal};

/// Why the service would not have an order that is new to it.
pub(super) fn refused(body: &OrderBody<'_>, is_discontinued: impl Fn(&str) -> bool) -> Option<Refusal> {
    let refusal = |code: &str, detail: String| Some(Refusal { code: code.to_owned(), detail });
    let command =
        match validate_order(&body.draft(), OrderId(Uuid::nil()), &Caller::without_key().importing()) {
            Ok(command) => command,
            Err(violations) => {
                let told: Vec<String> =
                    violations.iter().map(|wrong| format!("{}: {}", wrong.code, wrong.message)).collect();
                return refusal("validation_failed", told.join("; "));
            }
        };
    if let Some(line) = command.lines.iter().find(|line| is_discontinued(line.sku.as_str())) {
        return refusal("product_discontinued", format!("'{}' can be ordered no more", line.sku));
    }
    placed(command).map(|why| Refusal { code: "order_rejected".to_owned(), detail: why })
}

/// Why the rules of the trade would not let an order be placed.
fn placed(command: CreateOrderCommand) -> Option<String> {
    let mut lines = Vec::with_capacity(command.lines.len());
    for line in command.lines {
        let unit_price = line.unit_price?;
        if unit_price.minor > AMOUNT_MINOR_MAX {
            return Some(format!("the price of '{}' is too high", line.sku));
        }
        let product_id = ProductId::of(&line.sku);
        lines.push(NewOrderLine { product_id, sku: line.sku, quantity: line.quantity, unit_price });
    }
    let new = NewOrder {
        id: command.order_id,
        customer_id: command.customer_id,
        lines,
        ordered_at: command.ordered_at.unwrap_or(Timestamp::UNIX_EPOCH),
        external_reference: command.external_reference,
        money_lines: command.money_lines,
    };
    let rejections = Order::place(new, Timestamp::UNIX_EPOCH).err()?;
    Some(rejections.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// Why the service would say that an order which is here is another one.
pub(super) fn differs(body: &OrderBody<'_>, known: &KnownOrder) -> Option<Refusal> {
    let draft = body.draft();
    let key = |line: &KnownLine| {
        (line.sku.clone(), line.quantity, line.unit_price.minor, line.unit_price.currency.clone())
    };
    let mut had: Vec<_> = known.lines.iter().map(key).collect();
    let mut wanted: Vec<_> = draft
        .lines
        .iter()
        .map(|line| {
            let (minor, currency) = line
                .unit_price
                .as_ref()
                .map_or((0, String::new()), |price| (price.minor, price.currency.clone()));
            (line.sku.clone(), u32::try_from(line.quantity).unwrap_or(0), minor, currency)
        })
        .collect();
    had.sort_unstable();
    wanted.sort_unstable();
    let (adds, added) = (added_minor(&draft.money_lines), added_minor(&known.money_lines));
    let what = match (draft.customer_id == known.customer_id, had == wanted) {
        (true, true) if adds == added => return None,
        (true, true) => format!("money lines add {adds} minor units, added {added}"),
        (false, _) => format!("customer_id '{}', was '{}'", draft.customer_id, known.customer_id),
        (true, false) => "other lines".to_owned(),
    };
    Some(Refusal { code: "external_reference_reused".to_owned(), detail: what })
}

/// What money lines add to the goods, in minor units.
fn added_minor(lines: &[MoneyLineView]) -> i128 {
    let added = |line: &MoneyLineView| {
        Some(i128::from(line.kind.parse::<MoneyLineKind>().ok()?.added(line.amount.minor)))
    };
    lines.iter().filter_map(added).sum()
}

/// Why an order of several parts, or one that was taken in several, is another one than the order that is here.
pub(super) fn of_other_length(now: &str) -> Refusal {
    let detail = format!("it has {now} lines now, in another number of parts");
    Refusal { code: "external_reference_reused".to_owned(), detail }
}

/// What would become of cancelling an order that stands there.
pub(super) fn cancelled(id: Uuid, known: &KnownOrder) -> (Outcome, String) {
    match known.status.parse::<OrderStatus>() {
        Ok(OrderStatus::Shipped | OrderStatus::Delivered) => {
            (Outcome::TooLate, format!("too late: order {id} has left the house, this would be a return"))
        }
        Ok(OrderStatus::Cancelled) => (Outcome::AlreadyCancelled, format!("order {id} was cancelled before")),
        Ok(
            OrderStatus::Pending
            | OrderStatus::Validated
            | OrderStatus::PaymentProcessing
            | OrderStatus::Authorised
            | OrderStatus::Paid,
        )
        | Err(_) => (Outcome::Cancelled, format!("order {id} would be cancelled")),
    }
}
