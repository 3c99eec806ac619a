//! The law about broken files: a valid export of each mapping that comes with the program, broken in every single way. An order
//! that still comes in is what it was, line for line; every other one is told of, and something is rejected.

use std::collections::BTreeMap;

use super::super::Mapping;
use super::super::mapping::BUNDLED;
use super::super::owners::FILLED_MIN;
use super::super::table::Source;
use super::super::tally::Reason;
use super::*;

/// A file without faults.
struct Sample {
    mapping: &'static str,
    delimiter: char,
    text: &'static str,
    /// Whether the last field of a row means something: how much of it is missing cannot be seen.
    last_counts: bool,
    /// Whether the file says what each order comes to, so that a lost row is seen by that.
    totals: bool,
}

const SAMPLES: &[Sample] = &[
    Sample {
        mapping: "northwind",
        delimiter: ',',
        text: include_str!("../../../tests/exports/northwind.csv"),
        last_counts: true,
        totals: false,
    },
    Sample {
        mapping: "uci-online-retail",
        delimiter: ',',
        text: include_str!("../../../tests/exports/uci-online-retail.csv"),
        last_counts: false,
        totals: false,
    },
    Sample {
        mapping: "shopify",
        delimiter: ',',
        text: include_str!("../../../tests/exports/shopify.csv"),
        last_counts: false,
        totals: true,
    },
    Sample {
        mapping: "woocommerce",
        delimiter: ',',
        text: include_str!("../../../tests/exports/woocommerce.csv"),
        last_counts: true,
        totals: true,
    },
    Sample {
        mapping: "magento",
        delimiter: ',',
        text: include_str!("../../../tests/exports/magento.csv"),
        last_counts: true,
        totals: true,
    },
    Sample {
        mapping: "amazon",
        delimiter: '\t',
        text: include_str!("../../../tests/exports/amazon.csv"),
        last_counts: false,
        totals: false,
    },
    Sample {
        mapping: "ebay",
        delimiter: ',',
        text: include_str!("../../../tests/exports/ebay.csv"),
        last_counts: false,
        totals: false,
    },
    Sample {
        mapping: "etsy",
        delimiter: ',',
        text: include_str!("../../../tests/exports/etsy.csv"),
        last_counts: true,
        totals: false,
    },
];

/// Lines of an order: sku, units, price of one; and its currency.
type Content = (String, Vec<(String, u32, i64)>);

fn orders(sheet: &Sheet) -> BTreeMap<String, Content> {
    let line = |line: &InvoiceLine| match line.item {
        Item::Product(product) => (sheet.products[product].sku.clone(), line.units, line.price_minor),
        Item::NeverOrdered | Item::NoProduct => unreachable!("an order has products"),
    };
    let content = |invoice: &Invoice| (invoice.currency.clone(), invoice.lines.iter().map(line).collect());
    let invoices = sheet.invoices.iter();
    invoices.map(|invoice| (invoice.number.clone(), content(invoice))).collect()
}

fn read(mapping: &Mapping, text: &str) -> anyhow::Result<Sheet> {
    Sheet::read(&Source::Bytes(text.as_bytes()), mapping)
}

/// A sample with what is right about it.
struct Whole {
    mapping: Mapping,
    headings: String,
    rows: Vec<String>,
    right: BTreeMap<String, Content>,
    sample: &'static Sample,
}

impl Whole {
    fn of(sample: &'static Sample) -> Self {
        let mapping = Mapping::named(sample.mapping).expect("it comes with the program");
        let sheet = read(&mapping, sample.text).expect("it can be read");
        assert_eq!(sheet.rejected, [], "{} is whole", sample.mapping);
        let right = orders(&sheet);
        let (headings, body) = sample.text.split_once('\n').expect("rows");
        let mut rows: Vec<String> = Vec::new();
        for line in body.lines() {
            match rows.last_mut().filter(|row| row.matches('"').count() % 2 == 1) {
                Some(open) if sample.mapping != "amazon" => *open += &format!("\n{line}"),
                Some(_) | None => rows.push(line.to_owned()),
            }
        }
        assert_eq!((right.len(), rows.len() as u64), (sheet.invoices.len(), sheet.rows));
        Self { mapping, headings: headings.to_owned(), rows, right, sample }
    }

    /// The text with another row in place of this one.
    fn with(&self, at: usize, row: &str) -> String {
        let mut rows = self.rows.clone();
        row.clone_into(&mut rows[at]);
        format!("{}\n{}\n", self.headings, rows.join("\n"))
    }

    /// Holds the law about a broken text; notes the breach, if it is one. Orders that `lost` names may have lost rows without
    /// a trace, or their own last field. A sku that no product has keeps its order back in any case, once the catalogue is
    /// asked.
    fn hold(&self, text: &str, lost: &[&str], what: &str, breaches: &mut Vec<String>) {
        let Ok(sheet) = read(&self.mapping, text) else { return };
        assert_eq!(sheet.rows_accounted_for(), sheet.rows, "{text}");
        let found = orders(&sheet);
        let is_lost = |number: &String| lost.iter().any(|lost| lost.starts_with(number.as_str()));
        let wrong = found.iter().find(|(number, content)| {
            self.right.get(*number) != Some(content) && !is_lost(number) && self.knows_products_of(content)
        });
        let missing = || self.right.keys().filter(|number| !found.contains_key(*number) && !is_lost(number));
        let told = |number: &String| {
            sheet.rejected.iter().any(|row| row.order == *number || row.reason != Reason::HeldBack)
        };
        let silent = missing().find(|number| !told(number));
        if wrong.is_some() || silent.is_some() {
            let mapping = self.sample.mapping;
            breaches.push(format!("{mapping}, {what}: {wrong:?} comes in, {silent:?} is silent"));
        }
    }

    /// Whether what is left of a row can be told from a blank line, and below the table from words about it.
    fn is_seen(&self, at: usize, rest: &str) -> bool {
        let is_last = at + 1 == self.rows.len();
        let fields = rest.split(self.sample.delimiter);
        let filled = fields.filter(|field| field.contains(char::is_alphanumeric)).count();
        filled >= if is_last { FILLED_MIN } else { 1 }
    }

    fn knows_products_of(&self, (_, lines): &Content) -> bool {
        let known =
            |sku: &str| self.right.values().flat_map(|(_, lines)| lines).any(|(known, ..)| known == sku);
        lines.iter().all(|(sku, ..)| known(sku))
    }

    /// The number of the order of a row.
    fn number(&self, at: usize) -> String {
        let alone = format!("{}\n{}\n", self.headings, self.rows[at]);
        let sheet = read(&self.mapping, &alone).expect("it can be read");
        let told = sheet.invoices.first().map(|invoice| invoice.number.clone());
        told.or_else(|| Some(sheet.rejected.first()?.order.clone())).expect("a row has an order")
    }
}

/// None of them may be.
fn none(breaches: &[String]) {
    assert!(breaches.is_empty(), "{} breaches: {:#?}", breaches.len(), &breaches[..breaches.len().min(100)]);
}

fn wholes() -> impl Iterator<Item = Whole> {
    SAMPLES.iter().map(Whole::of)
}

/// Places between the characters of a text, its ends too.
fn places(text: &str) -> impl Iterator<Item = usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()])
}

fn inserted(row: &str, at: usize, what: &str) -> String {
    format!("{}{what}{}", &row[..at], &row[at..])
}

#[test]
fn there_is_a_sample_of_every_mapping() {
    let known: Vec<&str> = SAMPLES.iter().map(|sample| sample.mapping).collect();
    assert_eq!(known, BUNDLED);
}

#[test]
fn a_delimiter_or_a_quote_too_many_or_missing_books_nothing_to_a_wrong_order() {
    let mut breaches = Vec::new();
    for whole in wholes() {
        let delimiter = whole.sample.delimiter;
        for (at, row) in whole.rows.iter().enumerate() {
            for place in places(row) {
                // Between quotes a delimiter is one more character of a field, and who knows what the field should be.
                let quoted = row[..place].matches('"').count() % 2 == 1;
                let delimiters = (!quoted).then(|| delimiter.to_string());
                for what in delimiters.into_iter().chain(["\"".to_owned()]) {
                    whole.hold(
                        &whole.with(at, &inserted(row, place, &what)),
                        &[],
                        &format!("{what} at {place}"),
                        &mut breaches,
                    );
                }
            }
            for (place, _) in row.char_indices().filter(|(_, c)| *c == delimiter || *c == '"') {
                let without = format!("{}{}", &row[..place], &row[place + 1..]);
                whole.hold(&whole.with(at, &without), &[], &format!("nothing at {place}"), &mut breaches);
            }
        }
    }
    none(&breaches);
}

#[test]
fn a_row_that_is_cut_off_books_nothing_to_a_wrong_order() {
    let mut breaches = Vec::new();
    for whole in wholes() {
        for (at, row) in whole.rows.iter().enumerate() {
            let last = row.rfind(whole.sample.delimiter).expect("fields") + 1;
            let cut = places(row).skip(1).filter(|place| !whole.sample.last_counts || *place < last);
            for place in cut.filter(|place| whole.is_seen(at, &row[..*place])) {
                whole.hold(
                    &whole.with(at, &row[..place]),
                    &[],
                    &format!("row {at} cut at {place}"),
                    &mut breaches,
                );
            }
            for place in places(row).filter(|place| *place > 0) {
                let head = row[..place].rfind(whole.sample.delimiter).map_or(0, |at| at + 1);
                if !whole.is_seen(at, &row[head..]) {
                    continue;
                }
                whole.hold(
                    &whole.with(at, &row[head..]),
                    &[],
                    &format!("row {at} without its beginning: {}", &row[head..]),
                    &mut breaches,
                );
            }
        }
    }
    none(&breaches);
}

#[test]
fn a_file_that_is_cut_off_has_no_order_that_is_not_whole_but_where_nobody_can_see_it() {
    let mut breaches = Vec::new();
    for whole in wholes() {
        let numbers: Vec<String> = (0..whole.rows.len()).map(|at| whole.number(at)).collect();
        for at in 0..whole.rows.len() {
            let before = whole.rows[..at].iter().map(|row| format!("{row}\n")).collect::<String>();
            let before = format!("{}\n{before}", whole.headings);
            let row = &whole.rows[at];
            let last = row.rfind(whole.sample.delimiter).expect("fields") + 1;
            for place in places(row) {
                // Rows that are not there at all, and the rest of a last field, are seen by the total alone.
                let whole_row = place >= last;
                let mut lost: Vec<&str> = numbers[at + 1..].iter().map(String::as_str).collect();
                if place == 0 || whole_row && whole.sample.last_counts {
                    lost.push(&numbers[at]);
                }
                let lost_with_totals = |number: &&str| !numbers[..at].iter().any(|known| known == number);
                if whole.sample.totals && !(whole_row && whole.sample.last_counts) {
                    lost.retain(lost_with_totals);
                }
                whole.hold(
                    &format!("{before}{}", &row[..place]),
                    &lost,
                    &format!("file cut in row {at} at {place}"),
                    &mut breaches,
                );
            }
        }
    }
    none(&breaches);
}

#[test]
fn a_row_with_a_wrong_or_without_a_number_books_nothing_to_a_wrong_order() {
    let mut breaches = Vec::new();
    for whole in wholes() {
        let numbers: Vec<String> = (0..whole.rows.len()).map(|at| whole.number(at)).collect();
        for (at, row) in whole.rows.iter().enumerate() {
            let number = &numbers[at];
            let place = row.find(number.as_str()).expect("a row has its number");
            let (head, tail) = (&row[..place], &row[place + number.len()..]);
            let others = numbers.iter().filter(|other| *other != number);
            let wrong = others.cloned().chain([
                String::new(),
                " ".to_owned(),
                format!("{number}\u{200b}"),
                format!("\u{7}{number}"),
                "9".repeat(500),
                "\u{fffd}".to_owned(),
                format!("{number}\""),
            ]);
            for wrong in wrong {
                whole.hold(
                    &whole.with(at, &format!("{head}{wrong}{tail}")),
                    &[],
                    &format!("{number} as '{wrong}'"),
                    &mut breaches,
                );
            }
        }
    }
    none(&breaches);
}

#[test]
fn a_number_or_a_currency_that_is_missing_or_no_such_thing_keeps_its_order_back() {
    let mut breaches = Vec::new();
    for whole in wholes() {
        let columns = &whole.mapping.columns;
        let headings: Vec<&str> =
            whole.headings.split(whole.sample.delimiter).map(|name| name.trim_matches('"')).collect();
        let cells = [Some(&columns.quantity), Some(&columns.price), columns.currency.as_ref()];
        for (at, row) in whole.rows.iter().enumerate() {
            for cell in cells.into_iter().flatten() {
                let place = headings.iter().position(|name| name == cell).expect("a heading");
                let mut fields = split(row, whole.sample);
                for wrong in ["", "x\u{fffd}", "-", "1e3", "0x10", "٣"] {
                    wrong.clone_into(&mut fields[place]);
                    let broken = fields.join(&whole.sample.delimiter.to_string());
                    whole.hold(&whole.with(at, &broken), &[], &format!("{cell} as '{wrong}'"), &mut breaches);
                }
            }
        }
    }
    none(&breaches);
}

#[test]
fn what_stands_below_a_table_is_told_of_and_keeps_nothing_back() {
    let whole = wholes().next().expect("a sample");
    for below in ["Total,,,,83,10730", ",,,,,10730", "Page 1", "3 orders;10730", "Made on 2026-01-05,by ann"]
    {
        let text = format!("{}\n{}\n{below}\n", whole.headings, whole.rows.join("\n"));
        let sheet = read(&whole.mapping, &text).expect("it can be read");
        assert_eq!(orders(&sheet), whole.right, "{below}");
        assert_eq!(sheet.rejected.len(), 1, "{below}: {:?}", sheet.rejected);
    }
}

/// The fields of a row as they are written, quotes included.
fn split(row: &str, sample: &Sample) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in row.chars() {
        quoted ^= c == '"' && sample.mapping != "amazon";
        match fields.last_mut() {
            Some(_) if c == sample.delimiter && !quoted => fields.push(String::new()),
            Some(field) => field.push(c),
            None => {}
        }
    }
    fields
}
