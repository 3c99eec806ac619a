//! What real exports are like, told by files of our own making: each mapping that comes with the program reads its shop's
//! form, and what such forms do beside plain rows.

use super::super::Mapping;
use super::super::table::Source;
use super::super::tally::{Omission, Reason};
use super::*;

fn read(mapping: &str, file: &str) -> Sheet {
    let mapping = Mapping::named(mapping).expect("it comes with the program");
    Sheet::read(&Source::Bytes(file.as_bytes()), &mapping).expect("it can be read")
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

fn with(mapping: &Mapping, file: &str) -> Sheet {
    Sheet::read(&Source::Bytes(file.as_bytes()), mapping).expect("it can be read")
}

/// Number, sum, currency and time of each order.
fn sums(sheet: &Sheet) -> Vec<(&str, i64, &str, String)> {
    let sum =
        |invoice: &Invoice| invoice.lines.iter().map(|line| i64::from(line.units) * line.price_minor).sum();
    let told = |invoice: &'_ Invoice| (sum(invoice), invoice.ordered_at.to_string());
    let orders = sheet.invoices.iter();
    orders
        .map(|invoice| {
            let (sum, at) = told(invoice);
            (invoice.number.as_str(), sum, invoice.currency.as_str(), at)
        })
        .collect()
}

fn reasons(sheet: &Sheet) -> Vec<(u64, Reason)> {
    let mut reasons: Vec<_> = sheet.rejected.iter().map(|row| (row.line, row.reason)).collect();
    reasons.sort_unstable();
    reasons
}

fn omissions(sheet: &Sheet) -> Vec<(&str, Omission)> {
    sheet.left_out.iter().map(|row| (row.order.as_str(), row.why)).collect()
}

#[test]
fn shopify_fills_the_fields_of_an_order_in_its_first_row_only() {
    let sheet = read(
        "shopify",
        "Name,Email,Financial Status,Fulfillment Status,Currency,Subtotal,Shipping,Taxes,Total,Discount Amount,Created at,\
         Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Cancelled at\n\
         #1,a@example.com,paid,unfulfilled,EUR,44.00,0.00,0.00,44.00,0.00,2026-04-06 02:48:03 +0400,1,Lamp,24.00,LAMP-1,\n\
         #1,,,,,,,,,,2026-04-06 02:48:03 +0400,2,Bulb,10.00,BULB-1,\n\
         #2,b@example.com,refunded,unfulfilled,EUR,9.00,0.00,0.00,9.00,0.00,2026-04-06 02:48:03 +0400,1,Cup,9.00,CUP-1,\n\
         #3,c@example.com,paid,fulfilled,EUR,9.00,0.00,0.00,9.00,0.00,2026-04-06 02:48:03 +0400,1,Cup,9.00,CUP-1,\n\
         #4,d@example.com,partially_refunded,unfulfilled,EUR,9.00,0.00,0.00,9.00,0.00,2026-04-06 02:48:03 +0400,1,Cup,9.00,CUP-1,\n\
         #5,e@example.com,paid,unfulfilled,EUR,9.00,4.00,0.00,13.00,0.00,2026-04-06 02:48:03 +0400,1,Cup,9.00,CUP-1,\n\
         #6,f@example.com,voided,,EUR,9.00,0.00,0.00,9.00,0.00,2026-04-06 02:48:03 +0400,1,Cup,9.00,CUP-1,2026-04-07 02:48:03 +0400\n\
         #7,g@example.com,paid,,EUR,9.00,0.00,0.00,8.00,0.00,2026-04-06 02:48:03 +0400,1,Cup,9.00,CUP-1,\n",
    );
    let at = || "2026-04-05T22:48:03Z".to_owned();
    assert_eq!(sums(&sheet), [("#1", 4400, "EUR", at()), ("#5", 900, "EUR", at())]);
    assert_eq!(money_lines(&sheet.invoices[1]), [("shipping", 400)]);
    assert_eq!(omissions(&sheet), [("#3", Omission::AlreadyShipped)]);
    assert_eq!(sheet.cancelled.iter().map(|order| order.number.as_str()).collect::<Vec<_>>(), ["#2", "#6"]);
    assert_eq!(reasons(&sheet), [(6, Reason::UnknownStatus), (9, Reason::SumDiffers)]);
}

/// What an order costs beside its lines.
fn money_lines(invoice: &Invoice) -> Vec<(&str, i64)> {
    invoice.details.money_lines.iter().map(|line| (line.kind.as_str(), line.amount.minor)).collect()
}

#[test]
fn money_beside_the_lines_is_charged_where_the_mapping_says_so_and_otherwise_asked_about() {
    let rows = "order,customer,date,sku,qty,price,off,post,vat,total\n\
                1,ann,2026-01-05,TEA,2,3.00,-1.00,4.00,0.50,9.50\n\
                2,ann,2026-01-05,TEA,2,3.00,0,0,0,6.00\n\
                3,ann,2026-01-05,TEA,2,3.00,1.00,4.00,0.50,9.00\n\
                4,ann,2026-01-05,TEA,2,3.00,0,-4.00,0,2.00\n";
    let columns = |treat: &str| {
        format!(
            "[charges.discount]\ncolumn = \"off\"\n{treat}\n[charges.shipping]\ncolumn = \"post\"\n{treat}\n[charges.tax]\ncolumn = \
             \"vat\"\n{treat}\n[charges.total]\ncolumn = \"total\"\n"
        )
    };
    let sheet = with(&own("", "", &columns("treat = \"take\"")), rows);
    assert_eq!(money_lines(&sheet.invoices[0]), [("discount", 100), ("shipping", 400), ("tax", 50)]);
    assert_eq!(money_lines(&sheet.invoices[1]), []);
    assert_eq!(reasons(&sheet), [(4, Reason::SumDiffers), (5, Reason::OtherCharges)]);
    let asked = with(&own("", "", &columns("")), rows);
    let told = &asked.rejected.iter().find(|row| row.line == 2).expect("it is held back").detail;
    assert!(told.contains("has a discount of 1.00 EUR: is 9.50 EUR to be charged, or 6.00 EUR?"), "{told}");
    assert!(told.contains("[charges.discount] treat = \"take\""), "{told}");
}

#[test]
fn whom_to_reach_and_where_to_come_from_the_columns_that_the_mapping_names() {
    let sheet = read(
        "shopify",
        "Name,Email,Financial Status,Fulfillment Status,Currency,Shipping,Taxes,Total,Discount Amount,Created at,Lineitem quantity,\
         Lineitem name,Lineitem price,Lineitem sku,Cancelled at,Billing Name,Billing Country,Shipping Name,Shipping Address1,\
         Shipping Address2,Shipping Company,Shipping City,Shipping Zip,Shipping Province,Shipping Country,Shipping Phone,Notes,Tags\n\
         #1,a@example.com,paid,,EUR,0,0,9.00,0,2026-04-06 02:48:03 +0400,1,Cup,9.00,CUP-1,,Ann Example,IE,Ann Example,1 Road,Flat 2,\
         ,Cork,'01234,CO,IE,'+353 1,ring twice,\"gift, fragile\"\n\
         #2,b@example.com,paid,,EUR,0,0,9.00,0,2026-04-06 02:48:03 +0400,1,Cup,9.00,CUP-1,,,,,,,,,,,,,,\n",
    );
    assert_eq!((sheet.invoices.len(), reasons(&sheet)), (2, Vec::new()));
    let told = serde_json::to_value(&sheet.invoices[0].details).expect("texts");
    assert_eq!(
        told,
        serde_json::json!({
            "contact": {"name": "Ann Example", "email": "a@example.com", "phone": "+353 1"},
            "shipping_address": {"name": "Ann Example", "lines": ["1 Road", "Flat 2"], "city": "Cork", "region": "CO",
                "postal_code": "01234", "country": "IE"},
            "billing_address": {"name": "Ann Example", "country": "IE"},
            "tags": ["gift", "fragile"],
            "order_note": "ring twice",
        })
    );
    let told = serde_json::to_value(&sheet.invoices[1].details).expect("texts");
    assert_eq!(
        told,
        serde_json::json!({"contact": {"email": "b@example.com"}}),
        "goods that are sent nowhere"
    );
    assert!(
        sheet.notes.iter().any(|note| note.contains("of the columns 'Billing Company")),
        "{:?}",
        sheet.notes
    );
}

#[test]
fn a_column_of_details_that_stands_there_twice_is_left_out_and_a_rounded_number_is_never_sent() {
    let heads = "order-id\tpurchase-date\tbuyer-email\tsku\tquantity-purchased\tcurrency\titem-price\titem-tax\tshipping-price\t\
                 product-name\tbuyer-phone-number";
    let row = |order: &str, phones: &str| {
        format!(
            "{order}\t2026-01-01T10:50:49-08:00\ta@example.com\tMUG\t1\tUSD\t9.00\t0.00\t0.00\tMug\t{phones}\n"
        )
    };
    let twice = read("amazon", &format!("{heads}\tbuyer-phone-number\n{}", row("1", "555\t556")));
    assert_eq!((twice.invoices.len(), twice.rejected.len()), (1, 0));
    assert_eq!(twice.invoices[0].details.contact.as_ref().expect("a mail address").phone, None);
    assert!(twice.notes.iter().any(|note| note.contains("'buyer-phone-number', ")), "{:?}", twice.notes);
    let rounded = read("amazon", &format!("{heads}\n{}{}", row("1", "3.531E+11"), row("2", "555")));
    assert_eq!((rounded.invoices.len(), reasons(&rounded)), (1, vec![(2, Reason::Unreadable)]));
    assert!(
        rounded.rejected[0].detail.contains("the telephone number is '3.531E+11'"),
        "{:?}",
        rounded.rejected
    );
}

#[test]
fn a_country_may_be_named_in_english_or_as_the_mapping_says_and_an_address_without_one_is_asked_about() {
    let rows = "order,customer,date,sku,qty,price,first,last,street,land\n\
                1,ann,2026-01-05,TEA,1,3,Ann,Example,\"1 Road\nFlat 2\",United States\n\
                2,ann,2026-01-05,TEA,1,3,Ann,Example,1 Road,Deutschland\n\
                3,ann,2026-01-05,TEA,1,3,Ann,Example,1 Road,\n\
                4,ann,2026-01-05,TEA,1,3,Ann,Example,1 Road,Atlantis\n\
                5,ann,2026-01-05,TEA,1,3,Ann,Example,1 Road,ie\n\
                5,,,CUP,1,3,Bob,,,\n";
    let address =
        "[shipping_address]\nname = [\"first\", \"last\"]\nlines = [\"street\"]\ncountry = \"land\"\n";
    let countries = "[countries]\nDeutschland = \"DE\"\n";
    let sheet = with(&own("", "", &format!("{address}{countries}")), rows);
    let shown: Vec<String> = sheet
        .invoices
        .iter()
        .map(|invoice| invoice.details.shipping_address.as_ref().map(ToString::to_string).unwrap_or_default())
        .collect();
    assert_eq!(shown, ["Ann Example, 1 Road, Flat 2, US", "Ann Example, 1 Road, DE"]);
    assert_eq!(
        reasons(&sheet),
        [
            (5, Reason::InvalidDetails),
            (6, Reason::InvalidDetails),
            (7, Reason::HeldBack),
            (8, Reason::RowsDisagree)
        ]
    );
    let told = |line: u64| sheet.rejected.iter().find(|row| row.line == line).expect("told").detail.clone();
    assert!(
        told(5)
            .contains("'Ann Example, 1 Road' names no country; say country_missing under [shipping_address]"),
        "{}",
        told(5)
    );
    assert!(told(6).contains("\"Atlantis\" = \"DE\""), "{}", told(6));
    assert!(
        told(8).contains("the order's 'first' is 'Bob' here and 'Ann' in the rows before"),
        "{}",
        told(8)
    );
    let nowhere = with(&own("", "", &format!("{address}{countries}")), &rows.replace(",land\n", ",lang\n"));
    assert!(nowhere.invoices.iter().all(|invoice| invoice.details.shipping_address.is_none()));
    assert!(
        nowhere.notes.iter().any(|note| note.contains("of the columns 'land' the file has none")),
        "{:?}",
        nowhere.notes
    );
    let missing = with(&own("", "", &format!("{address}country_missing = \"IE\"\n{countries}")), rows);
    assert_eq!(missing.invoices.len(), 3);
}

#[test]
fn woocommerce_and_magento_are_read() {
    let sheet = read(
        "woocommerce",
        "order_number,order_date,status,shipping_total,tax_total,discount_total,order_total,order_currency,billing_email,\
         item_name,item_sku,item_quantity,item_total\n\
         11,2026-03-01 10:00:00,processing,0.00,0.00,2.00,58.00,USD,a@example.com,Mug,MUG,3,58.00\n\
         12,2026-03-01 10:00:00,processing,0.00,0.00,0.00,60.00,USD,a@example.com,Mug,MUG,3,60.00\n\
         13,2026-03-01 10:00:00,completed,0.00,0.00,0.00,60.00,USD,a@example.com,Mug,MUG,3,60.00\n",
    );
    assert_eq!(sums(&sheet), [("12", 6000, "USD", "2026-03-01T10:00:00Z".to_owned())]);
    let odd = &sheet.rejected[0];
    assert!(odd.reason == Reason::InvalidPrice && odd.detail.contains("0.01 USD too little"), "{odd:?}");
    let sheet = read(
        "magento",
        "increment_id,created_at,customer_email,status,order_currency_code,sku,name,qty_ordered,price,discount_amount,\
         shipping_amount,tax_amount,grand_total\n\
         000000101,2026-03-29 01:30:00,a@example.com,processing,EUR,WS-03,Shirt,2.0000,29.0000,0.0000,0.0000,0.0000,58.0000\n\
         000000102,2026-03-29 01:30:00,a@example.com,canceled,EUR,WS-03,Shirt,1.0000,29.0000,0.0000,0.0000,0.0000,29.0000\n",
    );
    assert_eq!(sums(&sheet), [("000000101", 5800, "EUR", "2026-03-29T01:30:00Z".to_owned())]);
    assert_eq!(sheet.cancelled.len(), 1);
}

#[test]
fn amazon_ebay_and_etsy_are_read() {
    let sheet = read(
        "amazon",
        "order-id\tpurchase-date\tbuyer-email\tsku\tproduct-name\tquantity-purchased\tcurrency\titem-price\titem-tax\tshipping-price\n\
         111-1\t2026-01-01T10:50:49-08:00\ta@example.com\tMUG\t\"Travel\" mug, 12\" high\t3\tUSD\t59.97\t0.00\t0.00\n",
    );
    assert_eq!(sums(&sheet), [("111-1", 5997, "USD", "2026-01-01T18:50:49Z".to_owned())]);
    let sheet = read(
        "ebay",
        "\n\"Sales Record Number\",\"Order Number\",\"Buyer Username\",\"Item Title\",\"Custom Label\",\"Quantity\",\"Sold For\",\
         \"Shipping And Handling\",\"Seller Collected Tax\",\"Sale Date\",\"Shipped On Date\"\n,,,,,,,,,,\n\
         \"1\",\"01-1\",\"ann\",\"Lamp\",\"LAMP\",\"2\",\"$1,325.00\",\"$0.00\",\"$0.00\",\"Jan-05-26\",\"\"\n\
         \"2\",\"01-2\",\"bob\",\"Lamp\",\"LAMP\",\"1\",\"$5.00\",\"$0.00\",\"$0.00\",\"Jan-05-26\",\"Jan-06-26\"\n\n\
         2,\"record(s) downloaded\",\" from Jan-05-26\"\nSeller ID : somebody\n",
    );
    assert_eq!(sums(&sheet), [("01-1", 265_000, "USD", "2026-01-05T08:00:00Z".to_owned())]);
    assert_eq!((omissions(&sheet), reasons(&sheet)), (vec![("01-2", Omission::AlreadyShipped)], Vec::new()));
    let sheet = read(
        "etsy",
        "Sale Date,Item Name,Buyer,Quantity,Price,Discount Amount,Order Shipping,Order Sales Tax,Currency,Listing ID,\
         Date Shipped,Order ID\n\
         01/05/26,Card,Ann,2,12.50,0.00,0,0,USD,953,,77\n01/05/26,Card,Bob,1,12.50,2.50,0,0,USD,953,,78\n",
    );
    assert_eq!(sums(&sheet), [("77", 2500, "USD", "2026-01-05T00:00:00Z".to_owned())]);
    assert_eq!(reasons(&sheet), [(3, Reason::OtherCharges)]);
}

#[test]
fn a_row_that_says_nothing_of_its_order_goes_on_with_the_one_before_even_behind_a_gift() {
    let rows = "order,customer,date,sku,qty,price\n1,ann,2026-01-05,GIFT,1,0\n,,,TEA,2,3.50\n1,,,CUP,1,9\n2,bob,2026-01-05,TEA,1,3.50\n";
    for free in ["take", "skip"] {
        let sheet = with(&own(&format!("free_lines = \"{free}\""), "", ""), rows);
        let orders: Vec<_> = sums(&sheet).into_iter().map(|(number, sum, ..)| (number, sum)).collect();
        assert_eq!((orders, sheet.rejected.len()), (vec![("1", 1600), ("2", 350)], 0), "{free}");
    }
    let twice = "order,customer,date,sku,qty,price\n1,ann,2026-01-05,TEA,1,0\n2,ann,2026-01-05,TEA,1,3.50\n";
    assert_eq!(with(&own("", "", ""), twice).products[0].price_minor, 350, "a gift is no price");
    let stray = with(
        &own("", "", ""),
        "order,customer,date,sku,qty,price\n,,,TEA,2,3.50\n,ann,2026-01-05,TEA,2,3.50\n",
    );
    assert_eq!(reasons(&stray), [(2, Reason::NoOrder), (3, Reason::NoOrder)]);
}

#[test]
fn several_shops_in_one_file_have_orders_of_the_same_number() {
    let rows = "shop,order,customer,date,sku,qty,price\nde,1,ann,2026-01-05,TEA,1,3\nfr,1,bob,2026-01-05,TEA,2,3\nde,1,,,CUP,1,9\n";
    let sheet = with(&own("", "shop = \"shop\"", ""), rows);
    let references: Vec<&str> = sheet.invoices.iter().map(|invoice| invoice.reference.as_str()).collect();
    assert_eq!(references, ["import-shop-de/1", "import-shop-fr/1"]);
    assert_eq!(sheet.invoices[0].lines.len(), 2);
    let one = with(&own("", "", ""), rows);
    assert!(
        reasons(&one).contains(&(3, Reason::RowsDisagree)),
        "without the column they are told apart by nobody"
    );
}

#[test]
fn codes_are_compared_letter_by_letter_unless_the_mapping_folds_them() {
    let rows = "order,customer,date,sku,qty,price\n1,ann,2026-01-05,tea-1,1,3\n1,ann,2026-01-05,TEA-1,1,3\n";
    let skus = |case: &str| {
        let sheet = with(&own(&format!("sku_case = \"{case}\""), "", ""), rows);
        sheet.products.into_iter().map(|product| product.sku).collect::<Vec<_>>()
    };
    assert_eq!(skus("exact"), ["tea-1", "TEA-1"]);
    assert_eq!(skus("fold"), ["tea-1"]);
    assert_eq!(skus("upper"), ["TEA-1"]);
}

#[test]
fn a_discount_that_the_mapping_does_not_name_holds_the_order_back() {
    let rows = "order,customer,date,sku,qty,price,Discount Amount\n1,ann,2026-01-05,TEA,1,3,0.00\n2,ann,2026-01-05,TEA,1,3,1.00\n";
    let sheet = with(&own("", "", ""), rows);
    assert_eq!(reasons(&sheet), [(3, Reason::OtherCharges)]);
    let ignoring = with(&own("", "", "[charges.discount]\ntreat = \"ignore\""), rows);
    assert_eq!((ignoring.invoices.len(), ignoring.rejected.len()), (2, 0));
}

#[test]
fn lines_before_and_behind_the_table_are_passed_over_and_sep_is_obeyed() {
    let table = "order;customer;date;sku;qty;price\n1;ann;2026-01-05;TEA;1;3,50\n";
    for before in ["sep=;\n", "\u{feff}sep=;\r\n", "\"sep=;\"\n", "Orders of June\n\n", "a;b\nc;d;e\n"] {
        let sheet = with(&own("", "", ""), &format!("{before}{table}"));
        assert_eq!(sums(&sheet)[0].1, 350, "{before:?}");
    }
    let sheet = with(&own("footer_lines = 2", "", ""), &format!("{table}Sum;;;;1;3,50\nPage 1\n"));
    assert_eq!((sheet.rows, sheet.invoices.len(), sheet.rejected.len()), (1, 1, 0));
    let prefixed = with(&own("footer_prefixes = [\"Sum\"]", "", ""), &format!("{table}Sum;;;;1;3,50\n"));
    assert_eq!((prefixed.rows, prefixed.rejected.len()), (1, 0));
}

#[test]
fn prices_may_name_their_currency_and_must_not_name_another_than_the_order() {
    let rows = "order,customer,date,sku,qty,price,currency\n1,ann,2026-01-05,TEA,1,3.50 USD,\n2,ann,2026-01-05,TEA,1,€3.50,USD\n";
    let sheet = with(&own("", "currency = \"currency\"", ""), rows);
    assert_eq!(sums(&sheet)[0].2, "USD");
    assert_eq!(reasons(&sheet), [(3, Reason::InvalidPrice)]);
}

#[test]
fn a_mapping_says_what_is_wrong_with_it_and_where() {
    let mistake = |before: &str| {
        let text = format!(
            "name = \"a\"\n{before}\ncurrency = \"EUR\"\nprice_unit = \"major\"\ntime_format = \"%Y\"\n[columns]\n"
        );
        let columns = "order = \"o\"\ncustomer = \"c\"\nordered_at = \"d\"\nsku = \"s\"\nquantity = \"q\"\nprice = \"p\"\n";
        format!("{:#}", Mapping::parse(&format!("{text}{columns}")).expect_err("a mistake"))
    };
    assert!(mistake("encoding = \"ebcdic\"").starts_with("line 2:"));
    assert!(mistake("encoding = \"ebcdic\"").contains("windows-1252"));
    assert!(mistake("time_zone = \"Mars/Olympus\"").contains("Europe/Berlin"));
    assert!(mistake("price_per = \"dozen\"").contains("line"));
    assert!(mistake("sku_case = \"lower\"").contains("fold"));
    let behind = |behind: &str| {
        let text = "name = \"a\"\ncurrency = \"EUR\"\nprice_unit = \"major\"\ntime_format = \"%Y\"\n[columns]\norder = \"o\"\n\
                    customer = \"c\"\nordered_at = \"d\"\nsku = \"s\"\nquantity = \"q\"\nprice = \"p\"\n";
        format!("{:#}", Mapping::parse(&format!("{text}{behind}")).expect_err("a mistake"))
    };
    assert!(behind("[shipping_address]\ncity = \"c\"").contains("[shipping_address] needs country"));
    assert!(behind("[billing_address]\ncountry_missing = \"Eire\"").contains("two letters"));
    assert!(behind("[countries]\nAtlantis = \"XX\"").contains("\"Atlantis\" = 'XX'"));
}
