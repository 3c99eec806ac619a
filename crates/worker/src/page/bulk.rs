//! The same for many orders, such as cancelling them or retrying their sagas: counted first, shown, confirmed, then each by
//! itself with its own outcome. Never more than was shown: what is confirmed is the orders themselves, not the filter.

use std::collections::BTreeMap;

use axum::extract::Request;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bus_page::{Column, Field, Forbidden, Tone, table};
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;
use uuid::Uuid;

use super::orders::filter;
use super::sign_in::{field, fields};
use super::value::{amount, list, state, text};
use super::visit::{Shown, Visit};
use super::wish::Wish;
use crate::http::Heard;

/// Orders of one go at most.
const ORDERS_MAX: usize = 1_000;

/// Orders that are shown one by one, and refusals that are.
const SHOWN_MAX: usize = 20;
const REFUSALS_SHOWN_MAX: usize = 100;

/// What a filter was found to match.
struct Matches {
    orders: Vec<Value>,
    /// Whether there are more than go at once.
    more: bool,
}

/// Every order that matches, up to the most that go at once.
async fn matches(visit: &Visit, wish: Wish) -> Result<Matches, Heard> {
    let (mut orders, mut cursor) = (Vec::new(), String::new());
    loop {
        let asked = filter(visit, &[("cursor", &cursor), ("limit", "200")]);
        let page = visit.get(&format!("/orders{asked}")).await;
        if !page.is_success() {
            return Err(page);
        }
        orders.extend(list(&page.body, "items").iter().filter(|order| wish.fits(order)).cloned());
        text(&page.body, "next_cursor").clone_into(&mut cursor);
        if orders.len() > ORDERS_MAX || cursor.is_empty() {
            break;
        }
    }
    let more = orders.len() > ORDERS_MAX;
    orders.truncate(ORDERS_MAX);
    Ok(Matches { orders, more })
}

/// Shows what would be done.
pub(super) async fn confirm(visit: Visit, request: Request) -> Response {
    let fields = fields(request.into_body()).await;
    let wish = Wish::of(&fields);
    let found = match field(&fields, "which") {
        "all" => matches(&visit, wish).await,
        _ => ticked(&visit, &fields, wish).await,
    };
    let matches = match found {
        Ok(matches) => matches,
        Err(heard) => return visit.fail("/orders", &heard),
    };
    if matches.orders.is_empty() {
        let back = visit.at(format!("/orders{}", filter(&visit, &[])));
        return visit.back(&back, Tone::Refused, "Of these orders, this can be done for none any more.");
    }
    let count = matches.orders.len();
    let title = format!("{} {count} orders?", wish.words());
    let content = confirmation(&visit, &matches, wish);
    visit.show(&Shown { title: &title, here: "/orders", topics: "" }, &content)
}

/// The orders that were ticked, and for which it can be done.
async fn ticked(visit: &Visit, fields: &[(String, String)], wish: Wish) -> Result<Matches, Heard> {
    let mut orders = Vec::new();
    let ids = fields.iter().filter(|(name, _)| name == "order").filter_map(|(_, id)| id.parse::<Uuid>().ok());
    for id in ids.take(ORDERS_MAX) {
        let heard = visit.get(&format!("/orders/{id}")).await;
        if heard.is_success() && wish.fits(&heard.body) {
            orders.push(heard.body);
        }
    }
    Ok(Matches { orders, more: false })
}

fn confirmation(visit: &Visit, matches: &Matches, wish: Wish) -> Markup {
    let Matches { orders, more } = matches;
    let columns =
        [Column::text("Order"), Column::text("Reference"), Column::text("Status"), Column::number("Total")];
    let row = |order: &Value| {
        vec![
            html! { code { (text(order, "order_id")) } },
            html! { (text(order, "external_reference")) },
            state(order, "status"),
            html! { (amount(order, "total")) },
        ]
    };
    let rows: Vec<_> = orders.iter().take(SHOWN_MAX).map(row).collect();
    let rest = orders.len().saturating_sub(SHOWN_MAX);
    let filter = filter(visit, &[]);
    let text = format!("{} them", wish.words());
    let act = bus_page::Action {
        to: visit.at(format!("/orders/act{filter}")),
        text: &text,
        does: wish.does(),
        fields: vec![
            Field::Text("note", "Why"),
            Field::Hidden("what", wish.name().to_owned()),
            Field::Hidden("orders", packed(orders)),
            Field::Hidden("once", visit.once()),
        ],
        is_grave: true,
        forbidden: visit.forbidden(&wish.target("any")),
    };
    html! {
        @if *more {
            p { "More match; " (ORDERS_MAX) " go at once. When these are done, the same filter finds the rest." }
        }
        p .soft { "Filter: " code { @if filter.is_empty() { "none" } @else { (filter) } } }
        (table("The first of them", &columns, &rows, ""))
        @if rest > 0 { p { "… and " (rest) " more." } }
        (act.render())
        p { a href=(visit.at(format!("/orders{filter}"))) { "Back, and leave them as they are" } }
    }
}

/// An order as it was shown: which, and when its saga had last moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ShownOrder {
    id: Uuid,
    moved_at: Timestamp,
}

/// The bytes of one order: its id, and the moment in microseconds.
const PACKED_BYTES: usize = 16 + 8;

/// These orders in little room.
fn packed(orders: &[Value]) -> String {
    let mut bytes = Vec::with_capacity(orders.len() * PACKED_BYTES);
    for order in orders {
        let id = text(order, "order_id").parse::<Uuid>();
        let moved_at = text(order, "saga_moved_at").parse::<Timestamp>();
        if let (Ok(id), Ok(moved_at)) = (id, moved_at) {
            bytes.extend(id.into_bytes());
            bytes.extend(moved_at.as_microsecond().to_be_bytes());
        }
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

fn unpacked(text: &str) -> Vec<ShownOrder> {
    let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    let shown = |bytes: &[u8]| {
        let (id, moved_at) = bytes.split_at_checked(16)?;
        let moved_at = i64::from_be_bytes(moved_at.try_into().ok()?);
        let moved_at = Timestamp::from_microsecond(moved_at).ok()?;
        Some(ShownOrder { id: Uuid::from_slice(id).ok()?, moved_at })
    };
    bytes.chunks_exact(PACKED_BYTES).filter_map(shown).take(ORDERS_MAX).collect()
}

/// Does it, order by order.
pub(super) async fn act(visit: Visit, request: Request) -> Response {
    let fields = fields(request.into_body()).await;
    let back = visit.at(format!("/orders{}", filter(&visit, &[])));
    let wish = Wish::of(&fields);
    if let Some(Forbidden(why)) = visit.forbidden(&wish.target("any")) {
        return visit.back(&back, Tone::Refused, &format!("Nothing was done: {why}."));
    }
    let (orders, once) = (unpacked(field(&fields, "orders")), field(&fields, "once"));
    let body = wish.body(visit.viewer.name(), field(&fields, "note"));
    let mut done: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut refused: Vec<(Uuid, String)> = Vec::new();
    for ShownOrder { id, moved_at } in &orders {
        let key = format!("{once}-{id}");
        let body = wish.as_shown(body.clone(), *moved_at);
        let heard = visit.post(&wish.target(&id.to_string()), Some(&key), &body).await;
        match (heard.is_success(), text(&heard.body, "outcome")) {
            (true, "already") => *done.entry("were cancelled before").or_default() += 1,
            (true, _) if wish == Wish::Cancel => *done.entry("are being cancelled").or_default() += 1,
            (true, _) => *done.entry("go on").or_default() += 1,
            (false, _) => refused.push((*id, heard.why())),
        }
    }
    visit.show(
        &Shown { title: "What was done", here: "/orders", topics: "" },
        &outcome(&visit, &done, &refused, &back),
    )
}

fn outcome(
    visit: &Visit,
    done: &BTreeMap<&'static str, u64>,
    refused: &[(Uuid, String)],
    back: &str,
) -> Markup {
    let row = |(id, why): &(Uuid, String)| {
        let to = visit.at(format!("/orders/{id}"));
        vec![html! { a href=(to) { code { (id) } } }, html! { (why) }]
    };
    let rows: Vec<_> = refused.iter().take(REFUSALS_SHOWN_MAX).map(row).collect();
    let rest = refused.len().saturating_sub(REFUSALS_SHOWN_MAX);
    html! {
        ul { @for (what, count) in done { li { (count) " " (what) } } li { (refused.len()) " were left as they are" } }
        @if !rows.is_empty() {
            (table("Left as they are", &[Column::text("Order"), Column::text("Why")], &rows, ""))
        }
        @if rest > 0 { p { "… and " (rest) " more." } }
        p { a href=(back) { "Back to the orders" } }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::FORM_BYTES_MAX;
    use super::*;

    #[test]
    fn the_orders_that_were_shown_come_back_and_no_others() {
        let ids: Vec<Uuid> = (0..1_200).map(|number| Uuid::from_u128(number << 64 | 7)).collect();
        let moved_at = Timestamp::from_microsecond(1_800_000_000_123_456).expect("a moment");
        let orders: Vec<Value> =
            ids.iter().map(|id| json!({"order_id": id, "saga_moved_at": moved_at})).collect();
        let text = packed(&orders[..ORDERS_MAX]);
        assert!(text.len() < FORM_BYTES_MAX / 2, "a form has room for it");
        let shown: Vec<ShownOrder> = ids.iter().map(|&id| ShownOrder { id, moved_at }).collect();
        assert_eq!(unpacked(&text), &shown[..ORDERS_MAX]);
        assert_eq!(unpacked(&packed(&orders)).len(), ORDERS_MAX);
        assert!(unpacked("?").is_empty());
    }
}
