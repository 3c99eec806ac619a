//! Laws about files: the same orders, written out the way any program might write them, read back as the same orders; and one
//! row that is wrong, wherever it stands, keeps back its own order and no other.

use std::fmt::Write;

use proptest::prelude::*;

use super::super::Mapping;
use super::super::table::Source;
use super::super::tally::Reason;
use super::*;

/// How a file is written.
#[derive(Clone, Copy, Debug)]
struct Dialect {
    encoding: &'static str,
    delimiter: char,
    end: &'static str,
    quotes: Quotes,
    decimal: char,
    thousands: Option<char>,
    sign: &'static str,
    zeros: usize,
    price_per_line: bool,
    continues_blank: bool,
    preamble: &'static str,
    spaced: bool,
    zone: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    Always,
    Needed,
    Off,
}

/// An order, as both sides know it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    number: String,
    customer: String,
    hour: u8,
    lines: Vec<(String, u32, i64)>,
}

fn dialects() -> impl Strategy<Value = Dialect> {
    let written = (
        prop::sample::select(vec!["utf-8", "utf-8-sig", "utf-16le", "utf-16be", "windows-1252", "latin-1"]),
        prop::sample::select(vec![',', ';', '\t', '|']),
        prop::sample::select(vec!["\n", "\r", "\r\n"]),
        prop::sample::select(vec![Quotes::Always, Quotes::Needed, Quotes::Off]),
        any::<bool>(),
        prop::sample::select(vec!["", "EUR ", "€"]),
        0_usize..3,
    );
    let told = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (written, told).prop_map(|((encoding, delimiter, end, quotes, german, sign, zeros), told)| {
        let (price_per_line, continues_blank, preamble, spaced, grouped, zone) = told;
        let (decimal, group) = if german { (',', '.') } else { ('.', ',') };
        // Without quotes no field may hold the delimiter.
        let bare = quotes == Quotes::Off;
        let decimal =
            if bare && delimiter == decimal { if decimal == ',' { '.' } else { ',' } } else { decimal };
        let group = if decimal == ',' { '.' } else { group };
        Dialect {
            encoding,
            delimiter,
            end,
            quotes,
            decimal,
            thousands: (grouped && !(bare && delimiter == group) && group != decimal).then_some(group),
            sign: if encoding == "latin-1" && sign == "€" { "" } else { sign },
            zeros,
            price_per_line,
            continues_blank,
            preamble: if preamble { "Orders of the shop" } else { "" },
            spaced,
            zone: zone.then_some("Europe/Berlin"),
        }
    })
}

fn orders() -> impl Strategy<Value = Vec<Known>> {
    let line = ("[A-Z]{1,3}-[0-9]{1,2}|THÉ-[0-9]|Büro [0-9]x", 1_u32..2_000, 0_i64..3_000_000);
    let order = ("[a-zé]{2,8}", 0_u8..24, prop::collection::vec(line, 1..5));
    prop::collection::vec(order, 1..8).prop_map(|orders| {
        let numbered = orders.into_iter().enumerate();
        let known = |(at, (customer, hour, lines)): (usize, (String, u8, Vec<_>))| Known {
            number: format!("#{at}"),
            customer,
            hour,
            lines,
        };
        numbered.map(known).collect()
    })
}

impl Dialect {
    fn money(&self, minor: i64) -> String {
        let whole = (minor / 100).to_string();
        let mut grouped = String::new();
        for (at, digit) in whole.chars().enumerate() {
            if let Some(group) = self.thousands.filter(|_| at > 0 && (whole.len() - at).is_multiple_of(3)) {
                grouped.push(group);
            }
            grouped.push(digit);
        }
        format!("{}{grouped}{}{:02}{}", self.sign, self.decimal, minor % 100, "0".repeat(self.zeros))
    }

    fn row(&self, fields: &[String]) -> String {
        let delimiter = self.delimiter.to_string();
        let written = fields.iter().map(|field| match self.quotes {
            Quotes::Off => field.clone(),
            Quotes::Needed if !field.contains([self.delimiter, '"']) => field.clone(),
            Quotes::Always | Quotes::Needed => format!("\"{}\"", field.replace('"', "\"\"")),
        });
        written.collect::<Vec<_>>().join(&delimiter) + self.end
    }

    fn file(&self, orders: &[Known]) -> Vec<u8> {
        let mut text = String::new();
        if !self.preamble.is_empty() {
            let _ = write!(text, "{}{}{}", self.preamble, self.end, self.end);
        }
        let headings = ["order", "customer", "date", "sku", "name", "qty", "price"];
        let spaced = |name: &&str| if self.spaced { format!(" {name} ") } else { (*name).to_owned() };
        text += &self.row(&headings.iter().map(spaced).collect::<Vec<_>>());
        for order in orders {
            for (at, (sku, units, minor)) in order.lines.iter().enumerate() {
                let said = |text: String| if at > 0 && self.continues_blank { String::new() } else { text };
                let price = if self.price_per_line { minor * i64::from(*units) } else { *minor };
                text += &self.row(&[
                    order.number.clone(),
                    said(order.customer.clone()),
                    said(format!("2024-07-05 {:02}:30:00", order.hour)),
                    sku.clone(),
                    "A name".to_owned(),
                    units.to_string(),
                    self.money(price),
                ]);
            }
        }
        self.encoded(&text)
    }

    fn encoded(&self, text: &str) -> Vec<u8> {
        match self.encoding {
            "utf-8-sig" => [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            "utf-16be" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            "windows-1252" => encoding_rs::WINDOWS_1252.encode(text).0.into_owned(),
            "latin-1" => text.chars().map(|c| u8::try_from(u32::from(c)).expect("of Latin-1")).collect(),
            _ => text.as_bytes().to_vec(),
        }
    }

    fn mapping(&self) -> Mapping {
        let zone = self.zone.map_or(String::new(), |zone| format!("time_zone = \"{zone}\"\n"));
        let off = if self.quotes == Quotes::Off { "quoting = \"off\"\n" } else { "" };
        let per = if self.price_per_line { "line" } else { "unit" };
        Mapping::parse(&format!(
            "name = \"shop\"\ncurrency = \"EUR\"\nprice_unit = \"major\"\ntime_format = \"%Y-%m-%d %H:%M:%S\"\n{zone}{off}\
             price_per = \"{per}\"\n[numbers]\ndecimal = \"{}\"\n{COLUMNS}",
            self.decimal
        ))
        .expect("a mapping")
    }
}

const COLUMNS: &str = "[columns]\norder = \"order\"\ncustomer = \"customer\"\nordered_at = \"date\"\nsku = \"sku\"\n\
                       name = \"name\"\nquantity = \"qty\"\nprice = \"price\"\n";

/// Number, customer, time, and of each line sku, units and price.
type AsRead = (String, String, String, Vec<(String, u32, i64)>);

fn known(sheet: &Sheet) -> Vec<AsRead> {
    let line = |line: &InvoiceLine| match line.item {
        Item::Product(product) => (sheet.products[product].sku.clone(), line.units, line.price_minor),
        Item::NeverOrdered | Item::NoProduct => (String::new(), 0, 0),
    };
    let invoice = |invoice: &Invoice| {
        let lines = invoice.lines.iter().map(line).collect();
        (invoice.number.clone(), invoice.customer.clone(), invoice.ordered_at.to_string(), lines)
    };
    sheet.invoices.iter().map(invoice).collect()
}

proptest! {
    #[test]
    fn orders_read_back_the_same_whichever_way_they_are_written(orders in orders(), dialect in dialects()) {
        let file = dialect.file(&orders);
        let sheet = Sheet::read(&Source::Bytes(&file), &dialect.mapping()).expect("it can be read");
        prop_assert_eq!(&sheet.rejected, &Vec::new());
        let expected: Vec<_> = orders
            .into_iter()
            .map(|order| {
                let hour = format!("2024-07-05T{:02}:30:00", order.hour);
                let local: jiff::civil::DateTime = hour.parse().expect("a time");
                let zone = jiff::tz::TimeZone::get(dialect.zone.unwrap_or("UTC")).expect("a zone");
                let at = zone.to_timestamp(local).expect("a moment").to_string();
                (order.number, order.customer, at, order.lines)
            })
            .collect();
        prop_assert_eq!(known(&sheet), expected);
        prop_assert_eq!(sheet.rows_accounted_for(), sheet.rows);
    }
}

/// Six orders of one to three lines, whose rows do not stand together.
fn scattered() -> Vec<String> {
    let order = |at: usize| ["A", "B", "C", "D", "E", "F", "A", "C", "C", "E", "F"][at];
    let row = |at: usize| {
        let order = order(at);
        format!("{order},ann-{order},2024-07-05 10:00:00,SKU-{at},Name,1,3.99")
    };
    (0..11).map(row).collect()
}

fn read(rows: &[String], end: &str) -> Sheet {
    let headings = "order,customer,date,sku,name,qty,price".to_owned();
    let text = std::iter::once(&headings).chain(rows).map(|row| format!("{row}{end}")).collect::<String>();
    let head =
        "name = \"shop\"\ncurrency = \"EUR\"\nprice_unit = \"major\"\ntime_format = \"%Y-%m-%d %H:%M:%S\"\n";
    let mapping = Mapping::parse(&format!("{head}{COLUMNS}")).expect("a mapping");
    Sheet::read(&Source::Bytes(text.as_bytes()), &mapping).expect("it can be read")
}

#[test]
fn one_bad_row_wherever_it_stands_keeps_back_its_own_order_and_no_other() {
    let good = scattered();
    let all = known(&read(&good, "\n"));
    let spoiled = [
        (",3.99", ",3.9.9", Reason::InvalidPrice),
        (",1,3.99", ",half,3.99", Reason::InvalidQuantity),
        ("SKU-", "\u{200b}", Reason::InvalidSku),
        (",ann-", ",bob-", Reason::RowsDisagree),
        (",3.99", ",3.99,more", Reason::Unreadable),
        ("", "\"", Reason::Unreadable),
        ("Name", "\"Name", Reason::Unreadable),
    ];
    for at in 0..good.len() {
        for (right, wrong, reason) in spoiled {
            for end in ["\n", "\r\n", "\r"] {
                let mut rows = good.clone();
                rows[at] = rows[at].replacen(right, wrong, 1);
                let number = &good[at][..1];
                let sheet = read(&rows, end);
                let of_order = good.iter().filter(|row| row.starts_with(number)).count();
                if reason == Reason::RowsDisagree && of_order == 1 {
                    continue;
                }
                let left: Vec<_> = all.iter().filter(|order| order.0 != number).cloned().collect();
                assert_eq!(known(&sheet), left, "{reason:?} in row {at}");
                assert_eq!(sheet.rejected.len(), of_order, "all its rows are told");
                assert!(sheet.rejected.iter().all(|row| row.order == number));
                let bad: Vec<_> =
                    sheet.rejected.iter().filter(|row| row.reason != Reason::HeldBack).collect();
                assert!(bad.iter().any(|row| row.reason == reason), "{bad:?}");
                if reason != Reason::RowsDisagree {
                    assert_eq!(bad.iter().map(|row| row.line).collect::<Vec<_>>(), [at as u64 + 2]);
                }
                assert!(
                    sheet.products.iter().all(|product| good.iter().any(|row| row.contains(&product.sku)))
                );
            }
        }
    }
    assert_eq!(known(&read(&good, "\r")), all, "the mended file brings in all");
}
