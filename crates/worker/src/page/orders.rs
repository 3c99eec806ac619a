//! The list of orders: the whole filter stands in the address, so Back, bookmarks and links work.

use application::saga::SagaState;
use axum::response::Response;
use bus_page::{Column, Forbidden, fragment, pager, short_id, table};
use domain::OrderStatus;
use maud::{Markup, html};
use serde_json::Value;

use super::value::{amount, list, query, state, text, when};
use super::visit::{Shown, Visit};
use super::wish::{Wish, is_open, needs_person};

/// Orders of one page: as many as 30 kB hold.
const PAGE: &str = "30";

/// What the list is filtered by: names of the API.
pub(super) const FILTERS: [&str; 11] = [
    "find",
    "status",
    "customer_id",
    "external_reference",
    "sku",
    "tracking_number",
    "created_from",
    "created_before",
    "saga_state",
    "attention",
    "sort",
];

/// The filter that a visit asks for, as a query of the API, beside these pairs.
pub(super) fn filter(visit: &Visit, beside: &[(&str, &str)]) -> String {
    let mut pairs: Vec<(&str, &str)> = FILTERS.iter().map(|name| (*name, visit.asked(name))).collect();
    if visit.asked("sort").is_empty() {
        pairs.push(("sort", "-created_at"));
    }
    pairs.extend(beside);
    query(&pairs)
}

pub(super) async fn show(visit: Visit) -> Response {
    let cursor = visit.asked("cursor");
    let heard =
        visit.get(&format!("/orders{}", filter(&visit, &[("cursor", cursor), ("limit", PAGE)]))).await;
    let found = if heard.is_success() {
        found(&visit, &heard.body)
    } else {
        html! { p .error role="alert" { (heard.why()) } }
    };
    let content = html! {
        (form(&visit))
        (presets(&visit))
        (fragment("found", "orders", &found))
    };
    let topics = if cursor.is_empty() { "orders" } else { "" };
    let mut response = visit.show(&Shown { title: "Orders", here: "/orders", topics }, &content);
    if !heard.is_success() {
        *response.status_mut() = heard.status;
    }
    response
}

fn line(visit: &Visit, name: &str, label: &str) -> Markup {
    html! { label { (label) input type="text" name=(name) value=(visit.asked(name)) maxlength="200"; } }
}

fn form(visit: &Visit) -> Markup {
    let sort = visit.asked("sort");
    let sorts = [
        ("-created_at", "newest first"),
        ("created_at", "oldest first"),
        ("-updated_at", "last changed first"),
        ("updated_at", "longest unchanged first"),
    ];
    html! {
        search {
            form .filter method="get" action=(visit.at("/orders")) {
                label {
                    "Order, reference, customer, SKU, tracking number or charge"
                    input type="search" name="find" value=(visit.asked("find")) maxlength="200" size="40";
                }
                label {
                    "Status"
                    select name="status" {
                        option value="" { "any" }
                        @for status in OrderStatus::ALL {
                            option value=(status.as_str()) selected[status.as_str() == visit.asked("status")] {
                                (status.as_str().replace('_', " "))
                            }
                        }
                    }
                }
                label {
                    "Sort"
                    select name="sort" {
                        @for (value, words) in sorts { option value=(value) selected[value == sort] { (words) } }
                    }
                }
                button type="submit" { "Find" }
                details open[FILTERS[2..9].iter().any(|name| !visit.asked(name).is_empty())] {
                    summary { "More" }
                    (line(visit, "customer_id", "Customer"))
                    (line(visit, "external_reference", "Reference"))
                    (line(visit, "sku", "SKU"))
                    (line(visit, "tracking_number", "Tracking number"))
                    (line(visit, "created_from", "Accepted from, such as 2026-03-04T00:00:00Z"))
                    (line(visit, "created_before", "Accepted before"))
                    label {
                        "Saga"
                        select name="saga_state" {
                            option value="" { "any" }
                            @for state in SagaState::ALL {
                                option value=(state.as_str()) selected[state.as_str() == visit.asked("saga_state")] {
                                    (state.as_str().replace('_', " "))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Filters that are often wanted, and what can be taken along of this one.
fn presets(visit: &Visit) -> Markup {
    let since = visit.now.saturating_sub(jiff::SignedDuration::from_hours(24)).unwrap_or(visit.now);
    let today = query(&[("created_from", &since.to_string())]);
    let export = filter(visit, &[]);
    html! {
        nav .pager aria-label="Filters and exports" {
            a href=(visit.at("/orders?attention=true")) { "Needs a person" }
            a href=(visit.at(format!("/orders{today}"))) { "Last 24 hours" }
            a href=(visit.at("/orders?status=cancelled&sort=-updated_at")) { "Cancelled last" }
            a href=(visit.at("/orders")) { "Clear all filters" }
            a href=(visit.at(format!("/orders.csv{export}"))) { "Export as CSV" }
            a href=(visit.at(format!("/orders.ndjson{export}"))) { "Export as NDJSON" }
        }
    }
}

fn found(visit: &Visit, page: &Value) -> Markup {
    let columns = [
        Column::text("Tick"),
        Column::text("Order"),
        Column::text("Reference"),
        Column::text("Customer"),
        Column::text("Status"),
        Column::text("Saga"),
        Column::number("Total"),
        Column::text("Accepted"),
        Column::text("Changed"),
    ];
    let orders = list(page, "items");
    let rows: Vec<_> = orders.iter().map(|order| row(visit, order)).collect();
    let next = text(page, "next_cursor");
    let here = |beside: &[(&str, &str)]| visit.at(format!("/orders{}", filter(visit, beside)));
    let (first, next) = (
        (!visit.asked("cursor").is_empty()).then(|| here(&[])),
        (!next.is_empty()).then(|| here(&[("cursor", next)])),
    );
    // A page may be empty although more follow: no page looks at more than so many orders.
    let without = match next {
        Some(_) => "None among the orders looked at so far; the next page goes on.",
        None => "No order matches.",
    };
    html! {
        form method="post" action=(visit.at(format!("/orders/confirm{}", filter(visit, &[])))) {
            (table("Orders", &columns, &rows, without))
            @if orders.iter().any(|order| is_open(order) || needs_person(order)) { (bulk(visit)) }
        }
        (pager(first.as_deref(), next.as_deref()))
    }
}

fn bulk(visit: &Visit) -> Markup {
    let allowed: Vec<Wish> =
        Wish::ALL.into_iter().filter(|wish| visit.forbidden(&wish.target("any")).is_none()).collect();
    let forbidden = visit.forbidden(&Wish::Cancel.target("any")).filter(|_| allowed.is_empty());
    html! {
        div .pager {
            label .tick { input type="checkbox" data-all="order" hidden; "Tick all of this page" }
            @match forbidden {
                Some(Forbidden(why)) => {
                    button type="button" disabled { "Cancel the ticked" } span .why { "Not now: " (why) }
                }
                None => {
                    select name="what" aria-label="What to do" {
                        @for wish in allowed { option value=(wish.name()) { (wish.words()) } }
                    }
                    button .grave type="submit" name="which" value="ticked" { "Do it for the ticked …" }
                    button .grave type="submit" name="which" value="all" { "Do it for all that match …" }
                }
            }
        }
    }
}

fn row(visit: &Visit, order: &Value) -> Vec<Markup> {
    let id = text(order, "order_id");
    let reference = text(order, "external_reference");
    vec![
        html! {
            @if is_open(order) || needs_person(order) { input type="checkbox" name="order" value=(id) aria-label={ "Tick order " (id) }; }
        },
        html! { a href=(visit.at(format!("/orders/{id}"))) { (short_id(id)) } },
        html! { (reference) },
        html! { (text(order, "customer_id")) },
        state(order, "status"),
        html! { (text(order, "saga_state").replace('_', " ")) },
        html! { (amount(order, "total")) },
        when(order, "created_at", visit.now),
        when(order, "updated_at", visit.now),
    ]
}
