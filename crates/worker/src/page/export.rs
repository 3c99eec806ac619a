//! The orders of a filter as a file: read page by page while it is written, under the reader's own scopes.

use std::io;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::try_unfold;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde_json::Value;

use super::orders::filter;
use super::value::{amount, list, text};
use super::visit::Visit;
use crate::http::Heard;

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

/// The lines of one page, and where the next page begins, if there is one. What the API refuses breaks the file off, so
/// that half a file is not taken for the whole: the connection ends before the body does.
fn piece(heard: &Heard, line: fn(&Value) -> String) -> io::Result<(String, Option<String>)> {
    if !heard.is_success() {
        return Err(io::Error::other(heard.why()));
    }
    let next = text(&heard.body, "next_cursor");
    let lines = list(&heard.body, "items").iter().map(line).collect();
    Ok((lines, (!next.is_empty()).then(|| next.to_owned())))
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
    let first = piece(&first, line).map(|(lines, next)| (head + &lines, next));
    let rest = try_unfold((visit, Some(first)), move |(visit, first)| async move {
        let Some(piece) = first else { return Ok(None) };
        let (lines, next) = piece?;
        let following = match next {
            Some(cursor) => Some(self::piece(&page(&visit, &cursor).await, line)),
            None => None,
        };
        Ok::<_, io::Error>(Some((Bytes::from(lines), (visit, following))))
    });
    let disposition = format!("attachment; filename=\"{file}\"");
    let headers = [(CONTENT_TYPE, media_type.to_owned()), (CONTENT_DISPOSITION, disposition)];
    (headers, Body::from_stream(rest)).into_response()
}

async fn page(visit: &Visit, cursor: &str) -> Heard {
    visit.get(&format!("/orders{}", filter(visit, &[("cursor", cursor), ("limit", "200")]))).await
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_goes_on_to_its_last_page_and_breaks_off_where_a_page_is_not_to_be_had() {
        let heard = |status, body| Heard { status, body };
        let line = |order: &Value| format!("{order}\n");
        let page = json!({"items": [1, 2], "next_cursor": "further"});
        let more = piece(&heard(StatusCode::OK, page), line).expect("a page");
        assert_eq!(more, ("1\n2\n".to_owned(), Some("further".to_owned())));
        let last = json!({"items": [], "next_cursor": null});
        assert_eq!(piece(&heard(StatusCode::OK, last), line).expect("a page"), (String::new(), None));
        let away = json!({"detail": "the store is away"});
        let broken = piece(&heard(StatusCode::SERVICE_UNAVAILABLE, away), line).expect_err("no page");
        assert_eq!(broken.to_string(), "the store is away");
    }

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
