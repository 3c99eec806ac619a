//! Puts rows together into orders. An order is taken whole or not at all: one row that is wrong holds back the others. What
//! belongs to the order and is not said in a row is as the order's first rows had it.

mod details;
mod draft;
mod line;
mod repeats;
mod sums;

use std::collections::HashMap;

use anyhow::{Result, bail};
use domain::{Currency, QUANTITY_MAX, Sku};

use super::mapping::{Custom, FreeLines, Meaning, Plain, PricePer, RepeatedRows, ShortRows, SkuCase, whole};
use super::owners::{Belongs, Foundling, Keys, Of, Owners};
use super::sheet::{InvoiceKind, Sheet, SheetProduct};
use super::table::{Places, Record, Source, Table, UNREAD};
use super::tally::{LeftOut, Omission, Reason, Rejected};
use super::{Mapping, damage};
use draft::Draft;
use line::Line;
use repeats::{Repeat, Repeats};

/// Rows of one file.
const ROWS_MAX: u64 = 5_000_000;

/// Bytes of a product's name that are kept.
const NAME_BYTES_MAX: usize = 200;

/// Why a row cannot be used.
pub(super) struct Objection(pub(super) Reason, pub(super) String);

impl Sheet {
    /// Reads all rows.
    ///
    /// # Errors
    /// If the file cannot be read, lacks a column or has too many rows; a row that is wrong is no error.
    pub fn read(source: &Source<'_>, mapping: &Mapping) -> Result<Self> {
        let mut table = Table::open(source, mapping)?;
        let mut assembly = Assembly::new(mapping, &table);
        while let Some(record) = table.row()? {
            assembly.take(&record)?;
        }
        Ok(assembly.finish(std::mem::take(&mut table.notes)))
    }
}

/// What a row is, if nothing is wrong with it.
enum Row {
    Line(Line),
    LeftOut(Omission, String),
}

/// A product that rows name.
pub(super) struct Candidate {
    pub(super) sku: String,
    pub(super) name: String,
    /// Its place among the products of the sheet, once an order has it.
    pub(super) product: Option<usize>,
}

/// Whether a field can be a time, as the mapping reads it.
type IsTime<'a> = Box<dyn Fn(&str) -> bool + 'a>;

/// Orders under construction.
pub(super) struct Assembly<'a> {
    mapping: &'a Mapping,
    places: Places,
    custom: Custom,
    rows: u64,
    /// Whose the rows are; as many as there are drafts.
    owners: Owners<IsTime<'a>>,
    drafts: Vec<Draft>,
    candidates: Vec<Candidate>,
    by_code: HashMap<String, usize>,
    repeats: Repeats,
    notes: Vec<String>,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(mapping: &'a Mapping, table: &Table<'_>) -> Self {
        Self {
            mapping,
            places: table.places.clone(),
            custom: table.custom,
            rows: 0,
            owners: Owners::new(keys(mapping, table), Box::new(|field| mapping.time(field).is_ok())),
            drafts: Vec::new(),
            candidates: Vec::new(),
            by_code: HashMap::new(),
            repeats: Repeats::new(&table.places),
            notes: Vec::new(),
        }
    }

    /// Takes a row.
    pub(super) fn take(&mut self, record: &Record) -> Result<()> {
        self.rows += 1;
        if self.rows > ROWS_MAX {
            bail!("the file has more than {ROWS_MAX} rows; split it");
        }
        let Belongs { order, fault } = self.owners.place(record);
        let at = match order {
            None => return Ok(()),
            Some(Of::Known(at)) => at,
            Some(Of::New(at)) => {
                self.begin(record);
                at
            }
        };
        let repeat = self.repeat(at, record, fault.is_some());
        if let Some(why) = self.counted_before(record, repeat) {
            let draft = &mut self.drafts[at];
            let order = draft.number.clone();
            draft.left_out.push(LeftOut { line: record.line, order, why: Omission::Repeated, detail: why });
            return Ok(());
        }
        let mut objections = match repeat {
            Repeat::Id(first) => vec![self.contradicts(record, first)],
            Repeat::None | Repeat::Line(_) | Repeat::Row(_) => self.about_the_order(at, record, fault),
        };
        let row = match objections.is_empty() {
            true => self.row(at, record).map_err(|objection| objections.push(objection)).ok(),
            false => None,
        };
        let draft = &mut self.drafts[at];
        match row {
            Some(Row::Line(line)) => {
                draft.lines.push(line);
                if let Repeat::Row(first) = repeat {
                    draft.repeated.get_or_insert((record.line, first));
                }
            }
            Some(Row::LeftOut(why, detail)) => {
                draft.left_out.push(LeftOut { line: record.line, order: draft.number.clone(), why, detail });
            }
            None => draft.faults.push(rejected(record.line, &draft.number, objections)),
        }
        Ok(())
    }

    /// All that was put together.
    pub(super) fn finish(mut self, mut notes: Vec<String>) -> Sheet {
        notes.append(&mut self.notes);
        let rejected = settle_owners(self.owners, &mut self.drafts);
        let own = &self.mapping.currency;
        let mut said = self.drafts.iter().map(|draft| draft.currency.to_uppercase());
        let other = said.find(|said| !said.is_empty() && said != own);
        let mut sheet = Sheet { rows: self.rows, rejected, notes, ..Sheet::default() };
        for draft in self.drafts {
            let settling = draft::Settling {
                mapping: self.mapping,
                places: &self.places,
                custom: self.custom,
                other_currency: other.as_deref(),
                candidates: &mut self.candidates,
                sheet: &mut sheet,
            };
            settling.settle(draft);
        }
        sheet
    }

    fn begin(&mut self, record: &Record) {
        let number = self.owners.number(self.drafts.len()).to_owned();
        let kind = match self.mapping.is_cancellation(&number) {
            true => InvoiceKind::Cancellation,
            false => InvoiceKind::Order,
        };
        let shop = self.places.shop.map(|place| record.field(place).to_owned());
        self.drafts.push(Draft::new(number, shop, kind, record.line, self.places.statuses.len()));
    }

    /// What a row repeats of its order; a broken one and a cancellation nothing.
    fn repeat(&mut self, at: usize, record: &Record, broken: bool) -> Repeat {
        if broken || self.drafts[at].kind == InvoiceKind::Cancellation {
            return Repeat::None;
        }
        self.repeats.note(at, record)
    }

    /// Why a row says nothing new, if it does not.
    fn counted_before(&self, record: &Record, repeat: Repeat) -> Option<String> {
        match repeat {
            Repeat::Line(first) => {
                let id = self.places.line_id.map_or("", |place| record.field(place));
                Some(format!("the line of id '{id}' stands in line {first} already, and counts once"))
            }
            Repeat::Row(first) if self.mapping.repeated_rows == Some(RepeatedRows::Once) => {
                Some(format!("the same row stands in line {first} already, and repeated_rows = \"once\""))
            }
            Repeat::Row(_) | Repeat::Id(_) | Repeat::None => None,
        }
    }

    fn contradicts(&self, record: &Record, first: u64) -> Objection {
        let id = self.places.line_id.map_or("", |place| record.field(place));
        Objection(
            Reason::RowsDisagree,
            format!(
                "the line of id '{id}' stands in line {first} already, with other content; leave in the file what is true"
            ),
        )
    }

    /// Notes what a row says of its order, and objects to what it says otherwise than the rows before.
    fn about_the_order(&mut self, at: usize, record: &Record, fault: Option<String>) -> Vec<Objection> {
        if let Some(fault) = fault {
            return vec![Objection(Reason::Unreadable, fault)];
        }
        let rounded = self.places.names().find(|(_, place)| damage::is_rounded(record.field(*place)));
        if let Some((what, place)) = rounded {
            return vec![Objection(Reason::Unreadable, damage::rounded(what, record.field(place)))];
        }
        if let Some(place) = self.places.all().find(|place| record.field(*place).contains(UNREAD)) {
            let detail =
                format!("'{}' holds what cannot be read in the encoding of the file", record.field(place));
            return vec![Objection(Reason::Unreadable, detail)];
        }
        self.drafts[at].note(record, &self.places, self.mapping)
    }

    fn row(&mut self, at: usize, record: &Record) -> Result<Row, Objection> {
        let kind = self.drafts[at].kind;
        let code = record.field(self.places.sku);
        if code.is_empty() {
            return Err(Objection(Reason::NoProduct, "names no product".to_owned()));
        }
        let no_product = self.mapping.is_no_product(code);
        match kind {
            InvoiceKind::Cancellation => {
                let units = bounded(self.number(record.field(self.places.quantity))?.saturating_abs())?;
                let candidate = if no_product { None } else { Some(self.candidate(code, "")?) };
                Ok(Row::Line(Line {
                    line: record.line,
                    candidate,
                    units,
                    minor: 0,
                    currency: self.own_currency()?,
                    shipped: false,
                }))
            }
            InvoiceKind::Order if no_product => Ok(Row::LeftOut(
                Omission::NotAProduct,
                format!("'{code}' is no product, as the mapping says"),
            )),
            InvoiceKind::Order => self.ordered(at, record, code),
        }
    }

    fn ordered(&mut self, at: usize, record: &Record, code: &str) -> Result<Row, Objection> {
        let (price, currency) = self.price(at, record.field(self.places.price))?;
        if price == 0 && self.mapping.free_lines == FreeLines::Skip {
            return Ok(Row::LeftOut(Omission::Free, "costs nothing, and free_lines = \"skip\"".to_owned()));
        }
        let units = self.number(record.field(self.places.quantity))?;
        if units <= 0 {
            return Err(Objection(Reason::QuantityNotPositive, format!("quantity {units}")));
        }
        let units = bounded(units)?;
        let minor = self.price_of_one(price, units, currency)?;
        let shipped = self.shipped(record, units)?;
        let name = self.places.name.map_or("", |place| record.field(place)).to_owned();
        let candidate = Some(self.candidate(code, &name)?);
        Ok(Row::Line(Line { line: record.line, candidate, units, minor, currency, shipped }))
    }

    /// Whether all units of a line have left the house. Some of them are for a person to judge.
    fn shipped(&self, record: &Record, units: u32) -> Result<bool, Objection> {
        let Some(word) = &self.places.shipped else { return Ok(false) };
        let field = record.field(word.place);
        if field.is_empty() {
            return Ok(false);
        }
        match self.number(field)? {
            0 => Ok(false),
            all if all == i64::from(units) => Ok(true),
            some => {
                let detail = format!("'{}' is {some}, of {units} units that were ordered", word.heading);
                Err(Objection(Reason::PartlyDone, detail))
            }
        }
    }

    fn number(&self, field: &str) -> Result<i64, Objection> {
        let invalid = |why: String| Objection(Reason::InvalidQuantity, format!("quantity {why}"));
        let plain = self.mapping.numbers.read(field, self.custom).map_err(invalid)?;
        let named = plain.currency.is_some() || plain.shared_sign.is_some();
        let number = whole(&plain.digits).filter(|_| !named);
        number.ok_or_else(|| invalid(format!("'{field}' is no whole number")))
    }

    fn price(&mut self, at: usize, field: &str) -> Result<(i64, Currency), Objection> {
        let invalid = |why: String| Objection(Reason::InvalidPrice, format!("price {why}"));
        let plain = self.mapping.numbers.read(field, self.custom).map_err(invalid)?;
        let currency = self.currency(at, &plain, field).map_err(invalid)?;
        let money = self.mapping.amount(&plain.digits, currency).map_err(invalid)?;
        if money.minor < 0 {
            return Err(Objection(Reason::PriceNegative, format!("price {field}")));
        }
        Ok((money.minor, currency))
    }

    /// The currency of a price: of its order's column, of its own sign, of the mapping, in this order.
    fn currency(&mut self, at: usize, plain: &Plain, field: &str) -> Result<Currency, String> {
        let said = &mut self.drafts[at].currency;
        if said.is_empty()
            && let Some(own) = &plain.currency
        {
            said.clone_from(own);
        }
        let code = if said.is_empty() { self.mapping.currency.clone() } else { said.to_uppercase() };
        if let Some(own) = plain.currency.as_ref().filter(|own| **own != code) {
            return Err(format!("'{field}' names {own}, and the order is in {code}"));
        }
        if let Some(sign) = plain.shared_sign {
            let note = format!("prices with {sign} are taken as {code}");
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        Currency::parse(&code).map_err(|error| error.to_string())
    }

    fn own_currency(&self) -> Result<Currency, Objection> {
        Currency::parse(&self.mapping.currency)
            .map_err(|error| Objection(Reason::InvalidPrice, error.to_string()))
    }

    fn price_of_one(&self, price: i64, units: u32, currency: Currency) -> Result<i64, Objection> {
        let units = i64::from(units);
        match self.places.price_per {
            PricePer::Unit => Ok(price),
            PricePer::Line if price % units == 0 => Ok(price / units),
            PricePer::Line => {
                let shown = |minor: i64| domain::Money::new(minor, currency).to_string();
                let (one, over) = (price / units, price % units);
                let detail = format!(
                    "price {} for {units} units does not divide: at {} each it is {} too little",
                    shown(price),
                    shown(one),
                    shown(over)
                );
                Err(Objection(Reason::InvalidPrice, detail))
            }
        }
    }

    /// The product of this code, as the mapping compares codes.
    fn candidate(&mut self, code: &str, name: &str) -> Result<usize, Objection> {
        let code = match self.mapping.sku_case {
            SkuCase::Exact | SkuCase::Fold => code.to_owned(),
            SkuCase::Upper => code.to_uppercase(),
        };
        let sku =
            Sku::parse(&code).map_err(|error| Objection(Reason::InvalidSku, format!("'{code}' {error}")))?;
        let key = match self.mapping.sku_case {
            SkuCase::Exact | SkuCase::Upper => sku.as_str().to_owned(),
            SkuCase::Fold => sku.as_str().to_lowercase(),
        };
        let next = self.candidates.len();
        let at = *self.by_code.entry(key).or_insert(next);
        if at == next {
            self.candidates.push(Candidate { sku: sku.as_str().to_owned(), name: cut(name), product: None });
        } else if self.candidates[at].name.is_empty() {
            self.candidates[at].name = cut(name);
        }
        Ok(at)
    }
}

impl Candidate {
    /// Its place among the products of the sheet; it gets one now, at the latest. What it costs is the first price that is
    /// more than nothing: a gift is no price.
    fn place(&mut self, price_minor: i64, currency: Currency, products: &mut Vec<SheetProduct>) -> usize {
        let at = *self.product.get_or_insert_with(|| {
            products.push(SheetProduct {
                sku: self.sku.clone(),
                name: self.name.clone(),
                price_minor,
                currency: currency.code().to_owned(),
            });
            products.len() - 1
        });
        if products[at].price_minor == 0 && products[at].currency == currency.code() {
            products[at].price_minor = price_minor;
        }
        at
    }
}

/// Decides which orders wait; returns the rows of which nobody knows whose they are.
fn settle_owners(owners: Owners<IsTime<'_>>, drafts: &mut [Draft]) -> Vec<Rejected> {
    let settled = owners.settle();
    for (at, line) in settled.doubtful {
        let detail = "names no order, and rows of one order stand apart in this file".to_owned();
        drafts[at].object(line, Objection(Reason::NoOrder, detail));
    }
    for (at, waits) in settled.waiting {
        drafts[at].waits = Some(waits);
    }
    let rejected =
        |Foundling { line, number, reason, detail, .. }| Rejected { line, order: number, reason, detail };
    settled.foundlings.into_iter().map(rejected).collect()
}

fn keys(mapping: &Mapping, table: &Table<'_>) -> Keys {
    let places = &table.places;
    Keys {
        width: places.width,
        order: places.order,
        shop: places.shop,
        customer: places.customer,
        ordered_at: Some(places.ordered_at),
        line: vec![places.sku, places.quantity, places.price],
        short_rows: if table.delimiter.is_some() { mapping.short_rows } else { ShortRows::Fill },
        delimiter: table.delimiter,
    }
}

fn rejected(line: u64, number: &str, objections: Vec<Objection>) -> Rejected {
    let reason = objections.first().map_or(Reason::Unreadable, |objection| objection.0);
    let details: Vec<String> = objections.into_iter().map(|Objection(_, detail)| detail).collect();
    Rejected { line, order: number.to_owned(), reason, detail: details.join("; ") }
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

/// What becomes of orders that are not taken in.
const fn omission(meaning: Meaning) -> Option<Omission> {
    match meaning {
        Meaning::Take => None,
        Meaning::Skip => Some(Omission::Skipped),
        Meaning::AlreadyShipped => Some(Omission::AlreadyShipped),
        Meaning::Cancel => Some(Omission::CancelledElsewhere),
    }
}
