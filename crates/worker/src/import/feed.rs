//! Sends a sheet to the service: products first, then orders and cancellations in the order of the file, many at a time.
//! A cancellation waits for the answer about the orders that it means, and for nothing else.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use domain::LINES_MAX;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::SetOnce;
use uuid::Uuid;

use super::order_body::OrderBody;
use super::plan::{Plan, Shelf, Unknown, plan};
use super::rehearsal;
use super::service::Service;
use super::sheet::{CancelledElsewhere, part_of};
use super::tally::{LeftOut, Omission};
use super::{
    Cancelled, CatalogueProduct, Gauge, Invoice, InvoiceKind, LineVerdict, Mapping, OrderAnswer, Outcome,
    Part, Reason, Refusal, Rejected, Sheet, TakeBack, TakenBack, Tally, take_backs,
};

/// Who cancels in the name of a file.
const ACTOR: &str = "import";

/// A sheet on its way.
pub struct Feed<'a> {
    /// What is sent.
    pub sheet: &'a Sheet,
    /// What it is called here.
    pub mapping: &'a Mapping,
    /// Products that are known better than from the orders; may be empty.
    pub catalogue: &'a [CatalogueProduct],
    /// What becomes of products that nobody knows.
    pub unknown: Unknown,
    /// Units that each product starts with which is made from the orders.
    pub stock: i64,
    /// Whether anything is sent.
    pub performance: Performance,
    /// Where to.
    pub client: &'a dyn Service,
    /// Requests under way at once.
    pub at_once_max: usize,
}

/// Whether anything is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Performance {
    /// It is.
    Real,
    /// Nothing is: only what would become of each row is found out.
    Rehearsal,
}

/// What became of a sheet.
#[derive(Debug, Default)]
pub struct Done {
    /// Counts.
    pub tally: Tally,
    /// Rows that became nothing.
    pub rejected: Vec<Rejected>,
    /// Rows that are left out because the mapping says so.
    pub left_out: Vec<LeftOut>,
    /// Rows that take something back.
    pub taken_back: Vec<TakenBack>,
    /// Each order that was sent, or would be.
    pub orders: Vec<OrderSaid>,
    /// What people should know of the file and the import.
    pub notes: Vec<String>,
}

/// What became of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderSaid {
    /// The other system's name for it.
    pub number: String,
    /// The line of the file in which it begins.
    pub line: u64,
    /// The order here, or the first part of it.
    pub order_id: Option<Uuid>,
    /// What became of it.
    pub outcome: OrderOutcome,
}

/// What may become of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderOutcome {
    /// It is new.
    New,
    /// It was there before.
    Replayed,
    /// The service would not have it.
    Refused(Reason, String),
}

/// What the service said about one invoice.
enum Said {
    Order(usize, Answered, Option<Uuid>),
    Cancellation(usize, BTreeMap<usize, (Outcome, String)>),
}

/// What became of all parts of an order.
enum Answered {
    New,
    Replayed,
    Refused(Refusal),
    /// A part was refused although nothing spoke against it before; what became of the parts that were taken, in words.
    Torn(Refusal, String),
}

/// The ids that an order got, for whoever wants to cancel it; none if it was refused.
type Ids = SetOnce<Vec<Uuid>>;

impl Feed<'_> {
    /// Sends everything; in a rehearsal nothing.
    ///
    /// # Errors
    /// If the service cannot be reached, or would not have the products. What was sent stays; sending again goes on.
    pub async fn run(&self, gauge: &Gauge) -> Result<Done> {
        let shelf = Shelf::read(self.client, self.sheet, self.catalogue).await?;
        let plan = plan(self.sheet, self.mapping, self.catalogue, &shelf, self.unknown, self.stock);
        let mut done = self.begin(&plan);
        match self.performance {
            Performance::Rehearsal => self.rehearse(&plan, &shelf, &mut done).await?,
            Performance::Real => self.perform(&plan, &shelf, gauge, &mut done).await?,
        }
        done.tally.assert_complete();
        Ok(done)
    }

    /// What is known before anything is sent.
    fn begin(&self, plan: &Plan<'_>) -> Done {
        let sheet = self.sheet;
        let mut tally =
            Tally { rows: sheet.rows, orders_held_back: sheet.orders_held_back, ..Tally::default() };
        tally.orders_held_back += plan.waiting.len() as u64;
        tally.products = plan.skus.len() as u64;
        let mut done = Done {
            tally,
            rejected: sheet.rejected.clone(),
            left_out: sheet.left_out.clone(),
            taken_back: Vec::new(),
            orders: Vec::new(),
            notes: sheet.notes.iter().chain(&plan.notes).cloned().collect(),
        };
        done.rejected.extend(plan.waiting.values().flatten().cloned());
        for rejected in &done.rejected {
            *done.tally.rows_rejected.entry(rejected.reason).or_default() += 1;
        }
        for left_out in &done.left_out {
            *done.tally.rows_left_out.entry(left_out.why).or_default() += 1;
        }
        done
    }

    async fn perform(&self, plan: &Plan<'_>, shelf: &Shelf, gauge: &Gauge, done: &mut Done) -> Result<()> {
        let import = format!("import {}", self.mapping.name);
        done.tally.products_new = self.client.make_products(&import, &plan.products).await?;
        let take_backs = take_backs(self.sheet);
        let ids: Vec<Ids> = self.sheet.invoices.iter().map(|_| SetOnce::new()).collect();
        for position in plan.waiting.keys() {
            ids[*position].set(Vec::new()).expect("each order is decided about once");
        }
        let (ids, take_backs) = (&ids, &take_backs);
        let sent = self
            .sheet
            .invoices
            .iter()
            .enumerate()
            .filter(|(position, _)| !plan.waiting.contains_key(position));
        let sending = stream::iter(sent)
            .map(|(position, invoice)| async move {
                match take_backs.get(&position) {
                    None => self.order(position, invoice, (plan, shelf), ids).await,
                    Some(take_back) => self.cancellation(position, invoice, take_back, ids).await,
                }
            })
            .buffer_unordered(self.at_once_max.max(1));
        let mut sending = std::pin::pin!(sending);
        while let Some(said) = sending.try_next().await? {
            self.note(said, take_backs, done);
            gauge.advance(1);
        }
        self.cancel_what_was_cancelled(done).await
    }

    /// Says what would be done.
    async fn rehearse(&self, plan: &Plan<'_>, shelf: &Shelf, done: &mut Done) -> Result<()> {
        done.tally.products_new = plan.products.len() as u64;
        let take_backs = take_backs(self.sheet);
        let mut came_about: HashMap<usize, Vec<Uuid>> = HashMap::new();
        for (position, invoice) in self.sheet.invoices.iter().enumerate() {
            match take_backs.get(&position) {
                None if plan.waiting.contains_key(&position) => {}
                None => {
                    let (answered, ids) = self.rehearse_order(invoice, plan, shelf).await?;
                    if matches!(answered, Answered::New | Answered::Replayed) {
                        came_about.insert(position, ids.clone());
                    }
                    self.note_order(invoice, &answered, ids.first().copied(), done);
                }
                Some(take_back) => {
                    let mut outcomes = BTreeMap::new();
                    for order in &take_back.orders {
                        outcomes.insert(*order, self.rehearse_cancelling(came_about.get(order)).await?);
                    }
                    self.note(Said::Cancellation(position, outcomes), &take_backs, done);
                }
            }
        }
        self.cancel_what_was_cancelled(done).await
    }

    /// What would become of an order, and those of its parts that are here. All parts are looked at: an order is taken whole or
    /// not at all.
    async fn rehearse_order(
        &self,
        invoice: &Invoice,
        plan: &Plan<'_>,
        shelf: &Shelf,
    ) -> Result<(Answered, Vec<Uuid>)> {
        let (mut here, mut first, mut missing, mut refusal) = (Vec::new(), None, false, None);
        for (index, part) in invoice.parts().enumerate() {
            let body = OrderBody::of(&plan.skus, invoice, &part);
            let found = self.client.find_order(&part.reference).await?;
            let objection = match found {
                Some(id) => rehearsal::differs(&body, &self.client.order(id).await?),
                None => rehearsal::refused(&body, |sku| shelf.is_discontinued(sku)),
            };
            refusal = refusal.or(objection);
            missing |= found.is_none();
            first = if index == 0 { found } else { first };
            here.extend(found);
        }
        if refusal.is_none()
            && let Some(next) = invoice.next_part()
            && self.client.find_order(&next).await?.is_some()
        {
            refusal = Some(rehearsal::of_other_length("fewer"));
        }
        // The first part is sent last. If it is here, so are all others that were taken.
        if refusal.is_none() && first.is_some() && missing {
            refusal = Some(rehearsal::of_other_length("more"));
        }
        if let Some(refusal) = refusal.as_mut().filter(|_| first.is_none() && !here.is_empty()) {
            let parts: Vec<String> = here.iter().map(Uuid::to_string).collect();
            refusal.detail +=
                &format!("; an import that was interrupted has left parts of it here: {}", parts.join(", "));
        }
        let answered = match (refusal, missing) {
            (Some(refusal), _) => Answered::Refused(refusal),
            (None, true) => Answered::New,
            (None, false) => Answered::Replayed,
        };
        Ok((answered, here))
    }

    /// What would become of an order that is taken back: none, if it would not be taken; no ids, if it would be new.
    async fn rehearse_cancelling(&self, ids: Option<&Vec<Uuid>>) -> Result<(Outcome, String)> {
        let Some(ids) = ids else { return Ok(never_came_about()) };
        let mut outcome = (Outcome::Cancelled, "would be cancelled".to_owned());
        for id in ids {
            outcome = rehearsal::cancelled(*id, &self.client.order(*id).await?);
        }
        Ok(outcome)
    }

    async fn order(
        &self,
        position: usize,
        invoice: &Invoice,
        (plan, shelf): (&Plan<'_>, &Shelf),
        ids: &[Ids],
    ) -> Result<Said> {
        let parts: Vec<Part<'_>> = invoice.parts().collect();
        // One part alone is looked at by the service, unless it may be one of several to it.
        let (mut answered, mut got) = match parts.len() > 1 || invoice.next_part().is_some() {
            true => self.rehearse_order(invoice, plan, shelf).await?,
            false => (Answered::New, Vec::new()),
        };
        if matches!(answered, Answered::New) {
            (answered, got) = self.send(invoice, &parts, &plan.skus).await?;
        }
        let first = got.first().copied();
        if matches!(answered, Answered::Refused(_)) {
            got.clear();
        }
        ids[position].set(got).expect("each order is sent once");
        Ok(Said::Order(position, answered, first))
    }

    /// Sends all parts of an order, the first one last: where that is here, the order is complete.
    async fn send(
        &self,
        invoice: &Invoice,
        parts: &[Part<'_>],
        skus: &[String],
    ) -> Result<(Answered, Vec<Uuid>)> {
        let (mut got, mut answered) = (Vec::new(), Answered::Replayed);
        for part in parts.iter().rev() {
            let (key, text) = OrderBody::of(skus, invoice, part).keyed()?;
            match self.client.create_order(&key, text).await? {
                OrderAnswer::New(id) => {
                    got.insert(0, id);
                    answered = Answered::New;
                }
                OrderAnswer::Replayed(id) => got.insert(0, id),
                OrderAnswer::Refused(refusal) if got.is_empty() => {
                    return Ok((Answered::Refused(refusal), got));
                }
                OrderAnswer::Refused(refusal) => {
                    let told = self.cancel_parts(&got).await?;
                    return Ok((Answered::Torn(refusal, told), got));
                }
            }
        }
        Ok((answered, got))
    }

    /// Cancels the parts of an order of which another part was refused; what becomes of them, in words.
    async fn cancel_parts(&self, parts: &[Uuid]) -> Result<String> {
        let mut told = Vec::new();
        for part in parts {
            told.push(self.cancel(*part, "another part of the order was refused").await?.1);
        }
        Ok(told.join("; "))
    }

    async fn cancellation(
        &self,
        position: usize,
        invoice: &Invoice,
        take_back: &TakeBack,
        ids: &[Ids],
    ) -> Result<Said> {
        let mut outcomes = BTreeMap::new();
        for order in &take_back.orders {
            let mut outcome = never_came_about();
            for id in ids[*order].wait().await {
                outcome = self.cancel(*id, &format!("taken back by {}", invoice.number)).await?;
            }
            outcomes.insert(*order, outcome);
        }
        Ok(Said::Cancellation(position, outcomes))
    }

    async fn cancel(&self, id: Uuid, note: &str) -> Result<(Outcome, String)> {
        Ok(match self.client.cancel_order(id, ACTOR, note).await? {
            Cancelled::Accepted => (Outcome::Cancelled, format!("order {id} is being cancelled")),
            Cancelled::Already => (Outcome::AlreadyCancelled, format!("order {id} was cancelled before")),
            Cancelled::Refused(Refusal { detail, .. }) => (
                Outcome::TooLate,
                format!("too late: order {id} has left the house, this would be a return ({detail})"),
            ),
        })
    }

    /// Orders that are cancelled where they come from, and were taken in before.
    async fn cancel_what_was_cancelled(&self, done: &mut Done) -> Result<()> {
        let looking = stream::iter(&self.sheet.cancelled)
            .map(|order| async move { anyhow::Ok((order, self.cancel_or_rehearse(order).await?)) })
            .buffered(self.at_once_max.max(1));
        let mut looking = std::pin::pin!(looking);
        while let Some((order, outcome)) = looking.try_next().await? {
            note_cancelled(order, outcome, done);
        }
        Ok(())
    }

    /// Cancels all parts of an order that are here, or says what would become of it; nothing, if it never came in. Of several
    /// parts the one counts that cannot be cancelled.
    async fn cancel_or_rehearse(&self, order: &CancelledElsewhere) -> Result<Option<(Outcome, String)>> {
        let mut outcome: Option<(Outcome, String)> = None;
        for id in self.parts_here(order).await? {
            let next = match self.performance {
                Performance::Real => self.cancel(id, "cancelled where it comes from").await?,
                Performance::Rehearsal => rehearsal::cancelled(id, &self.client.order(id).await?),
            };
            let counts = outcome
                .as_ref()
                .is_none_or(|(known, _)| next.0 == Outcome::TooLate || *known == Outcome::AlreadyCancelled);
            if counts {
                outcome = Some(next);
            }
        }
        Ok(outcome)
    }

    /// The orders here that an order of the file became: as many parts as its rows make, and more if there are.
    async fn parts_here(&self, order: &CancelledElsewhere) -> Result<Vec<Uuid>> {
        let least = order.lines.len().div_ceil(LINES_MAX);
        let mut parts = Vec::new();
        for part in 1.. {
            match self.client.find_order(&part_of(&order.reference, part)).await? {
                Some(id) => parts.push(id),
                None if part > least => break,
                None => {}
            }
        }
        Ok(parts)
    }

    fn note(&self, said: Said, take_backs: &HashMap<usize, TakeBack>, done: &mut Done) {
        match said {
            Said::Order(position, answered, id) => {
                self.note_order(&self.sheet.invoices[position], &answered, id, done);
            }
            Said::Cancellation(position, outcomes) => {
                let cancelled =
                    outcomes.values().filter(|(outcome, _)| *outcome == Outcome::Cancelled).count();
                done.tally.orders_cancelled += cancelled as u64;
                let verdicts = take_backs.get(&position).map_or(&[][..], |take_back| &take_back.lines);
                note_cancellation(&self.sheet.invoices[position], verdicts, &outcomes, done);
            }
        }
    }

    fn note_order(&self, invoice: &Invoice, answered: &Answered, order_id: Option<Uuid>, done: &mut Done) {
        debug_assert_eq!(invoice.kind, InvoiceKind::Order);
        let rows = invoice.lines.len() as u64;
        let outcome = match answered {
            Answered::New => {
                done.tally.orders_new += 1;
                done.tally.rows_imported += rows;
                OrderOutcome::New
            }
            Answered::Replayed => {
                done.tally.orders_replayed += 1;
                done.tally.rows_replayed += rows;
                OrderOutcome::Replayed
            }
            Answered::Refused(_) | Answered::Torn(..) => {
                let (reason, detail) = refused_in_words(answered);
                done.tally.orders_refused += 1;
                done.tally.orders_torn += u64::from(matches!(answered, Answered::Torn(..)));
                *done.tally.rows_rejected.entry(reason).or_default() += rows;
                done.rejected.extend(invoice.lines.iter().map(|line| Rejected {
                    line: line.line,
                    order: invoice.number.clone(),
                    reason,
                    detail: detail.clone(),
                }));
                OrderOutcome::Refused(reason, detail)
            }
        };
        let (number, line) = (invoice.number.clone(), invoice.lines.first().map_or(0, |line| line.line));
        done.orders.push(OrderSaid { number, line, order_id, outcome });
    }
}

fn never_came_about() -> (Outcome, String) {
    (Outcome::AlreadyCancelled, "the order was not taken and never came about".to_owned())
}

fn refused_in_words(answered: &Answered) -> (Reason, String) {
    match answered {
        Answered::Refused(refusal) => in_the_importers_words(refusal),
        Answered::Torn(refusal, parts) => {
            let (reason, detail) = in_the_importers_words(refusal);
            (reason, format!("{detail}; other parts of it had been taken: {parts}"))
        }
        Answered::New | Answered::Replayed => (Reason::RefusedByService, String::new()),
    }
}

/// An importer has orders and no keys.
fn in_the_importers_words(Refusal { code, detail }: &Refusal) -> (Reason, String) {
    match code.as_str() {
        "external_reference_reused" | "idempotency_key_reused" => {
            let what =
                detail.strip_prefix("this external_reference belongs to an order with ").unwrap_or(detail);
            let what = what.replace("differs: ", "");
            let told = format!(
                "the order was imported before and is another now: {what}; what is here stays as it is"
            );
            (Reason::ChangedSinceImport, told)
        }
        _ => (Reason::RefusedByService, format!("{code}: {detail}")),
    }
}

fn note_cancelled(order: &CancelledElsewhere, outcome: Option<(Outcome, String)>, done: &mut Done) {
    let number = || order.number.clone();
    let rows = order.lines.len() as u64;
    match outcome {
        None => {
            let detail = "was cancelled where it comes from, and never taken in";
            *done.tally.rows_left_out.entry(Omission::CancelledElsewhere).or_default() += rows;
            done.left_out.extend(order.lines.iter().map(|line| LeftOut {
                line: *line,
                order: number(),
                why: Omission::CancelledElsewhere,
                detail: detail.to_owned(),
            }));
        }
        Some((outcome, detail)) => {
            done.tally.orders_cancelled += u64::from(outcome == Outcome::Cancelled);
            *done.tally.rows_cancelling.entry(outcome).or_default() += rows;
            done.taken_back.extend(order.lines.iter().map(|line| TakenBack {
                line: *line,
                order: number(),
                outcome,
                detail: detail.clone(),
            }));
        }
    }
}

fn note_cancellation(
    invoice: &Invoice,
    verdicts: &[LineVerdict],
    outcomes: &BTreeMap<usize, (Outcome, String)>,
    done: &mut Done,
) {
    for (line, verdict) in invoice.lines.iter().zip(verdicts) {
        let (outcome, detail) = match verdict {
            LineVerdict::With(order) => {
                outcomes.get(order).cloned().expect("every order of a verdict was cancelled")
            }
            LineVerdict::Settled(outcome) => (*outcome, in_words(*outcome).to_owned()),
        };
        *done.tally.rows_cancelling.entry(outcome).or_default() += 1;
        done.taken_back.push(TakenBack { line: line.line, order: invoice.number.clone(), outcome, detail });
    }
}

const fn in_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Cancelled => "the whole order was cancelled",
        Outcome::AlreadyCancelled => "the whole order was cancelled before",
        Outcome::TooLate => "too late: the order has left the house, this would be a return",
        Outcome::Partial => "takes back a part of an order, which would be a return",
        Outcome::NoSuchOrder => "the customer has ordered nothing of the kind before",
        Outcome::UnknownCustomer => "names no customer, so that nobody knows whose order it means",
        Outcome::NotAProduct => "takes back no product",
    }
}

#[cfg(test)]
mod tests;
