//! Which order a cancellation takes back. Reaches no server.

use super::*;
use crate::import::{Mapping, Source};

const HEADINGS: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

/// Rows of (invoice, sku, units, customer).
fn sheet(rows: &[(&str, &str, i32, &str)]) -> Sheet {
    let row = |(invoice, sku, units, customer): &(&str, &str, i32, &str)| {
        format!("{invoice},{sku},NAME,{units},2010-12-01 08:26:00,1.00,{customer},UK")
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    let mapping = Mapping::named("uci-online-retail").expect("it comes with the program");
    let text = format!("{HEADINGS}\n{}\n", rows.join("\n"));
    Sheet::read(&Source::Bytes(text.as_bytes()), &mapping).expect("it can be read")
}

/// What the only cancellation means: numbers of orders, and what is decided about each line.
fn meant(rows: &[(&str, &str, i32, &str)]) -> (Vec<String>, Vec<LineVerdict>) {
    let sheet = sheet(rows);
    let mut all: Vec<TakeBack> = take_backs(&sheet).into_values().collect();
    let only = all.pop().expect("there is a cancellation");
    assert!(all.is_empty(), "there is only one");
    (only.orders.iter().map(|order| sheet.invoices[*order].number.clone()).collect(), only.lines)
}

#[test]
fn the_latest_order_that_is_covered_whole_is_meant() {
    let rows = [
        ("1", "A", 5, "7"),
        ("2", "A", 5, "7"),
        ("3", "A", 9, "7"),
        ("4", "A", 5, "8"),
        ("C5", "A", -5, "7"),
    ];
    assert_eq!(meant(&rows), (vec!["2".to_owned()], vec![LineVerdict::With(1)]));
}

#[test]
fn a_part_of_an_order_would_be_a_return() {
    let rows = [("1", "A", 5, "7"), ("1", "X", 1, "7"), ("C2", "A", -5, "7")];
    assert_eq!(meant(&rows), (Vec::new(), vec![LineVerdict::Settled(Outcome::Partial)]));
}

#[test]
fn one_cancellation_may_take_back_several_orders_and_more() {
    let rows = [
        ("1", "A", 2, "7"),
        ("2", "A", 3, "7"),
        ("2", "X", 1, "7"),
        ("C3", "A", -5, "7"),
        ("C3", "X", -1, "7"),
    ];
    let (orders, lines) = meant(&rows);
    assert_eq!(orders, ["2", "1"]);
    assert!(lines.iter().all(|line| matches!(line, LineVerdict::With(_))), "{lines:?}");
}

#[test]
fn an_order_is_taken_back_once_and_only_if_it_came_before() {
    let sheet = sheet(&[("1", "A", 5, "7"), ("C2", "A", -5, "7"), ("C3", "A", -5, "7"), ("4", "A", 5, "7")]);
    let found = take_backs(&sheet);
    assert_eq!((found[&1].orders.as_slice(), found[&2].orders.as_slice()), (&[0][..], &[][..]));
}

#[test]
fn what_cannot_be_is_told_for_the_reason_that_applies() {
    let settled = |outcome| vec![LineVerdict::Settled(outcome)];
    assert_eq!(meant(&[("C1", "A", -1, "7")]).1, settled(Outcome::NoSuchOrder));
    assert_eq!(meant(&[("1", "A", 1, "8"), ("C1", "A", -1, "7")]).1, settled(Outcome::NoSuchOrder));
    assert_eq!(meant(&[("1", "A", 1, ""), ("C1", "A", -1, "")]).1, settled(Outcome::UnknownCustomer));
    assert_eq!(meant(&[("C1", "POST", -1, "7")]).1, settled(Outcome::NotAProduct));
}

#[test]
fn two_orders_with_one_product_in_common_are_both_waited_for() {
    let rows = [("1", "A", 2, "7"), ("2", "A", 3, "7"), ("C3", "A", -5, "7")];
    assert_eq!(meant(&rows).0, ["2", "1"]);
}
