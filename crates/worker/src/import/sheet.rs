//! Reads a file, plain or gzip, and puts its rows together: products, orders with their lines, cancellations, and rows
//! that are nothing of these with the reason why. Sends nothing; memory is bounded by the number of rows and orders.

use std::collections::HashMap;
use std::io::Read;

use anyhow::{Context, Result, bail};
use csv::{ReaderBuilder, StringRecord};
use domain::{CustomerId, LINES_MAX, QUANTITY_MAX, Sku};
use jiff::Timestamp;

use super::Mapping;
use super::tally::{Reason, Rejected};

/// Rows of one file.
const ROWS_MAX: u64 = 5_000_000;

/// Bytes of a product's name that are kept.
const NAME_BYTES_MAX: usize = 200;

/// What a file holds.
#[derive(Debug, Default)]
pub struct Sheet {
    /// Rows read, without the headings.
    pub rows: u64,
    /// Products in order of first appearance.
    pub products: Vec<SheetProduct>,
    /// Orders and cancellations in order of first appearance.
    pub invoices: Vec<Invoice>,
    /// Rows that are neither.
    pub rejected: Vec<Rejected>,
}

/// A product, as its first row tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetProduct {
    /// In upper case.
    pub sku: String,
    /// The first name that is not empty, or the sku.
    pub name: String,
    /// Its first price, in minor units.
    pub price_minor: i64,
    /// ISO 4217 code of the price.
    pub currency: String,
}

/// An order, or one that takes another back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// The other system's name for it, with the number of the part behind it if it was too long for one order.
    pub number: String,
    /// Whom it is for.
    pub customer: String,
    /// Whether the file named the customer.
    pub customer_named: Named,
    /// When, by its first row.
    pub ordered_at: Timestamp,
    /// What it is.
    pub kind: InvoiceKind,
    /// Its lines.
    pub lines: Vec<InvoiceLine>,
}

/// Whether a file named the customer of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// It did.
    Yes,
    /// Somebody stands for the unknown.
    No,
}

/// What an invoice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InvoiceKind {
    /// Something is ordered.
    Order,
    /// Something is taken back.
    Cancellation,
}

/// One line of an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvoiceLine {
    /// Line of the file.
    pub line: u64,
    /// What it is about.
    pub item: Item,
    /// Units; always positive.
    pub units: u32,
    /// Price of one, in minor units of the product's currency.
    pub price_minor: i64,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// The product at this position in [`Sheet::products`]. Lines of orders are always about one.
    Product(usize),
    /// A product that nobody has ordered before.
    NeverOrdered,
    /// Postage, a fee, a voucher or the like.
    NoProduct,
}

/// Where each column is.
struct Places {
    order: usize,
    customer: usize,
    ordered_at: usize,
    sku: usize,
    name: Option<usize>,
    quantity: usize,
    price: usize,
    currency: Option<usize>,
}

impl Places {
    fn find(headings: &StringRecord, mapping: &Mapping) -> Result<Self> {
        let place = |name: &str| {
            let found = headings.iter().position(|heading| heading.trim_start_matches('\u{feff}') == name);
            found.with_context(|| {
                let known: Vec<&str> = headings.iter().collect();
                format!("the file has no column '{name}'; it has {}", known.join(", "))
            })
        };
        let columns = &mapping.columns;
        Ok(Self {
            order: place(&columns.order)?,
            customer: place(&columns.customer)?,
            ordered_at: place(&columns.ordered_at)?,
            sku: place(&columns.sku)?,
            name: columns.name.as_deref().map(place).transpose()?,
            quantity: place(&columns.quantity)?,
            price: place(&columns.price)?,
            currency: columns.currency.as_deref().map(place).transpose()?,
        })
    }
}

/// Puts a sheet together, row by row.
struct Assembly<'a> {
    mapping: &'a Mapping,
    places: Places,
    sheet: Sheet,
    products: HashMap<String, usize>,
    /// The latest part of each order.
    open: HashMap<String, Open>,
}

struct Open {
    invoice: usize,
    part: u32,
}

/// A row that cannot be used.
struct Objection(Reason, String);

impl Sheet {
    /// Reads all rows.
    ///
    /// # Errors
    /// If the file cannot be read, lacks a column or has too many rows; a row that is wrong is no error.
    pub fn read(source: impl Read, mapping: &Mapping) -> Result<Self> {
        let delimiter = u8::try_from(mapping.delimiter).context("the delimiter was checked and is ASCII")?;
        let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(source);
        let places = Places::find(reader.headers().context("the file cannot be read")?, mapping)?;
        let mut assembly = Assembly {
            mapping,
            places,
            sheet: Self::default(),
            products: HashMap::new(),
            open: HashMap::new(),
        };
        for record in reader.byte_records() {
            let record = record.context("the file cannot be read")?;
            let line = record.position().map_or(0, csv::Position::line);
            match StringRecord::from_byte_record(record) {
                Ok(record) => assembly.take(&record, line),
                Err(_) => assembly.reject(line, "", Objection(Reason::Unreadable, "is not UTF-8".to_owned())),
            }
            if assembly.sheet.rows > ROWS_MAX {
                bail!("the file has more than {ROWS_MAX} rows; split it");
            }
        }
        Ok(assembly.sheet)
    }
}

impl Assembly<'_> {
    fn take(&mut self, record: &StringRecord, line: u64) {
        let number = record.get(self.places.order).unwrap_or_default().trim();
        let kind =
            if self.mapping.is_cancellation(number) { InvoiceKind::Cancellation } else { InvoiceKind::Order };
        let taken = self.line_of(record, kind, line).and_then(|invoice_line| {
            self.add(record, kind, number, invoice_line)?;
            Ok(())
        });
        match taken {
            Ok(()) => self.sheet.rows += 1,
            Err(objection) => self.reject(line, number, objection),
        }
    }

    fn reject(&mut self, line: u64, number: &str, Objection(reason, detail): Objection) {
        self.sheet.rows += 1;
        self.sheet.rejected.push(Rejected { line, order: number.to_owned(), reason, detail });
    }

    fn line_of(
        &mut self,
        record: &StringRecord,
        kind: InvoiceKind,
        line: u64,
    ) -> Result<InvoiceLine, Objection> {
        let code = record.get(self.places.sku).unwrap_or_default().trim().to_uppercase();
        let quantity = record.get(self.places.quantity).unwrap_or_default().trim();
        let price = record.get(self.places.price).unwrap_or_default().trim();
        if code.is_empty() {
            return Err(Objection(Reason::NoProduct, "names no product".to_owned()));
        }
        let no_product = self.mapping.is_no_product(&code);
        match kind {
            InvoiceKind::Cancellation => {
                let known =
                    self.products.get(&code).map_or(Item::NeverOrdered, |product| Item::Product(*product));
                let item = if no_product { Item::NoProduct } else { known };
                Ok(InvoiceLine { line, item, units: taken_back(quantity)?, price_minor: 0 })
            }
            InvoiceKind::Order if no_product => {
                Err(Objection(Reason::NotAProduct, format!("'{code}' is no product")))
            }
            InvoiceKind::Order => {
                let units = ordered(quantity)?;
                let (price_minor, currency) = self.price(record, price)?;
                let product = self.product(record, code, price_minor, &currency)?;
                Ok(InvoiceLine { line, item: Item::Product(product), units, price_minor })
            }
        }
    }

    fn price(&self, record: &StringRecord, field: &str) -> Result<(i64, String), Objection> {
        let currency = self.places.currency.and_then(|place| record.get(place)).map(str::trim);
        let currency = currency.filter(|code| !code.is_empty()).unwrap_or(&self.mapping.currency);
        let money = self.mapping.price(field, currency);
        let money =
            money.map_err(|error| Objection(Reason::InvalidPrice, format!("price '{field}': {error}")))?;
        if money.minor <= 0 {
            return Err(Objection(Reason::PriceNotPositive, format!("price {field}")));
        }
        Ok((money.minor, currency.to_owned()))
    }

    fn product(
        &mut self,
        record: &StringRecord,
        sku: String,
        price_minor: i64,
        currency: &str,
    ) -> Result<usize, Objection> {
        let name = self.places.name.and_then(|place| record.get(place)).unwrap_or_default().trim();
        if let Some(&known) = self.products.get(&sku) {
            let product = &mut self.sheet.products[known];
            if product.name.is_empty() {
                product.name = cut(name);
            }
            if product.currency == currency {
                return Ok(known);
            }
            let detail = format!("{sku} is sold in {}, not in {currency}", product.currency);
            return Err(Objection(Reason::InvalidPrice, detail));
        }
        Sku::parse(&sku).map_err(|error| Objection(Reason::InvalidSku, format!("'{sku}' {error}")))?;
        let position = self.sheet.products.len();
        self.products.insert(sku.clone(), position);
        let product = SheetProduct { sku, name: cut(name), price_minor, currency: currency.to_owned() };
        self.sheet.products.push(product);
        Ok(position)
    }

    fn add(
        &mut self,
        record: &StringRecord,
        kind: InvoiceKind,
        number: &str,
        line: InvoiceLine,
    ) -> Result<(), Objection> {
        if number.is_empty() {
            return Err(Objection(Reason::NoOrder, "names no order".to_owned()));
        }
        let latest = self.open.get(number).map(|open| (open.invoice, open.part));
        if let Some((invoice, part)) = latest {
            if kind == InvoiceKind::Cancellation || self.sheet.invoices[invoice].lines.len() < LINES_MAX {
                self.sheet.invoices[invoice].lines.push(line);
                return Ok(());
            }
            return self.begin(record, kind, number, line, part + 1);
        }
        self.begin(record, kind, number, line, 1)
    }

    /// Begins an order, or the next part of one that is too long. The first part gets its number once it is known that
    /// there is another.
    fn begin(
        &mut self,
        record: &StringRecord,
        kind: InvoiceKind,
        number: &str,
        line: InvoiceLine,
        part: u32,
    ) -> Result<(), Objection> {
        let field = record.get(self.places.ordered_at).unwrap_or_default().trim();
        let ordered_at = self.mapping.time(field);
        let ordered_at = ordered_at
            .map_err(|error| Objection(Reason::InvalidTime, format!("time '{field}': {error:#}")))?;
        let field = record.get(self.places.customer).unwrap_or_default().trim();
        let customer = self.mapping.customer(field);
        CustomerId::parse(customer)
            .map_err(|error| Objection(Reason::InvalidCustomer, format!("customer '{customer}' {error}")))?;
        if part == 2 {
            let first = self.open[number].invoice;
            self.sheet.invoices[first].number = format!("{number}-1");
        }
        self.open.insert(number.to_owned(), Open { invoice: self.sheet.invoices.len(), part });
        self.sheet.invoices.push(Invoice {
            number: if part == 1 { number.to_owned() } else { format!("{number}-{part}") },
            customer: customer.to_owned(),
            customer_named: if field.is_empty() { Named::No } else { Named::Yes },
            ordered_at,
            kind,
            lines: vec![line],
        });
        Ok(())
    }
}

fn ordered(field: &str) -> Result<u32, Objection> {
    let units = number(field)?;
    if units <= 0 {
        return Err(Objection(Reason::QuantityNotPositive, format!("quantity {units}")));
    }
    bounded(units)
}

/// Units taken back are written with a minus.
fn taken_back(field: &str) -> Result<u32, Objection> {
    bounded(number(field)?.saturating_abs())
}

fn number(field: &str) -> Result<i64, Objection> {
    let invalid = |_| Objection(Reason::InvalidQuantity, format!("quantity '{field}' is no whole number"));
    field.parse().map_err(invalid)
}

fn bounded(units: i64) -> Result<u32, Objection> {
    let too_many = || Objection(Reason::InvalidQuantity, format!("quantity {units} is over {QUANTITY_MAX}"));
    u32::try_from(units).ok().filter(|units| *units <= QUANTITY_MAX).ok_or_else(too_many)
}

/// A name no longer than allowed, cut between two characters, without control characters.
fn cut(name: &str) -> String {
    let mut cut: String = name.chars().filter(|c| !c.is_control()).collect();
    cut.truncate(cut.floor_char_boundary(NAME_BYTES_MAX));
    cut
}

#[cfg(test)]
mod tests;
