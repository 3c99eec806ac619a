//! What must not be charged twice or in full: rows that stand in a file twice, lines that were sent already, orders that were
//! undone in part, and numbers that a spreadsheet has damaged.

use super::super::Mapping;
use super::super::table::Source;
use super::super::tally::{Omission, Reason};
use super::*;

fn read(mapping: &Mapping, file: &str) -> Sheet {
    let sheet = Sheet::read(&Source::Bytes(file.as_bytes()), mapping).expect("it can be read");
    assert_eq!(sheet.rows_accounted_for(), sheet.rows);
    sheet
}

fn shop(name: &str) -> Mapping {
    Mapping::named(name).expect("it comes with the program")
}

/// A mapping of the usual columns, with more before and behind them.
fn own(before: &str, columns: &str, behind: &str) -> Mapping {
    Mapping::parse(&format!(
        "name = \"shop\"\ncurrency = \"EUR\"\nprice_unit = \"major\"\ntime_format = \"%Y-%m-%d\"\n{before}\n[columns]\n\
         order = \"order\"\ncustomer = \"customer\"\nordered_at = \"date\"\nsku = \"sku\"\nquantity = \"qty\"\n\
         price = \"price\"\n{columns}\n{behind}"
    ))
    .expect("a mapping")
}

/// Number and units of each order.
fn taken(sheet: &Sheet) -> Vec<(&str, u32)> {
    let units = |invoice: &Invoice| invoice.lines.iter().map(|line| line.units).sum();
    sheet.invoices.iter().map(|invoice| (invoice.number.as_str(), units(invoice))).collect()
}

fn bad(sheet: &Sheet) -> Vec<(u64, Reason)> {
    let bad = sheet.rejected.iter().filter(|row| row.reason != Reason::HeldBack);
    let mut bad: Vec<_> = bad.map(|row| (row.line, row.reason)).collect();
    bad.sort_unstable();
    bad
}

fn left_out(sheet: &Sheet) -> Vec<(u64, Omission)> {
    sheet.left_out.iter().map(|row| (row.line, row.why)).collect()
}

const AMAZON: &str = "order-id\torder-item-id\tpurchase-date\tbuyer-email\tsku\tproduct-name\tquantity-purchased\tcurrency\t\
                      item-price\titem-tax\tshipping-price\tquantity-shipped\n";

fn amazon(order: &str, item: &str, sku: &str, units: u32, shipped: &str) -> String {
    format!(
        "{order}\t{item}\t2026-01-02T10:00:00+00:00\ta@x\t{sku}\tTea\t{units}\tEUR\t9.00\t0.00\t0.00\t{shipped}\n"
    )
}

#[test]
fn the_same_line_counts_once_and_other_content_under_its_id_holds_the_order_back() {
    let row = amazon("1", "9001", "TEA", 3, "0");
    let rows = [
        row.clone(),
        amazon("1", "9002", "TEA", 3, "0"),
        row.clone(),
        amazon("2", "9001", "TEA", 3, "0"),
        amazon("3", "9003", "TEA", 3, "0"),
        amazon("3", "9003", "TEA", 1, "0"),
    ];
    let sheet = read(&shop("amazon"), &format!("{AMAZON}{}", rows.concat()));
    assert_eq!(taken(&sheet), [("1", 6), ("2", 3)]);
    assert_eq!(left_out(&sheet), [(4, Omission::Repeated)]);
    assert!(sheet.left_out[0].detail.contains("'9001' stands in line 2 already"), "{:?}", sheet.left_out);
    assert_eq!(bad(&sheet), [(7, Reason::RowsDisagree)]);

    let headings = "Sale Date,Item Name,Buyer,Quantity,Price,Discount Amount,Order Shipping,Order Sales Tax,Currency,\
                    Transaction ID,Listing ID,Date Shipped,Order ID\n";
    let etsy = |transaction: &str| format!("01/05/26,Card,Ann,2,12.50,0.00,0,0,USD,{transaction},953,,77\n");
    let sheet = read(&shop("etsy"), &format!("{headings}{}{}{}", etsy("5"), etsy("5"), etsy("6")));
    assert_eq!((taken(&sheet), left_out(&sheet)), (vec![("77", 4)], vec![(3, Omission::Repeated)]));
    for none in ["", "0"] {
        let sheet = read(&shop("etsy"), &format!("{headings}{}{}", etsy(none), etsy(none)));
        assert_eq!(
            (taken(&sheet), bad(&sheet)),
            (Vec::new(), vec![(3, Reason::RepeatedRow)]),
            "'{none}' is no id"
        );
    }
    let without = headings.replace("Transaction ID,", "");
    let row = etsy("").replace("USD,,", "USD,");
    let sheet = read(&shop("etsy"), &format!("{without}{row}{row}"));
    assert_eq!(bad(&sheet), [(3, Reason::RepeatedRow)]);
    assert!(sheet.notes.iter().any(|note| note.contains("no column 'Transaction ID'")), "{:?}", sheet.notes);
}

#[test]
fn a_charge_of_a_line_that_stands_there_twice_counts_once() {
    let mapping = own(
        "",
        "line_id = \"id\"",
        "[charges.shipping]\ncolumn = \"post\"\nper = \"line\"\ntreat = \"ignore\"\n[charges.total]\ncolumn = \"total\"\n",
    );
    let file = "order,customer,date,id,sku,qty,price,post,total\n1,ann,2026-01-05,7,TEA,1,3.00,1.00,4.00\n\
                1,ann,2026-01-05,7,TEA,1,3.00,1.00,4.00\n";
    assert_eq!(taken(&read(&mapping, file)), [("1", 1)]);
}

#[test]
fn where_nothing_tells_whether_both_are_meant_a_repeated_row_is_taken_and_told_or_as_the_mapping_says() {
    let rows = "1,ann,2026-01-05,TEA,1,3.50\n1,ann,2026-01-05,CUP,1,9\n 1,ann,2026-01-05,TEA,1,3.50 \n2,bob,2026-01-05,TEA,1,3.50\n";
    let file = format!("order,customer,date,sku,qty,price\n{rows}");
    let sheet = read(&own("", "", ""), &file);
    assert_eq!(taken(&sheet), [("1", 3), ("2", 1)]);
    assert!(
        sheet.notes.iter().any(|note| note.contains("line 4") && note.contains("line_id")),
        "{:?}",
        sheet.notes
    );
    let sheet = read(&own("repeated_rows = \"hold_back\"", "", ""), &file);
    assert_eq!((taken(&sheet), bad(&sheet)), (vec![("2", 1)], vec![(4, Reason::RepeatedRow)]));
    let told = &sheet.rejected.iter().find(|row| row.line == 4).expect("told").detail;
    assert!(told.contains("line 2") && told.contains("repeated_rows") && told.contains("line_id"), "{told}");
    assert_eq!(taken(&read(&own("repeated_rows = \"take\"", "", ""), &file)), [("1", 3), ("2", 1)]);
    let once = read(&own("repeated_rows = \"once\"", "", ""), &file);
    assert_eq!((taken(&once), left_out(&once)), (vec![("1", 2), ("2", 1)], vec![(4, Omission::Repeated)]));

    let summed = |per: &str, total: &str| {
        let mapping = own("", "", &format!("[charges.total]\ncolumn = \"total\"\nper = \"{per}\"\n"));
        let row = format!("1,ann,2026-01-05,TEA,1,3.50,{total}\n");
        read(&mapping, &format!("order,customer,date,sku,qty,price,total\n{row}{row}"))
    };
    assert_eq!(taken(&summed("order", "7.00")), [("1", 2)], "the total says that both are meant");
    assert_eq!(bad(&summed("order", "3.50")), [(2, Reason::SumDiffers)]);
    assert_eq!(bad(&summed("order", "")), [(3, Reason::RepeatedRow)]);
    assert_eq!(bad(&summed("line", "3.50")), [(3, Reason::RepeatedRow)], "it is doubled with the row");
}

#[test]
fn what_was_refunded_or_cancelled_in_part_is_for_a_person() {
    let woo = "order_number,date,status,billing_email,order_currency,item_id,item_sku,item_name,item_quantity,item_total,discount_total,\
               shipping_total,tax_total,order_total,refunded_total,item_refunded\n";
    let row = |order: u32, status: &str, total: &str, item: &str| {
        format!(
            "{order},2026-01-02 10:00:00,{status},a@x,EUR,{order},TEA,Tea,2,9.00,0,0,0,9.00,{total},{item}\n"
        )
    };
    let rows = [
        row(1, "processing", "4.50", "0"),
        row(2, "processing", "0", "4.50"),
        row(3, "processing", "0.00", ""),
        row(4, "refunded", "9.00", "9.00"),
        row(5, "completed", "4.50", "0"),
    ];
    let sheet = read(&shop("woocommerce"), &format!("{woo}{}", rows.concat()));
    assert_eq!(taken(&sheet), [("3", 2)]);
    assert_eq!(bad(&sheet), [(2, Reason::PartlyDone), (3, Reason::PartlyDone)]);
    assert!(sheet.rejected[0].detail.contains("'refunded_total' is '4.50'"), "{:?}", sheet.rejected);
    assert_eq!(sheet.cancelled.iter().map(|order| &*order.number).collect::<Vec<_>>(), ["4"]);
    assert_eq!(left_out(&sheet), [(6, Omission::AlreadyShipped)]);

    let magento = "increment_id,customer_email,created_at,status,order_currency_code,sku,name,qty_ordered,price,discount_amount,\
                   shipping_amount,tax_amount,grand_total,qty_canceled,qty_refunded,qty_shipped\n";
    let row = |order: u32, cancelled: &str, refunded: &str, shipped: &str| {
        format!(
            "{order},a@x,2026-01-02 10:00:00,processing,EUR,TEA,Tea,2.0000,4.5000,0,0,0,9.0000,{cancelled},{refunded},{shipped}\n"
        )
    };
    let rows = [
        row(1, "1.0000", "0.0000", "0.0000"),
        row(2, "0.0000", "2.0000", ""),
        row(3, "0.0000", "0.0000", "1.0000"),
        row(4, "", "", "2.0000"),
        row(5, "0.0000", "0.0000", "0.0000"),
    ];
    let sheet = read(&shop("magento"), &format!("{magento}{}", rows.concat()));
    assert_eq!(taken(&sheet), [("5", 2)]);
    assert_eq!(bad(&sheet), [2, 3, 4].map(|line| (line, Reason::PartlyDone)));
    assert_eq!(left_out(&sheet), [(5, Omission::AlreadyShipped)]);
}

#[test]
fn a_mapping_names_the_columns_of_what_was_undone_and_sent_or_turns_them_off() {
    let file = "order,customer,date,sku,qty,price,back,out,Refunded Amount\n1,ann,2026-01-05,TEA,2,3.50,1,0,0\n\
                2,ann,2026-01-05,TEA,2,3.50,0,2,0\n3,ann,2026-01-05,TEA,2,3.50,0,0,1\n";
    let named = read(&own("", "undone = [\"back\"]\nshipped = \"out\"", ""), file);
    assert_eq!((taken(&named), bad(&named)), (vec![("3", 2)], vec![(2, Reason::PartlyDone)]));
    assert_eq!(left_out(&named), [(3, Omission::AlreadyShipped)]);
    let known = read(&own("", "", ""), file);
    assert_eq!((taken(&known), bad(&known)), (vec![("1", 2), ("2", 2)], vec![(4, Reason::PartlyDone)]));
    assert!(known.notes.iter().any(|note| note.contains("'Refunded Amount'")), "{:?}", known.notes);
    assert_eq!(taken(&read(&own("", "undone = []", ""), file)).len(), 3);
    let mistyped = Sheet::read(&Source::Bytes(file.as_bytes()), &own("", "undone = [\"bakc\"]", ""));
    assert!(mistyped.is_err_and(|error| error.to_string().contains("no column 'bakc'")));
}

#[test]
fn lines_that_were_sent_already_are_not_sent_again() {
    let rows = [
        amazon("1", "1", "TEA", 3, "3"),
        amazon("2", "2", "TEA", 3, "1"),
        amazon("3", "3", "TEA", 3, "3"),
        amazon("3", "4", "TEA", 3, "0"),
        amazon("4", "5", "TEA", 3, ""),
    ];
    let sheet = read(&shop("amazon"), &format!("{AMAZON}{}", rows.concat()));
    assert_eq!(taken(&sheet), [("4", 3)]);
    assert_eq!(left_out(&sheet), [(2, Omission::AlreadyShipped)]);
    assert_eq!(bad(&sheet), [(3, Reason::PartlyDone), (4, Reason::PartlyDone)]);
}

#[test]
fn a_number_that_a_spreadsheet_has_rounded_names_no_order() {
    let rows = "1.23457E+11,ann,2026-01-05,TEA,1,3.50\n1.23457E+11,ann,2026-01-06,CUP,1,9\n2,ann,2026-01-05,1.2E+13,1,3.50\n\
                3,1.2E+13,2026-01-05,TEA,1,3.50\n4,eve,2026-01-05,TEA,1,3.50\n1E5,eve,2026-01-05,TEA,1,3.50\n";
    let sheet = read(&own("", "", ""), &format!("order,customer,date,sku,qty,price\n{rows}"));
    assert_eq!(taken(&sheet), [("4", 1), ("1E5", 1)]);
    assert_eq!(bad(&sheet), [2, 3, 4, 5].map(|line| (line, Reason::Unreadable)));
    assert!(sheet.rejected[0].detail.contains("format its column as text"), "{:?}", sheet.rejected[0]);
}
