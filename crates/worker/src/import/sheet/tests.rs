//! How rows of a file become lines of orders. Reads no file and reaches no server.

use proptest::prelude::*;

use super::super::Mapping;
use super::super::table::Source;
use super::super::tally::{Omission, Reason};
use super::*;

const HEADINGS: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

fn sheet(rows: &[String]) -> Sheet {
    let text = format!("{HEADINGS}\n{}\n", rows.join("\n"));
    Sheet::read(&Source::Bytes(text.as_bytes()), &uci()).expect("it can be read")
}

fn uci() -> Mapping {
    Mapping::named("uci-online-retail").expect("it comes with the program")
}

fn row(invoice: &str, sku: &str, quantity: &str, price: &str) -> String {
    format!("{invoice},{sku},A NAME,{quantity},2010-12-01 08:26:00,{price},17850.0,United Kingdom")
}

proptest! {
    #[test]
    fn every_row_is_in_an_invoice_or_rejected_and_never_both(
        rows in prop::collection::vec(("C?[1-4]?", "[aA-bB]?[0-9]?|POST|gift_1", "-?[0-9]{0,2}|x", "-?[0-9]?\\.?[0-9]{0,3}"), 0..60)
    ) {
        let rows: Vec<String> = rows.iter().map(|(order, sku, units, price)| row(order, sku, units, price)).collect();
        let sheet = sheet(&rows);
        prop_assert_eq!(sheet.rows, rows.len() as u64);
        prop_assert_eq!(sheet.rows_accounted_for(), sheet.rows);
        let mut lines: Vec<u64> = sheet.rejected.iter().map(|rejected| rejected.line).collect();
        lines.extend(sheet.left_out.iter().map(|left_out| left_out.line));
        lines.extend(sheet.invoices.iter().flat_map(|invoice| &invoice.lines).map(|line| line.line));
        lines.sort_unstable();
        prop_assert_eq!(lines, (2..2 + rows.len() as u64).collect::<Vec<_>>());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut text = HEADINGS.as_bytes().to_vec();
        text.push(b'\n');
        text.extend(bytes);
        let read = Sheet::read(&Source::Bytes(&text), &uci());
        prop_assert!(read.is_ok_and(|sheet| sheet.rows_accounted_for() == sheet.rows));
    }
}

#[test]
fn each_bad_row_is_rejected_for_the_reason_that_applies() {
    let cases = [
        (row("1", "", "1", "1.00"), Reason::NoProduct),
        (row("1", "85123A", "0", "1.00"), Reason::QuantityNotPositive),
        (row("1", "85123A", "-3", "1.00"), Reason::QuantityNotPositive),
        (row("1", "85123A", "many", "1.00"), Reason::InvalidQuantity),
        (row("1", "85123A", "1000001", "1.00"), Reason::InvalidQuantity),
        (row("1", "85123A", "1", "-11062.06"), Reason::PriceNegative),
        (row("1", "85123A", "1", "0.001"), Reason::InvalidPrice),
        (row("1", "A\u{200b}", "1", "1.00"), Reason::InvalidSku),
        (row("1", "A", "1", "1.00") + ",more", Reason::Unreadable),
        (row("1", "A", "1\u{fffd}", "1.00"), Reason::Unreadable),
        (row("", "85123A", "1", "1.00"), Reason::NoOrder),
        ("1,85123A,A NAME,1,yesterday,1.00,17850.0,".to_owned(), Reason::InvalidTime),
        ("1,\"85123A,A NAME,1".to_owned(), Reason::Unreadable),
        ("1".to_owned(), Reason::Unreadable),
        ("1\",85123A,A NAME,1,2010-12-01 08:26:00,1.00,17850.0,".to_owned(), Reason::InvalidOrder),
        ("\u{fffd}1,85123A,A NAME,1,2010-12-01 08:26:00,1.00,17850.0,".to_owned(), Reason::Unreadable),
    ];
    for (row, reason) in cases {
        let sheet = sheet(std::slice::from_ref(&row));
        let reasons: Vec<Reason> = sheet.rejected.iter().map(|rejected| rejected.reason).collect();
        assert_eq!((reasons, sheet.rejected[0].line), (vec![reason], 2), "{row}");
    }
}

#[test]
fn rows_of_one_order_come_together_wherever_they_stand() {
    let sheet = sheet(&[row("1", "a", "1", "2.1"), row("2", "X", "2", "1.0"), row("1", "A", "3", "2.55")]);
    let numbers: Vec<&str> = sheet.invoices.iter().map(|invoice| invoice.number.as_str()).collect();
    assert_eq!(numbers, ["1", "2"]);
    let units: Vec<u32> = sheet.invoices[0].lines.iter().map(|line| line.units).collect();
    assert_eq!(units, [1, 3]);
    let products: Vec<(&str, i64)> =
        sheet.products.iter().map(|product| (product.sku.as_str(), product.price_minor)).collect();
    assert_eq!(products, [("A", 210), ("X", 100)]);
}

#[test]
fn rows_that_the_mapping_leaves_out_hold_nothing_back() {
    let rows = [
        row("1", "post", "1", "1.00"),
        row("1", "gift_1", "1", "1.00"),
        row("1", "A", "1", "0.0"),
        row("1", "A", "1", "2"),
    ];
    let sheet = sheet(&rows);
    let why: Vec<Omission> = sheet.left_out.iter().map(|left_out| left_out.why).collect();
    assert_eq!(why, [Omission::NotAProduct, Omission::NotAProduct, Omission::Free]);
    assert_eq!((sheet.invoices.len(), sheet.invoices[0].lines.len(), sheet.rejected.len()), (1, 1, 0));
}

#[test]
fn an_order_that_is_too_long_becomes_parts_that_no_other_order_is_called_like() {
    let mut rows: Vec<String> = (0..2 * LINES_MAX + 5).map(|_| row("7", "A", "1", "1.00")).collect();
    rows.extend([row("7-1", "A", "1", "1.00"), row("7 (part 2)", "A", "1", "1.00")]);
    let sheet = sheet(&rows);
    let parts: Vec<(String, usize)> = sheet
        .invoices
        .iter()
        .flat_map(Invoice::parts)
        .map(|part| (part.reference.replace("import-uci~online~retail-", ""), part.lines.len()))
        .collect();
    let expected = [
        ("7", LINES_MAX),
        ("7 (part 2)", LINES_MAX),
        ("7 (part 3)", 5),
        ("7-1", 1),
        ("7 (part 2) (part 1)", 1),
    ];
    assert_eq!(parts, expected.map(|(name, lines)| (name.to_owned(), lines)));
}

#[test]
fn a_customer_that_is_not_named_is_a_guest() {
    let sheet = sheet(&["1,A,N,1,2010-12-01 08:26:00,1.0,,UK".to_owned(), row("2", "A", "1", "1.0")]);
    let customers: Vec<(&str, Named)> =
        sheet.invoices.iter().map(|invoice| (invoice.customer.as_str(), invoice.customer_named)).collect();
    assert_eq!(customers, [("GUEST", Named::No), ("17850", Named::Yes)]);
}

#[test]
fn a_file_without_a_column_is_refused_with_those_it_has() {
    let text = "InvoiceNo,Sku \n1,A\n";
    let refused = Sheet::read(&Source::Bytes(text.as_bytes()), &uci()).expect_err("a column is missing");
    assert!(refused.to_string().contains("no column 'CustomerID'; it has 'InvoiceNo', 'Sku '"), "{refused}");
}
