//! One order while its rows come in, and what becomes of it when all are in.

use application::order_details::{MoneyLineView, OrderDetails};
use domain::CustomerId;

use super::super::Mapping;
use super::super::mapping::{Charge, Custom, Meaning, Per, RepeatedRows, says_something};
use super::super::reference::reference;
use super::super::sheet::{CancelledElsewhere, Invoice, InvoiceKind, InvoiceLine, Item, Named, Sheet};
use super::super::table::{Places, Record, Word};
use super::super::tally::{LeftOut, Reason, Rejected};
use super::details::order_details;
use super::line::Line;
use super::sums::{Sums, money_lines};
use super::{Candidate, Objection, omission};

/// What is said of rows that stand there twice.
const UNTOLD: &str = "and neither an id of the line nor a total of the order tells whether both are meant: say repeated_rows = \
                      \"take\", \"once\" or \"hold_back\" in the mapping, or name its column of ids, line_id under [columns]";

/// An order under construction. What its rows say of it is empty until one says it.
pub(super) struct Draft {
    pub(super) number: String,
    pub(super) shop: Option<String>,
    pub(super) kind: InvoiceKind,
    first_line: u64,
    customer: String,
    ordered_at: String,
    pub(super) currency: String,
    meanings: Vec<Option<(Meaning, String)>>,
    pub(super) sums: Sums,
    /// What it says in each column of details.
    details: Vec<String>,
    /// What it costs beside the goods.
    money_lines: Vec<MoneyLineView>,
    pub(super) lines: Vec<Line>,
    pub(super) faults: Vec<Rejected>,
    pub(super) left_out: Vec<LeftOut>,
    /// A row that may be missing here: its line, and what is wrong with it.
    pub(super) waits: Option<(u64, String)>,
    /// A row that says what another one says: its line, and the line of the other.
    pub(super) repeated: Option<(u64, u64)>,
}

impl Draft {
    pub(super) fn new(
        number: String,
        shop: Option<String>,
        kind: InvoiceKind,
        first_line: u64,
        statuses: usize,
    ) -> Self {
        Self {
            number,
            shop,
            kind,
            first_line,
            customer: String::new(),
            ordered_at: String::new(),
            currency: String::new(),
            meanings: vec![None; statuses],
            sums: Sums::default(),
            details: Vec::new(),
            money_lines: Vec::new(),
            lines: Vec::new(),
            faults: Vec::new(),
            left_out: Vec::new(),
            waits: None,
            repeated: None,
        }
    }

    /// Notes what a row says of the order. An empty field says nothing. Times may differ: the first one counts.
    pub(super) fn note(&mut self, record: &Record, places: &Places, mapping: &Mapping) -> Vec<Objection> {
        let mut objections = Vec::new();
        let mut disagree = |what: &str, slot: &mut String, field: &str| {
            if slot.is_empty() {
                field.clone_into(slot);
            } else if !field.is_empty() && slot != field {
                let detail = format!("the order's {what} is '{field}' here and '{slot}' in the rows before");
                objections.push(Objection(Reason::RowsDisagree, detail));
            }
        };
        disagree("customer", &mut self.customer, record.field(places.customer));
        if let Some(place) = places.currency {
            disagree("currency", &mut self.currency, record.field(place));
        }
        self.details.resize(places.details.len(), String::new());
        for ((_, word), slot) in places.details.iter().zip(&mut self.details) {
            disagree(&format!("'{}'", word.heading), slot, record.field(word.place));
        }
        let charges = &mapping.charges;
        for (what, place, charge, slot) in [
            ("discount", places.discount, &charges.discount, &mut self.sums.discount),
            ("shipping", places.shipping, &charges.shipping, &mut self.sums.shipping),
            ("tax", places.tax, &charges.tax, &mut self.sums.tax),
            ("total", places.total, &charges.total, &mut self.sums.total),
        ] {
            let Some(field) = place.map(|place| record.field(place)).filter(|field| !field.is_empty()) else {
                continue;
            };
            match charge.as_ref().map_or(Per::Order, |charge: &Charge| charge.per) {
                Per::Line => slot.push(field.to_owned()),
                Per::Order if slot.is_empty() => slot.push(field.to_owned()),
                Per::Order => disagree(what, &mut slot[0], field),
            }
        }
        for word in &places.unnamed_discounts {
            self.sums.note_unnamed(&word.heading, record.field(word.place));
        }
        if self.ordered_at.is_empty() {
            record.field(places.ordered_at).clone_into(&mut self.ordered_at);
        }
        objections.extend(self.note_statuses(record, places));
        objections.extend(undone(record, places));
        objections
    }

    fn note_statuses(&mut self, record: &Record, places: &Places) -> Vec<Objection> {
        let mut objections = Vec::new();
        for (status, known) in places.statuses.iter().zip(&mut self.meanings) {
            let word = record.field(status.place);
            if word.is_empty() {
                continue;
            }
            match (status.column.meaning(word), &known) {
                (Err(why), _) => objections.push(Objection(Reason::UnknownStatus, why)),
                (Ok(meaning), None) => *known = Some((meaning, word.to_owned())),
                (Ok(meaning), Some((before, _))) if meaning == *before => {}
                (Ok(_), Some((_, before))) => {
                    let heading = &status.column.column;
                    let detail = format!("'{heading}' is '{word}' here and '{before}' in the rows before");
                    objections.push(Objection(Reason::RowsDisagree, detail));
                }
            }
        }
        objections
    }

    /// What is to be done with it, and the words that say so.
    fn meaning(&self, places: &Places) -> (Meaning, String) {
        let columns = places.statuses.iter().zip(&self.meanings);
        let said = columns.map(|(status, known)| {
            let blank = || (status.column.meaning("").unwrap_or(Meaning::Take), String::new());
            let (meaning, word) = known.clone().unwrap_or_else(blank);
            (meaning, format!("'{}' is '{word}'", status.column.column))
        });
        said.max_by_key(|(meaning, _)| *meaning).unwrap_or((Meaning::Take, String::new()))
    }

    /// Objects to a row that seemed right.
    pub(super) fn object(&mut self, line: u64, Objection(reason, detail): Objection) {
        self.lines.retain(|known| known.line != line);
        self.left_out.retain(|known| known.line != line);
        match self.faults.iter_mut().find(|fault| fault.line == line) {
            Some(fault) => fault.detail = format!("{}; {detail}", fault.detail),
            None => self.faults.push(Rejected { line, order: self.number.clone(), reason, detail }),
        }
    }

    /// Whether it is sure what is to become of it as a whole, whatever is wrong with a line.
    fn is_clear(&self) -> bool {
        let unclear = |fault: &Rejected| {
            matches!(fault.reason, Reason::Unreadable | Reason::RowsDisagree | Reason::UnknownStatus)
        };
        self.waits.is_none() && !self.faults.iter().any(unclear)
    }

    /// Whether all of it was shipped, and nothing is wrong with it.
    fn has_left_the_house(&self) -> bool {
        let whole = self.faults.is_empty() && self.waits.is_none() && !self.lines.is_empty();
        whole && self.lines.iter().all(|line| line.shipped)
    }

    fn rows(&self) -> Vec<u64> {
        let lines = self.lines.iter().map(|line| line.line);
        let faults = self.faults.iter().map(|fault| fault.line);
        let left_out = self.left_out.iter().map(|left| left.line);
        let mut rows: Vec<u64> = lines.chain(faults).chain(left_out).collect();
        rows.sort_unstable();
        rows
    }
}

/// What a row says of refunds and cancellations: an order that was undone in part would be charged and sent whole.
fn undone(record: &Record, places: &Places) -> Vec<Objection> {
    let said = places.undone.iter().map(|word| (word, record.field(word.place)));
    let said = said.filter(|(_, field)| says_something(field));
    let objection = |(word, field): (&Word, &str)| {
        let detail = format!(
            "'{}' is '{field}': a part of the order was refunded or cancelled where it comes from, and all of it would be \
             charged and sent; take it in by hand",
            word.heading
        );
        Objection(Reason::PartlyDone, detail)
    };
    said.map(objection).collect()
}

/// Decides what becomes of orders whose rows are all in.
pub(super) struct Settling<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) places: &'a Places,
    pub(super) custom: Custom,
    /// What orders of the file are in that say so, if it is not what the mapping takes for granted.
    pub(super) other_currency: Option<&'a str>,
    pub(super) candidates: &'a mut Vec<Candidate>,
    pub(super) sheet: &'a mut Sheet,
}

impl Settling<'_> {
    pub(super) fn settle(mut self, mut draft: Draft) {
        match draft.kind {
            InvoiceKind::Cancellation => {
                self.hold_back(&mut draft);
                self.sheet.rejected.append(&mut draft.faults);
                if let Some(invoice) = self.invoice(&mut draft) {
                    self.sheet.invoices.push(invoice);
                }
                self.sheet.rejected.append(&mut draft.faults);
                self.sheet.left_out.append(&mut draft.left_out);
            }
            InvoiceKind::Order => {
                let (meaning, words) = draft.meaning(self.places);
                match omission(meaning) {
                    Some(_) if draft.is_clear() => self.leave_out(&draft, meaning, &words),
                    None if draft.has_left_the_house() => {
                        self.leave_out(&draft, Meaning::AlreadyShipped, "all its units were shipped");
                    }
                    Some(_) | None => self.settle_order(draft),
                }
            }
        }
    }

    fn leave_out(self, draft: &Draft, meaning: Meaning, words: &str) {
        let reference = reference(&self.mapping.name, draft.shop.as_deref(), &draft.number);
        if let (Meaning::Cancel, Ok(reference)) = (meaning, reference) {
            let number = draft.number.clone();
            self.sheet.cancelled.push(CancelledElsewhere { number, reference, lines: draft.rows() });
            return;
        }
        let Some(why) = omission(meaning) else { return };
        let row = |line| LeftOut { line, order: draft.number.clone(), why, detail: words.to_owned() };
        self.sheet.left_out.extend(draft.rows().into_iter().map(row));
    }

    /// Objects to lines that were shipped, where others of the order were not: that is for a person to judge.
    fn check_shipped(draft: &mut Draft) {
        let shipped: Vec<u64> =
            draft.lines.iter().filter(|line| line.shipped).map(|line| line.line).collect();
        for line in shipped {
            let detail = "was shipped already, and not all of its order was".to_owned();
            draft.object(line, Objection(Reason::PartlyDone, detail));
        }
    }

    /// Objects to a row that stands there twice, if the mapping wants that, or names an id or a total that does not tell here
    /// whether both are meant. If it names neither, both are taken, and people are told.
    fn check_repeated(&mut self, draft: &mut Draft) {
        let total = self.mapping.charges.total.as_ref().filter(|total| total.per == Per::Order);
        let told = total.is_some() && !draft.sums.total.is_empty();
        let Some((line, first)) = draft.repeated.filter(|_| !told) else { return };
        let could_tell = self.mapping.columns.line_id.is_some() || self.mapping.charges.total.is_some();
        let otherwise = could_tell.then_some(RepeatedRows::HoldBack);
        match self.mapping.repeated_rows.or(otherwise) {
            Some(RepeatedRows::Take | RepeatedRows::Once) => {}
            Some(RepeatedRows::HoldBack) => {
                let detail = format!("the same row stands in line {first}, {UNTOLD}");
                draft.object(line, Objection(Reason::RepeatedRow, detail));
            }
            None => {
                if !self.sheet.notes.iter().any(|note| note.contains(UNTOLD)) {
                    let note =
                        format!("line {line} is the same row as line {first}, {UNTOLD}; both are taken");
                    self.sheet.notes.push(note);
                }
            }
        }
    }

    fn settle_order(&mut self, mut draft: Draft) {
        if !draft.lines.is_empty() || !draft.faults.is_empty() {
            match money_lines(&draft.lines, &draft.sums, self.mapping, self.custom) {
                Ok(money_lines) => draft.money_lines = money_lines,
                Err((line, objection)) => draft.object(line.unwrap_or(draft.first_line), objection),
            }
            self.check_repeated(&mut draft);
            Self::check_shipped(&mut draft);
            if let Some(other) = self.other_currency.filter(|_| draft.currency.is_empty()) {
                let detail = format!(
                    "no row says the order's currency, and other orders of the file are in {other}, not in {}",
                    self.mapping.currency
                );
                draft.object(draft.first_line, Objection(Reason::InvalidPrice, detail));
            }
            if let Some(invoice) = self.invoice(&mut draft).filter(|_| draft.waits.is_none()) {
                self.sheet.invoices.push(invoice);
            }
        }
        if !draft.faults.is_empty() || draft.waits.is_some() && !draft.lines.is_empty() {
            self.hold_back(&mut draft);
            self.sheet.orders_held_back += 1;
        }
        self.sheet.rejected.append(&mut draft.faults);
        self.sheet.left_out.append(&mut draft.left_out);
    }

    /// Its good rows wait for the first bad one, or for one that may be missing.
    fn hold_back(&mut self, draft: &mut Draft) {
        let bad = draft.faults.iter().map(|fault| (fault.line, fault.detail.clone()));
        let bad = bad.filter(|_| draft.kind == InvoiceKind::Order).chain(draft.waits.clone());
        let Some((line, why)) = bad.min_by_key(|(line, _)| *line) else { return };
        let detail = format!("its order waits for line {line} to be mended: {why}");
        let held = |line: Line| Rejected {
            line: line.line,
            order: draft.number.clone(),
            reason: Reason::HeldBack,
            detail: detail.clone(),
        };
        self.sheet.rejected.extend(std::mem::take(&mut draft.lines).into_iter().map(held));
    }

    /// The order, if nothing is wrong with it; otherwise its faults are complete.
    fn invoice(&mut self, draft: &mut Draft) -> Option<Invoice> {
        let reference = reference(&self.mapping.name, draft.shop.as_deref(), &draft.number);
        let ordered_at = self.mapping.time(&draft.ordered_at);
        let customer = self.mapping.customer(&draft.customer).to_owned();
        let said = self.places.details.iter().map(|(detail, _)| *detail);
        let details = order_details(said.zip(draft.details.iter().map(String::as_str)), self.mapping);
        let mut objections = Vec::new();
        if let Err(why) = &details {
            objections.push(Objection(Reason::InvalidDetails, why.clone()));
        }
        if let Err(why) = &reference {
            objections.push(Objection(Reason::InvalidOrder, why.clone()));
        }
        if let Err(error) = &ordered_at {
            objections.push(Objection(Reason::InvalidTime, format!("time '{}' {error:#}", draft.ordered_at)));
        }
        if let Err(error) = CustomerId::parse(&customer) {
            objections.push(Objection(Reason::InvalidCustomer, format!("customer '{customer}' {error}")));
        }
        for objection in objections {
            match draft.kind {
                InvoiceKind::Order => draft.object(draft.first_line, objection),
                // Each row of a cancellation stands for itself.
                InvoiceKind::Cancellation => {
                    let Objection(reason, detail) = objection;
                    for line in std::mem::take(&mut draft.lines) {
                        let (order, detail) = (draft.number.clone(), detail.clone());
                        draft.faults.push(Rejected { line: line.line, order, reason, detail });
                    }
                }
            }
        }
        let whole = draft.faults.is_empty() || draft.kind == InvoiceKind::Cancellation;
        let (Ok(reference), Ok(ordered_at), Ok(details), Some(first), true) =
            (reference, ordered_at, details, draft.lines.first(), whole)
        else {
            return None;
        };
        Some(Invoice {
            number: draft.number.clone(),
            reference,
            customer_named: if draft.customer.is_empty() { Named::No } else { Named::Yes },
            customer,
            ordered_at,
            kind: draft.kind,
            currency: first.currency.code().to_owned(),
            lines: draft.lines.iter().map(|line| self.line(line, draft.kind)).collect(),
            details: OrderDetails { money_lines: std::mem::take(&mut draft.money_lines), ..details },
        })
    }

    fn line(&mut self, line: &Line, kind: InvoiceKind) -> InvoiceLine {
        let candidate = line.candidate.map(|at| &mut self.candidates[at]);
        let item = match (candidate, kind) {
            (None, InvoiceKind::Order | InvoiceKind::Cancellation) => Item::NoProduct,
            (Some(candidate), InvoiceKind::Order) => {
                Item::Product(candidate.place(line.minor, line.currency, &mut self.sheet.products))
            }
            (Some(candidate), InvoiceKind::Cancellation) => {
                candidate.product.map_or(Item::NeverOrdered, Item::Product)
            }
        };
        InvoiceLine { line: line.line, item, units: line.units, price_minor: line.minor }
    }
}
