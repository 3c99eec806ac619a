//! The orders of a filter as a file: read page by page while it is written, under the reader's own scopes.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde_json::Value;

use super::orders::filter;
use super::value::{amount, list, text};
use super::visit::Visit;

/// Orders of one file at most.
const ORDERS_MAX: usize = 100_000;

const COLUMNS: [&str; 8] = [
    "order_id",
    "external_reference",
    "customer_id",
    "status",
    "saga_state",
    "created_at",
    "updated_at",
    "cancel_reason",
];

pub(super) async fn csv(visit: Visit) -> Response {
    let head = format!("{},total\r\n", COLUMNS.join(","));
    written(visit, "text/csv; charset=utf-8", "orders.csv", head, csv_line).await
}

pub(super) async fn ndjson(visit: Visit) -> Response {
    let line = |order: &Value| format!("{order}\n");
    written(visit, "application/x-ndjson", "orders.ndjson", String::new(), line).await
}

fn csv_line(order: &Value) -> String {
    let total = amount(order, "total");
    let cells = COLUMNS.iter().map(|name| text(order, name)).chain([total.as_str()]);
    let line: Vec<String> = cells.map(cell).collect();
    format!("{}\r\n", line.join(","))
}

/// A cell in quotes. One that a spreadsheet would take for a formula begins with an apostrophe.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if is_formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

/// How far the writing is.
enum Progress {
    Page { cursor: String, written: usize },
    Over,
}

async fn written(
    visit: Visit,
    media_type: &'static str,
    file: &'static str,
    head: String,
    line: fn(&Value) -> String,
) -> Response {
    let first = page(&visit, "").await;
    if !first.is_success() {
        return visit.fail("/orders", &first);
    }
    let start = (visit, Some(first), head, Progress::Page { cursor: String::new(), written: 0 });
    let lines = unfold(start, move |(visit, first, head, progress)| async move {
        let Progress::Page { cursor, written } = progress else { return None };
        let heard = match first {
            Some(first) => first,
            None => page(&visit, &cursor).await,
        };
        // A file that broke off is seen as such: the connection ends before the body does.
        let orders = list(&heard.body, "items");
        let text: String = std::iter::once(head).chain(orders.iter().map(line)).collect();
        let (written, next) = (written + orders.len(), text_of(&heard.body));
        let progress = match next.is_empty() || written >= ORDERS_MAX {
            true => Progress::Over,
            false => Progress::Page { cursor: next, written },
        };
        Some((Ok::<_, Infallible>(Bytes::from(text)), (visit, None, String::new(), progress)))
    });
    let disposition = format!("attachment; filename=\"{file}\"");
    let headers = [(CONTENT_TYPE, media_type.to_owned()), (CONTENT_DISPOSITION, disposition)];
    (headers, Body::from_stream(lines)).into_response()
}

fn text_of(page: &Value) -> String {
    text(page, "next_cursor").to_owned()
}

async fn page(visit: &Visit, cursor: &str) -> crate::http::Heard {
    visit.get(&format!("/orders{}", filter(visit, &[("cursor", cursor), ("limit", "200")]))).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_cell_is_a_formula_or_breaks_its_line() {
        let order = json!({"order_id": "1", "external_reference": "=1+1", "customer_id": "a\"b,c\nd",
            "total": {"minor": 100, "currency": "EUR"}});
        let line = csv_line(&order);
        assert!(
            line.starts_with("\"1\",\"'=1+1\",\"a\"\"b,c\nd\",") && line.ends_with(",\"1.00 EUR\"\r\n"),
            "{line}"
        );
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
        assert_eq!(reader.records().next().expect("a record").expect("whole").len(), COLUMNS.len() + 1);
    }
}
