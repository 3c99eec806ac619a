//! Where the columns of a mapping are in a file, by their headings; and which columns of the file are known although the
//! mapping does not name them, because what they say must not be passed over.

use anyhow::{Result, bail};

use super::records::Record;
use crate::import::Mapping;
use crate::import::mapping::{
    AddressKind, AddressPart, Charge, ContactPart, Detail, PricePer, StatusColumn, is_known_discount,
    is_known_undone, known_status,
};

/// Headings of prices that are of all units of a line, wherever they stand.
const KNOWN_LINE_PRICES: &[&str] = &[
    "item-price",
    "Line Total",
    "line_total",
    "Line total",
    "Row Total",
    "row_total",
    "Item Total",
    "item_total",
];

/// Columns that hold how many units of a line were sent.
const KNOWN_SHIPPED: &[&str] = &["quantity-shipped", "qty_shipped"];

/// A column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Where it stands.
    pub place: usize,
    /// Its heading.
    pub heading: String,
}

/// A column that tells where orders stand.
#[derive(Clone, Debug)]
pub(crate) struct StatusPlace {
    /// Where it stands.
    pub place: usize,
    /// What its words mean.
    pub column: StatusColumn,
}

/// Where each column is.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// How many fields a row has: one for each heading, and perhaps empty ones that every row has behind them.
    pub(in crate::import) width: usize,
    pub(in crate::import) order: usize,
    pub(in crate::import) shop: Option<usize>,
    pub(in crate::import) customer: usize,
    pub(in crate::import) ordered_at: usize,
    pub(in crate::import) sku: usize,
    pub(in crate::import) name: Option<usize>,
    pub(in crate::import) quantity: usize,
    pub(in crate::import) price: usize,
    pub(in crate::import) currency: Option<usize>,
    pub(in crate::import) price_per: PricePer,
    pub(in crate::import) statuses: Vec<StatusPlace>,
    pub(in crate::import) discount: Option<usize>,
    pub(in crate::import) shipping: Option<usize>,
    pub(in crate::import) tax: Option<usize>,
    pub(in crate::import) total: Option<usize>,
    /// Discounts of which the mapping says nothing.
    pub(in crate::import) unnamed_discounts: Vec<Word>,
    pub(in crate::import) line_id: Option<usize>,
    pub(in crate::import) shipped: Option<Word>,
    /// What was refunded or cancelled.
    pub(in crate::import) undone: Vec<Word>,
    /// What orders say beside who wants what.
    pub(in crate::import) details: Vec<(Detail, Word)>,
    known: Vec<String>,
}

impl Places {
    /// Every column of which something is read.
    pub(in crate::import) fn all(&self) -> impl Iterator<Item = usize> + '_ {
        let needed = [self.order, self.customer, self.ordered_at, self.sku, self.quantity, self.price];
        let more = [self.shop, self.name, self.currency, self.discount, self.shipping, self.tax, self.total];
        let statuses = self.statuses.iter().map(|status| status.place);
        let details = self.details.iter().map(|(_, word)| word);
        let done = self.undone.iter().chain(&self.shipped).chain(details).map(|word| word.place);
        needed.into_iter().chain(more.into_iter().flatten()).chain(self.line_id).chain(statuses).chain(done)
    }

    /// The columns that name something: an order, a line, a product, a customer, a telephone, a place.
    pub(in crate::import) fn names(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let named = [
            ("the order's number", self.order),
            ("the product code", self.sku),
            ("the customer", self.customer),
        ];
        let line_id = self.line_id.map(|place| ("the id of the line", place));
        let details = self.details.iter().filter_map(|(detail, word)| match detail {
            Detail::Contact(ContactPart::Phone) => Some(("the telephone number", word.place)),
            Detail::Address(_, AddressPart::PostalCode) => Some(("the postal code", word.place)),
            Detail::Contact(_) | Detail::Address(..) | Detail::Note | Detail::Tags => None,
        });
        named.into_iter().chain(line_id).chain(details)
    }

    /// What is done that no mapping said, for people.
    pub(super) fn notes(&self) -> Vec<String> {
        self.known.clone()
    }
}

/// Finds the headings among the first records, and the columns in them.
pub(super) fn find(records: &[Record], mapping: &Mapping) -> Result<(Places, usize)> {
    let mut first_mistake = None;
    for (at, record) in records.iter().enumerate() {
        match of_headings(record, mapping) {
            Ok(mut places) => {
                places.width = width_of_rows(&records[at + 1..], places.width);
                return Ok((places, at));
            }
            Err(mistake) => first_mistake = first_mistake.or((!record.is_blank()).then_some(mistake)),
        }
    }
    match first_mistake {
        Some(mistake) => Err(mistake),
        None => bail!("the file is empty: it has no headings"),
    }
}

/// Fields of a row, under so many headings. Some programs end each row, but not the headings, with a delimiter; one row alone
/// does not tell that from a delimiter too many.
fn width_of_rows(rows: &[Record], headings: usize) -> usize {
    let mut full = rows.iter().filter(|row| !row.is_blank() && row.fields.len() >= headings);
    let (Some(first), Some(second)) = (full.next(), full.next()) else { return headings };
    let width = first.fields.len();
    let alike = |row: &Record| {
        row.fields.len() == width && row.fields[headings..].iter().all(|field| field.trim().is_empty())
    };
    if alike(first) && alike(second) && full.all(alike) { width } else { headings }
}

/// The heading without what nobody sees: marks, spaces around it, more than one space within.
fn tidy(heading: &str) -> String {
    let words: Vec<&str> = heading
        .split(|c: char| c.is_whitespace() || c == '\u{feff}')
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

fn of_headings(record: &Record, mapping: &Mapping) -> Result<Places> {
    let headings: Vec<String> = record.fields.iter().map(|field| tidy(field)).collect();
    let place = |name: &str| {
        let others = mapping.also.get(name).into_iter().flatten();
        let wanted: Vec<String> = [tidy(name)].into_iter().chain(others.map(|other| tidy(other))).collect();
        let mut found = (0..headings.len()).filter(|at| wanted.contains(&headings[*at]));
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => bail!("the file has more than one column '{name}'; name them apart"),
            (None, _) => bail!("the file has no column '{name}'; it has {}", shown(&record.fields)),
        }
    };
    let columns = &mapping.columns;
    let maybe = |name: &Option<String>| name.as_deref().map(place).transpose();
    let charge = |charge: &Option<Charge>| maybe(&charge.as_ref().and_then(|charge| charge.column.clone()));
    let mut known = Vec::new();
    let price_per = price_per(mapping, &mut known);
    let charges = &mapping.charges;
    Ok(Places {
        width: headings.len(),
        order: place(&columns.order)?,
        customer: place(&columns.customer)?,
        ordered_at: place(&columns.ordered_at)?,
        sku: place(&columns.sku)?,
        quantity: place(&columns.quantity)?,
        price: place(&columns.price)?,
        shop: maybe(&columns.shop)?,
        name: maybe(&columns.name)?,
        currency: maybe(&columns.currency)?,
        price_per,
        statuses: statuses(&headings, mapping, place, &mut known)?,
        discount: charge(&charges.discount)?,
        shipping: charge(&charges.shipping)?,
        tax: charge(&charges.tax)?,
        total: charge(&charges.total)?,
        unnamed_discounts: unnamed_discounts(&headings, mapping),
        line_id: line_id(&headings, mapping, place, &mut known)?,
        shipped: shipped(&headings, mapping, place, &mut known)?,
        undone: undone(&headings, mapping, place, &mut known)?,
        details: details(mapping, place, &mut known),
        known,
    })
}

/// Headings as they are, so that a stray character is seen.
fn shown(fields: &[String]) -> String {
    fields.iter().map(|field| format!("'{field}'")).collect::<Vec<_>>().join(", ")
}

fn price_per(mapping: &Mapping, known: &mut Vec<String>) -> PricePer {
    mapping.price_per.unwrap_or_else(|| {
        if !KNOWN_LINE_PRICES.contains(&mapping.columns.price.trim()) {
            return PricePer::Unit;
        }
        known.push(format!(
            "'{}' is taken as the price of the whole line; price_per = \"unit\" in the mapping says otherwise",
            mapping.columns.price
        ));
        PricePer::Line
    })
}

fn statuses(
    headings: &[String],
    mapping: &Mapping,
    place: impl Fn(&str) -> Result<usize>,
    known: &mut Vec<String>,
) -> Result<Vec<StatusPlace>> {
    if let Some(named) = &mapping.status {
        let found =
            |column: &StatusColumn| Ok(StatusPlace { place: place(&column.column)?, column: column.clone() });
        return named.iter().map(found).collect();
    }
    let columns = headings.iter().enumerate();
    let found: Vec<StatusPlace> = columns
        .filter_map(|(place, heading)| Some(StatusPlace { place, column: known_status(heading)? }))
        .collect();
    for status in &found {
        known.push(format!(
            "'{}' is taken as telling which orders are to be sent; [[status]] in the mapping says otherwise, status = [] turns \
             it off",
            status.column.column
        ));
    }
    Ok(found)
}

/// The column of the lines' ids. A file may lack it: then a row that stands there twice holds its order back.
fn line_id(
    headings: &[String],
    mapping: &Mapping,
    place: impl Fn(&str) -> Result<usize>,
    known: &mut Vec<String>,
) -> Result<Option<usize>> {
    let Some(name) = &mapping.columns.line_id else { return Ok(None) };
    let others = mapping.also.get(name).into_iter().flatten();
    let mut names = std::iter::once(name).chain(others);
    if names.any(|name| headings.contains(&tidy(name))) {
        return place(name).map(Some);
    }
    known.push(format!("the file has no column '{name}', which would tell its lines apart"));
    Ok(None)
}

/// The columns of what orders say. A file may lack some: exports can be cut down to what a shop needs, and none of them is worth
/// the whole file. An address without a column for its country is none.
fn details(
    mapping: &Mapping,
    place: impl Fn(&str) -> Result<usize>,
    known: &mut Vec<String>,
) -> Vec<(Detail, Word)> {
    let (mut found, mut left_out) = (Vec::new(), Vec::new());
    for (detail, name) in mapping.details() {
        match place(name) {
            Ok(place) => found.push((detail, Word { place, heading: name.to_owned() })),
            Err(_) if left_out.contains(&name) => {}
            Err(_) => left_out.push(name),
        }
    }
    for kind in AddressKind::ALL {
        let country = Detail::Address(kind, AddressPart::Country);
        let has_country = found.iter().any(|(detail, _)| *detail == country);
        if !has_country && mapping.address(kind).country_missing.is_none() {
            found.retain(|(detail, _)| !matches!(detail, Detail::Address(of, _) if *of == kind));
        }
    }
    if !left_out.is_empty() {
        let left_out = left_out.join("', '");
        known.push(format!(
            "of the columns '{left_out}' the file has none, or more than one: orders come without what they would say"
        ));
    }
    found
}

fn shipped(
    headings: &[String],
    mapping: &Mapping,
    place: impl Fn(&str) -> Result<usize>,
    known: &mut Vec<String>,
) -> Result<Option<Word>> {
    if let Some(name) = &mapping.columns.shipped {
        return Ok(Some(Word { place: place(name)?, heading: name.clone() }));
    }
    let mut columns = headings.iter().enumerate();
    let found = columns.find(|(_, heading)| KNOWN_SHIPPED.contains(&heading.as_str()));
    Ok(found.map(|(place, heading)| {
        known.push(format!("'{heading}' is taken as the units of a line that have left the house already"));
        Word { place, heading: heading.clone() }
    }))
}

fn undone(
    headings: &[String],
    mapping: &Mapping,
    place: impl Fn(&str) -> Result<usize>,
    known: &mut Vec<String>,
) -> Result<Vec<Word>> {
    if let Some(named) = &mapping.columns.undone {
        return named.iter().map(|name| Ok(Word { place: place(name)?, heading: name.clone() })).collect();
    }
    let columns = headings.iter().enumerate().filter(|(_, heading)| is_known_undone(heading));
    let found: Vec<Word> = columns.map(|(place, heading)| Word { place, heading: heading.clone() }).collect();
    for word in &found {
        known.push(format!(
            "'{}' is taken as what was refunded or cancelled; undone under [columns] in the mapping says otherwise, undone = \
             [] turns it off",
            word.heading
        ));
    }
    Ok(found)
}

fn unnamed_discounts(headings: &[String], mapping: &Mapping) -> Vec<Word> {
    if mapping.charges.discount.is_some() {
        return Vec::new();
    }
    let columns = headings.iter().enumerate().filter(|(_, heading)| is_known_discount(heading));
    columns.map(|(place, heading)| Word { place, heading: heading.clone() }).collect()
}
