//! How a request differs from the order with its reference, as text for the caller.

use domain::{Money, MoneyLine, Order, OrderLine};

use super::{CreateOrderCommand, CreateOrderLine, HoldWish, Violation};

/// Stable code of every difference.
const CODE: &str = "differs";

/// All differences. Lines may come in another order, and a line without a price takes the agreed one.
pub(super) fn differences(request: &CreateOrderCommand, order: &Order) -> Vec<Violation> {
    let mut found = Vec::new();
    let customer = &order.snapshot().customer_id;
    if request.customer_id != *customer {
        let message = format!("customer_id '{}', was '{customer}'", request.customer_id);
        found.push(Violation { pointer: "/customer_id".to_owned(), code: CODE, message });
    }
    let had_minor = order.snapshot().added_minor;
    let wanted_minor = added_minor(request);
    if wanted_minor != had_minor {
        let currency = order.total().currency;
        let money = |minor| Money::new(minor, currency);
        let message = format!(
            "the money lines come to {}, and in the known order to {}",
            money(wanted_minor),
            money(had_minor)
        );
        found.push(Violation { pointer: "/money_lines".to_owned(), code: CODE, message });
    }
    // What was cancelled since is no difference.
    let was = order.ordered_total();
    if let Some(total) = request.total.filter(|total| *total != was) {
        let message = format!("total {total}, was {was}");
        found.push(Violation { pointer: "/total".to_owned(), code: CODE, message });
    }
    let (wanted, had): (Vec<_>, Vec<_>) = (request.lines.iter().collect(), order.lines().iter().collect());
    let lines = between(&wanted, &had);
    if !lines.is_empty() && !between(&in_order(wanted), &in_order_of_sku(had)).is_empty() {
        found.extend(lines);
    }
    found
}

/// The holds that a request wants and its order never had: it would be paid or shipped though its caller wants it to wait.
pub(super) fn unheld(request: &CreateOrderCommand, had: &[HoldWish]) -> Vec<Violation> {
    let wished = request.holds.iter().enumerate();
    let missing = wished.filter(|(_, wish)| !had.contains(wish)).map(|(index, wish)| Violation {
        pointer: format!("/holds/{index}"),
        code: CODE,
        message: format!("a hold before {} for '{}', was not there", wish.before, wish.reason),
    });
    missing.collect()
}

fn added_minor(request: &CreateOrderCommand) -> i64 {
    request.money_lines.iter().map(MoneyLine::added_minor).sum()
}

fn in_order(mut lines: Vec<&CreateOrderLine>) -> Vec<&CreateOrderLine> {
    let price = |line: &CreateOrderLine| line.unit_price.map(|price| price.minor);
    lines.sort_by(|a, b| (&a.sku, a.quantity, price(a)).cmp(&(&b.sku, b.quantity, price(b))));
    lines
}

fn in_order_of_sku(mut lines: Vec<&OrderLine>) -> Vec<&OrderLine> {
    let price = |line: &OrderLine| line.unit_price.minor;
    lines.sort_by(|a, b| (&a.sku, a.quantity, price(a)).cmp(&(&b.sku, b.quantity, price(b))));
    lines
}

fn between(wanted: &[&CreateOrderLine], had: &[&OrderLine]) -> Vec<Violation> {
    let mut found = Vec::new();
    for index in 0..wanted.len().max(had.len()) {
        match (wanted.get(index), had.get(index)) {
            (Some(wanted), Some(had)) => line(index, wanted, had, &mut found),
            (Some(wanted), None) => {
                found.push(at(index, "", &format!("{} of '{}', was not there", wanted.quantity, wanted.sku)));
            }
            (None, Some(had)) => {
                found.push(at(index, "", &format!("not there, was {} of '{}'", had.quantity, had.sku)));
            }
            (None, None) => {}
        }
    }
    found
}

fn line(index: usize, wanted: &CreateOrderLine, had: &OrderLine, found: &mut Vec<Violation>) {
    if wanted.sku != had.sku {
        found.push(at(index, "/sku", &format!("sku '{}', was '{}'", wanted.sku, had.sku)));
    }
    if wanted.quantity != had.quantity {
        found.push(at(index, "/quantity", &format!("quantity {}, was {}", wanted.quantity, had.quantity)));
    }
    if let Some(price) = wanted.unit_price.filter(|price| *price != had.unit_price) {
        found.push(at(index, "/unit_price", &format!("unit price {price}, was {}", had.unit_price)));
    }
}

/// Pointers count from 0, people from 1.
fn at(index: usize, member: &str, message: &str) -> Violation {
    Violation {
        pointer: format!("/lines/{index}{member}"),
        code: CODE,
        message: format!("line {}: {message}", index + 1),
    }
}
