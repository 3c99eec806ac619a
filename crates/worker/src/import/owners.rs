//! Whose a row is. A row that is broken, or that names no order or a wrong one, is never booked to whichever order is near:
//! every order that it could belong to waits for it. Knows where numbers, customers and times stand, and nothing of products.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;

use domain::text::{self, composed};

use super::damage;
use super::mapping::ShortRows;
use super::reference::own_name;
use super::table::{Record, UNREAD};
use super::tally::Reason;

/// A row that has fewer filled fields than this is hardly a line of an order: a product, its units and its price are three.
pub(crate) const FILLED_MIN: usize = 3;

/// Fields that a row may have too many, for its parts to be looked through.
const EXCESS_MAX: usize = 20;

/// Orders that are named where many could be meant.
const NAMED_MAX: usize = 3;

/// Where a table says whose a row is.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// Fields of a row.
    pub(crate) width: usize,
    pub(crate) order: usize,
    pub(crate) shop: Option<usize>,
    pub(crate) customer: usize,
    pub(crate) ordered_at: Option<usize>,
    /// What a line of an order cannot do without: its product, units and the like.
    pub(crate) line: Vec<usize>,
    pub(crate) short_rows: ShortRows,
    /// Between the parts of a field that was torn; none, if none can be.
    pub(crate) delimiter: Option<char>,
}

/// Whose a row is, and what is wrong with it as a row.
pub(crate) struct Belongs {
    /// Its order; none, if nobody knows.
    pub(crate) order: Option<Of>,
    /// Why nothing in it can be used.
    pub(crate) fault: Option<String>,
}

/// An order among those found so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// It has rows already.
    Known(usize),
    /// This is its first.
    New(usize),
}

/// A row of nobody knows which order.
#[derive(Clone, Debug)]
pub(crate) struct Foundling {
    pub(crate) line: u64,
    /// What stands where the order's number should.
    pub(crate) number: String,
    pub(crate) reason: Reason,
    /// What is wrong with it.
    pub(crate) detail: String,
    /// The orders that wait for it.
    pub(crate) could_be_of: BTreeSet<usize>,
    record: Record,
    broken: bool,
    /// The orders whose rows stand before and behind it.
    before: Option<usize>,
    behind: Option<usize>,
}

/// What is known once all rows are in.
pub(crate) struct Settled {
    pub(crate) foundlings: Vec<Foundling>,
    /// Rows that were taken for the order of the row before, and may be of another one.
    pub(crate) doubtful: Vec<(usize, u64)>,
    /// Orders that something may be missing of: the line for which they wait, and why.
    pub(crate) waiting: BTreeMap<usize, (u64, String)>,
}

struct Owner {
    number: String,
    /// Whom its rows name; more than one contradict each other.
    customers: Vec<String>,
    times: Vec<String>,
    /// The first line that names another customer.
    disputed: Option<u64>,
}

/// The orders of a table while its rows come in.
pub(crate) struct Owners<IsTime> {
    keys: Keys,
    /// Whether a field can be the time of an order.
    is_time: IsTime,
    owners: Vec<Owner>,
    by_name: HashMap<(String, String), usize>,
    by_number: HashMap<String, Vec<usize>>,
    by_customer: HashMap<String, BTreeSet<usize>>,
    /// The order of the row before, if that is known.
    latest: Option<usize>,
    /// The order of the last row of which it is known.
    nearest: Option<usize>,
    /// Whether all rows of each order stand together.
    together: bool,
    /// A row that says nothing but the number of its order, away from the others of it: rows here do not go on with the one
    /// before.
    apart: bool,
    went_on: Vec<(usize, u64)>,
    foundlings: Vec<Foundling>,
    /// From here on they do not know yet what stands behind them.
    open_from: usize,
}

impl<IsTime: Fn(&str) -> bool> Owners<IsTime> {
    pub(crate) fn new(keys: Keys, is_time: IsTime) -> Self {
        Self {
            keys,
            is_time,
            owners: Vec::new(),
            by_name: HashMap::new(),
            by_number: HashMap::new(),
            by_customer: HashMap::new(),
            latest: None,
            nearest: None,
            together: true,
            apart: false,
            went_on: Vec::new(),
            foundlings: Vec::new(),
            open_from: 0,
        }
    }

    /// Finds the order of the next row. A row without one is kept until all are in.
    pub(crate) fn place(&mut self, record: &Record) -> Belongs {
        let fault = self.fault(record);
        let found = match &fault {
            Some(fault) => self.of_what_is_left(record).ok_or_else(|| (Reason::Unreadable, fault.clone())),
            None => self.of_a_whole_row(record),
        };
        let order = match found {
            Ok(of) => {
                self.go_to(of, record, fault.is_some());
                Some(of)
            }
            Err((reason, detail)) => {
                self.find(record, reason, detail, fault.is_some());
                None
            }
        };
        Belongs { order, fault }
    }

    /// The number of an order.
    pub(crate) fn number(&self, order: usize) -> &str {
        &self.owners[order].number
    }

    /// What keeps a row from being one.
    fn fault(&self, record: &Record) -> Option<String> {
        if let Some(fault) = &record.fault {
            return Some(fault.clone());
        }
        let (has, width) = (record.fields.len(), self.keys.width);
        if has > width {
            return Some(format!(
                "has {has} fields under {width} headings; is a delimiter in a field without quotes?"
            ));
        }
        if has < width && self.keys.short_rows == ShortRows::Refuse {
            return Some(format!(
                "has {has} fields under {width} headings; is a part of it missing, or is it none of the table?"
            ));
        }
        let number = record.field(self.keys.order);
        damage::is_rounded(number).then(|| damage::rounded("the order's number", number))
    }

    /// The order of a row that has all its fields.
    fn of_a_whole_row(&mut self, record: &Record) -> Result<Of, (Reason, String)> {
        let number = composed(record.field(self.keys.order)).into_owned();
        let silent = self.says_nothing(record);
        if number.is_empty() {
            // Below a table stand sums, and they are of no order. One field may be what is wrong with a line.
            let latest = self.latest.filter(|_| silent && self.blanks(record) <= 1);
            self.went_on.extend(latest.map(|order| (order, record.line)));
            return latest.map(Of::Known).ok_or_else(|| (Reason::NoOrder, "names no order".to_owned()));
        }
        if let Err(why) = own_name(&number) {
            return Err((Reason::InvalidOrder, why));
        }
        if number.contains(UNREAD) {
            let detail = format!("the order's number '{number}' cannot be read in the encoding of the file");
            return Err((Reason::Unreadable, detail));
        }
        if !number.matches('"').count().is_multiple_of(2) {
            let detail = format!("the order's number is {number}: a quote is missing or one too many");
            return Err((Reason::InvalidOrder, detail));
        }
        let known = self.known(record, &number);
        match known {
            Some(order) => {
                self.apart |= silent && self.latest != Some(order);
                Ok(Of::Known(order))
            }
            None if silent => Err((
                Reason::NoOrder,
                format!("no row says who ordered '{number}' and when, and it may be mistyped"),
            )),
            None => Ok(self.introduce(record, number)),
        }
    }

    /// The order of a broken row, if there is no doubt: its number stands in its place, or one that is known does somewhere
    /// where its number may have gone.
    fn of_what_is_left(&mut self, record: &Record) -> Option<Of> {
        let number = bare(record.field(self.keys.order));
        if self.number_is_in_place(record) && own_name(&number).is_ok() {
            match self.known(record, &number) {
                Some(order) => return Some(Of::Known(order)),
                None if !self.says_nothing(record) => return Some(self.introduce(record, number)),
                None => {}
            }
        }
        let named = self.named(record);
        let only = named.first().copied().filter(|_| named.len() == 1);
        only.map(Of::Known)
    }

    /// Whether nothing has moved as far as the number: all fields are there, or one behind it is where it belongs.
    fn number_is_in_place(&self, record: &Record) -> bool {
        let (has, width) = (record.fields.len(), self.keys.width);
        let behind = |place: usize| place > self.keys.order;
        has == width
            || has > width
                && (self.keys.ordered_at.is_some_and(|at| behind(at) && (self.is_time)(record.field(at)))
                    || behind(self.keys.customer)
                        && self.by_customer.contains_key(record.field(self.keys.customer)))
    }

    fn known(&self, record: &Record, number: &str) -> Option<usize> {
        let shop = self.shop(record);
        // A row that goes on leaves the shop out as well.
        let latest = self.latest.filter(|latest| self.owners[*latest].number == number);
        if shop.is_empty() && self.keys.shop.is_some() && latest.is_some() {
            return latest;
        }
        self.by_name.get(&(shop.to_owned(), number.to_owned())).copied()
    }

    fn introduce(&mut self, record: &Record, number: String) -> Of {
        let order = self.owners.len();
        self.by_name.insert((self.shop(record).to_owned(), number.clone()), order);
        self.by_number.entry(number.clone()).or_default().push(order);
        self.owners.push(Owner { number, customers: Vec::new(), times: Vec::new(), disputed: None });
        Of::New(order)
    }

    fn shop<'a>(&self, record: &'a Record) -> &'a str {
        self.keys.shop.map_or("", |place| record.field(place))
    }

    fn time<'a>(&self, record: &'a Record) -> &'a str {
        self.keys.ordered_at.map_or("", |place| record.field(place))
    }

    /// Whether a row tells neither who ordered nor when.
    fn says_nothing(&self, record: &Record) -> bool {
        record.field(self.keys.customer).is_empty() && self.time(record).is_empty()
    }

    /// How much a row lacks of what a line of an order cannot do without.
    fn blanks(&self, record: &Record) -> usize {
        self.keys.line.iter().filter(|place| record.field(**place).is_empty()).count()
    }

    fn go_to(&mut self, of: Of, record: &Record, broken: bool) {
        let (Of::Known(order) | Of::New(order)) = of;
        self.together &= matches!(of, Of::New(_)) || self.nearest == Some(order);
        (self.latest, self.nearest) = (Some(order), Some(order));
        for foundling in &mut self.foundlings[self.open_from..] {
            foundling.behind = Some(order);
        }
        self.open_from = self.foundlings.len();
        if !broken {
            self.note(order, record);
        }
    }

    /// Notes what a row says of its order.
    fn note(&mut self, order: usize, record: &Record) {
        let (customer, time) = (record.field(self.keys.customer), self.time(record));
        let owner = &mut self.owners[order];
        if !(time.is_empty() || owner.times.iter().any(|known| known == time)) {
            owner.times.push(time.to_owned());
        }
        if customer.is_empty() || owner.customers.iter().any(|known| known == customer) {
            return;
        }
        if !owner.customers.is_empty() {
            owner.disputed.get_or_insert(record.line);
        }
        owner.customers.push(customer.to_owned());
        self.by_customer.entry(customer.to_owned()).or_default().insert(order);
    }

    fn find(&mut self, record: &Record, reason: Reason, detail: String, broken: bool) {
        self.latest = None;
        self.foundlings.push(Foundling {
            line: record.line,
            number: bare(record.field(self.keys.order)),
            reason,
            detail,
            could_be_of: BTreeSet::new(),
            record: record.clone(),
            broken,
            before: self.nearest,
            behind: None,
        });
    }

    /// The orders that a row names, wherever its number may have moved to.
    fn named(&self, record: &Record) -> BTreeSet<usize> {
        let parts = self.moved(record, self.keys.order);
        let fields = &record.fields;
        let between = self.keys.delimiter.map(String::from).unwrap_or_default();
        let mut texts: Vec<String> = Vec::new();
        for from in parts.clone() {
            for to in from..=*parts.end() {
                let torn = fields.get(from..=to).unwrap_or_default();
                texts.push(bare(&torn.join(&between)));
            }
        }
        texts.iter().filter_map(|text| self.by_number.get(text)).flatten().copied().collect()
    }

    /// Where a field may be that belongs to this place.
    fn moved(&self, record: &Record, place: usize) -> RangeInclusive<usize> {
        let (has, width) = (record.fields.len(), self.keys.width);
        if has > width {
            place..=place + (has - width).min(EXCESS_MAX)
        } else {
            place.saturating_sub(width - has)..=place
        }
    }

    /// What is known of the rows that belong to nobody, and who waits for them.
    pub(crate) fn settle(mut self) -> Settled {
        let mut foundlings = std::mem::take(&mut self.foundlings);
        let mut waiting = BTreeMap::new();
        for foundling in &mut foundlings {
            foundling.could_be_of = self.candidates(foundling);
            for order in &foundling.could_be_of {
                let why = || (foundling.line, foundling.detail.clone());
                waiting.entry(*order).or_insert_with(why);
            }
            foundling.detail += &self.who_waits(&foundling.could_be_of);
        }
        for (order, owner) in self.owners.iter().enumerate() {
            let Some(line) = owner.disputed else { continue };
            let others =
                owner.customers.iter().filter_map(|customer| self.by_customer.get(customer)).flatten();
            for other in others.filter(|other| **other != order) {
                let why = || (line, format!("rows of '{}' name its customer and another one", owner.number));
                waiting.entry(*other).or_insert_with(why);
            }
        }
        let doubtful = if self.apart { std::mem::take(&mut self.went_on) } else { Vec::new() };
        if let Some((_, line)) = doubtful.first() {
            for order in 0..self.owners.len() {
                let why =
                    || (*line, "names no order, and rows of one order stand apart in this file".to_owned());
                waiting.entry(order).or_insert_with(why);
            }
        }
        Settled { foundlings, doubtful, waiting }
    }

    /// The orders that a row could belong to.
    fn candidates(&self, foundling: &Foundling) -> BTreeSet<usize> {
        let record = &foundling.record;
        let named = self.named(record);
        if !named.is_empty() {
            return named;
        }
        let begun = self.whose_number_is_cut(record);
        if !begun.is_empty() {
            return begun;
        }
        let places = self.moved(record, self.keys.customer);
        let customers: Vec<String> = places.map(|place| bare(record.field(place))).collect();
        let theirs: BTreeSet<usize> = customers
            .iter()
            .filter_map(|customer| self.by_customer.get(customer))
            .flatten()
            .copied()
            .collect();
        if !theirs.is_empty() || !foundling.broken && !customers.concat().is_empty() {
            return theirs;
        }
        let time = self.time(record);
        let then = |owner: &Owner| owner.times.iter().any(|known| known == time);
        let same_time: BTreeSet<usize> =
            (0..self.owners.len()).filter(|order| !time.is_empty() && then(&self.owners[*order])).collect();
        if !foundling.broken && !same_time.is_empty() {
            return same_time;
        }
        match (self.is_like_a_line(foundling), self.together) {
            (false, _) => BTreeSet::new(),
            (true, true) => foundling.before.into_iter().chain(foundling.behind).collect(),
            (true, false) => (0..self.owners.len()).collect(),
        }
    }

    /// The orders whose number the end of a row that is cut off begins.
    fn whose_number_is_cut(&self, record: &Record) -> BTreeSet<usize> {
        let begun = bare(record.field(self.keys.order));
        if record.fields.len() != self.keys.order + 1 || begun.is_empty() {
            return BTreeSet::new();
        }
        let owners = self.owners.iter().enumerate();
        owners.filter(|(_, owner)| owner.number.starts_with(&begun)).map(|(order, _)| order).collect()
    }

    /// Whether a row may be a line of an order at all, and not a word below the table.
    fn is_like_a_line(&self, foundling: &Foundling) -> bool {
        let record = &foundling.record;
        let filled = record.fields.iter().filter(|field| !field.trim().is_empty()).count();
        if !foundling.broken {
            return self.blanks(record) == 0;
        }
        filled >= FILLED_MIN
            || foundling.behind.is_some()
            || record.unended
            || (self.is_time)(self.time(record))
    }

    fn who_waits(&self, orders: &BTreeSet<usize>) -> String {
        let names: Vec<String> =
            orders.iter().take(NAMED_MAX).map(|order| format!("'{}'", self.owners[*order].number)).collect();
        match orders.len() {
            0 => String::new(),
            1 => format!("; order {} waits, since it may be a row of it", names[0]),
            few if few <= NAMED_MAX => {
                format!("; orders {} wait, since it may be a row of them", names.join(", "))
            }
            many => format!(
                "; orders {} and {} more wait, since it may be a row of them",
                names.join(", "),
                many - NAMED_MAX
            ),
        }
    }
}

/// A field without what may have gone astray at its ends or cannot be seen.
fn bare(field: &str) -> String {
    let seen: String = field.chars().filter(|c| !(c.is_control() || text::is_invisible(*c))).collect();
    composed(seen.trim_matches(['"', ' '])).into_owned()
}
