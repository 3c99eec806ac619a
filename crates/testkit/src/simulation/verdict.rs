//! The verdict on a run: the six invariants, by what the store says, and by what the providers know for a fact. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use application::commands::OrderAccepted;
use application::ports::{
    HistoryView, NewsKind, OrderFilter, OrderView, ProviderNews, Readers, SagaView, UnmatchedFilter, Which,
};
use bus::{DeadLetter, DeadLetterFilter, DeadLetters, Fault};
use domain::{Money, OrderId, Payment, Shipment};
use infrastructure::sqlite::SqliteStore;
use jiff::Timestamp;
use uuid::Uuid;

use super::carrier::Parcel;
use super::findings::Finding;
use super::gateway::Account;
use super::script::currency;

/// Orders and broken invariants looked at; no run has more.
const LOOKED_AT_MAX: usize = 10_000;

/// Everything that a verdict rests on.
pub(super) struct Evidence {
    pub(super) store: SqliteStore,
    pub(super) accepted: Vec<OrderAccepted>,
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) parcels: BTreeMap<String, Parcel>,
    /// Keys under which a charge or booking was let through at least once.
    pub(super) heard: BTreeSet<String>,
    /// Every event of a provider that the house has taken.
    pub(super) told: Vec<ProviderNews>,
    /// Messages that nobody could read, and which therefore must be among the dead letters; nothing else may.
    pub(super) rubbish: u64,
    /// Orders of another database that we were asked to charge for: each request is a dead letter at most.
    pub(super) strangers: BTreeSet<Uuid>,
    pub(super) now: Timestamp,
}

/// How the orders of a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endings {
    /// In the customer's hands.
    pub delivered: u64,
    /// Called off, and everything undone.
    pub cancelled: u64,
    /// Called off, with something settled by hand.
    pub waived: u64,
}

/// One order from both sides.
struct Case<'a> {
    order: &'a OrderView,
    saga: &'a SagaView,
    account: Option<&'a Account>,
    parcel: Option<Parcel>,
    /// What was asked back for cancelled lines: the keys, and minor units.
    back_for_lines: Vec<(String, i64)>,
}

impl Evidence {
    /// Everything that is wrong, how the orders ended, and the end of each in words, in the order of customers.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn judge(&self) -> Result<(Vec<Finding>, Endings, Vec<String>), Fault> {
        let mut findings = self.by_the_rows().await?;
        let orders = self.store.orders(&OrderFilter::default(), LOOKED_AT_MAX).await?.items;
        findings.extend(self.lost_or_made_up(&orders));
        findings.extend(self.charged_for_another_database());
        let (mut endings, mut ends) = (Endings::default(), Vec::new());
        for listed in &orders {
            let id = OrderId(listed.order_id);
            let (Some(order), Some(saga)) = (self.store.order(id).await?, self.store.saga(id).await?) else {
                findings.push(Finding::of(
                    1,
                    &format!("order {id}"),
                    "is listed, but has no order or no saga",
                ));
                continue;
            };
            let back = back_for_lines(&self.store.history(id).await?.unwrap_or_default());
            let case = self.case(&order, &saga, back);
            endings.count(&case);
            ends.push(case.end());
            findings.extend(case.faults());
            findings.extend(self.timed_out_unheard(id).await?);
        }
        findings.extend(self.without_a_place().await?);
        self.add_timelines(&mut findings).await?;
        ends.sort_unstable();
        Ok((findings, endings, ends))
    }

    async fn by_the_rows(&self) -> Result<Vec<Finding>, Fault> {
        let broken = self.store.broken_invariants(self.now, LOOKED_AT_MAX).await?;
        let mut findings: Vec<Finding> =
            broken.into_iter().map(|it| Finding::of(it.invariant, &it.subject, it.detail)).collect();
        let dead = self.store.list_dead_letters(&DeadLetterFilter::default(), LOOKED_AT_MAX).await?;
        let expected = |letter: &DeadLetter| {
            &*letter.envelope.body == super::stage::RUBBISH
                || self.strangers.contains(&letter.envelope.correlation_id.0)
        };
        let unexpected = dead.iter().filter(|letter| !expected(letter));
        findings.extend(unexpected.map(|letter| {
            let subject = format!("order {}", letter.envelope.correlation_id);
            Finding::of(1, &subject, format!("{} is a dead letter: {}", letter.envelope.kind, letter.reason))
        }));
        // A broker may bring one twice.
        let rubbish: BTreeSet<_> = dead
            .iter()
            .filter(|letter| &*letter.envelope.body == super::stage::RUBBISH)
            .map(|letter| letter.envelope.id)
            .collect();
        let rubbish = rubbish.len() as u64;
        if rubbish != self.rubbish {
            let detail = format!("{} unreadable messages were sent, {rubbish} were set aside", self.rubbish);
            findings.push(Finding::of(1, "the dead letters", detail));
        }
        Ok(findings)
    }

    /// Sixth invariant: what a provider told and the house has taken is in a history or in the list of the unmatched.
    async fn without_a_place(&self) -> Result<Vec<Finding>, Fault> {
        let all = UnmatchedFilter { which: Which::All, ..UnmatchedFilter::default() };
        let unmatched = self.store.unmatched(&all, LOOKED_AT_MAX).await?.items;
        let unmatched: BTreeSet<String> = unmatched.into_iter().map(|event| event.event_id).collect();
        let mut findings = Vec::new();
        for news in self.told.iter().filter(|news| !unmatched.contains(&news.event_id)) {
            let history = match news.reference.parse() {
                Ok(id) => self.store.history(id).await?.unwrap_or_default(),
                Err(_) => Vec::new(),
            };
            if !history.iter().any(|entry| tells(entry, news)) {
                let subject = format!("order {}", news.reference);
                findings.push(Finding::of(6, &subject, format!("nothing is known of {}", news.in_words())));
            }
        }
        Ok(findings)
    }

    fn lost_or_made_up(&self, orders: &[OrderView]) -> Vec<Finding> {
        let stored: BTreeSet<_> = orders.iter().map(|order| order.order_id).collect();
        let told: BTreeSet<_> = self.accepted.iter().map(|accepted| accepted.order_id.0).collect();
        let lost = told.difference(&stored).map(|id| (id, "was accepted, and is not there"));
        let made_up = stored.difference(&told).map(|id| (id, "is there, and nobody was told"));
        lost.chain(made_up).map(|(id, detail)| Finding::of(1, &format!("order {id}"), detail)).collect()
    }

    /// No provider is called without an order of this database.
    fn charged_for_another_database(&self) -> Vec<Finding> {
        let called = self.strangers.iter().filter(|id| self.heard.contains(&format!("pay-{id}")));
        called
            .map(|id| {
                Finding::of(4, &format!("order {id}"), "is another database's, and the gateway was called")
            })
            .collect()
    }

    fn case<'a>(
        &'a self,
        order: &'a OrderView,
        saga: &'a SagaView,
        back_for_lines: Vec<(String, i64)>,
    ) -> Case<'a> {
        let id = OrderId(order.order_id);
        let total = order.total.money().expect("a stored total has a known currency");
        let account = self.accounts.get(&Payment::request(id, total).key);
        let parcel = self.parcels.get(&Shipment::request(id).key).copied();
        Case { order, saga, account, parcel, back_for_lines }
    }

    /// A limit of a stage that ended an order whose provider never let a call through: it was away, and that ends no order.
    async fn timed_out_unheard(&self, id: OrderId) -> Result<Option<Finding>, Fault> {
        let history = self.store.history(id).await?.unwrap_or_default();
        let unheard = |event: &str, key: &str| {
            !self.heard.contains(key) && history.iter().any(|entry| entry.event == event)
        };
        let (pay, ship) = (format!("pay-{id}"), Shipment::request(id).key);
        // Nobody is called for an order that costs nothing.
        let is_free = history.iter().any(|entry| {
            entry.detail.as_ref().is_some_and(|detail| detail.ends_with("captured as free-of-charge"))
        });
        let ended = (!is_free && unheard("PaymentTimedOut", &pay)) || unheard("ShippingTimedOut", &ship);
        let detail = "ran out of time though its provider never let a call through";
        Ok(ended.then(|| Finding::of(1, &format!("order {id}"), detail)))
    }

    async fn add_timelines(&self, findings: &mut [Finding]) -> Result<(), Fault> {
        for finding in findings {
            let id = finding.subject.strip_prefix("order ").and_then(|id| id.parse().ok());
            if let Some(id) = id {
                let history = self.store.history(id).await?.unwrap_or_default();
                finding.timeline = history.iter().map(line).collect();
            }
        }
        Ok(())
    }
}

/// Whether an entry tells what the event told, be it in the words of a call of our own.
fn tells(entry: &HistoryView, news: &ProviderNews) -> bool {
    let detail = entry.detail.as_deref().unwrap_or_default();
    let said = match &news.kind {
        NewsKind::PaymentCaptured { reference, .. } => reference,
        NewsKind::PaymentDeclined { code } | NewsKind::PaymentLapsed { code } => code,
        NewsKind::ShipmentDelivered { tracking_number }
            if matches!(entry.event.as_str(), "OrderDelivered" | "ProviderEvent" | "TrackingCall") =>
        {
            tracking_number
        }
        NewsKind::ShipmentDelivered { .. }
        | NewsKind::PaymentRefunded { .. }
        | NewsKind::PaymentDisputed { .. }
        | NewsKind::ShipmentInTransit { .. }
        | NewsKind::ShipmentTroubled { .. }
        | NewsKind::Unknown { .. }
        | NewsKind::Malformed { .. } => &news.event_id,
    };
    detail.contains(&news.event_id) || detail.contains(said)
}

/// What the timeline says was asked back for cancelled lines: the keys, and minor units.
fn back_for_lines(history: &[HistoryView]) -> Vec<(String, i64)> {
    let asked = history.iter().filter(|entry| entry.event == "RefundRequested");
    let amount = |told: &str| {
        let (amount, why) = told.split_once(" asked back by ")?;
        let (number, _) = amount.split_once(' ').filter(|_| why.contains("lines were cancelled"))?;
        let (_, key) = why.trim_end_matches(')').rsplit_once('(')?;
        Some((key.to_owned(), Money::parse_major(number, currency()).ok()?.minor))
    };
    asked.filter_map(|entry| amount(entry.detail.as_deref()?)).collect()
}

fn line(entry: &HistoryView) -> String {
    let of = |part: &Option<String>| part.clone().unwrap_or_default();
    format!(
        "{} {:<20} {:<18} {:<18} {}",
        entry.at,
        entry.event,
        of(&entry.status),
        of(&entry.saga_state),
        of(&entry.detail)
    )
}

impl Case<'_> {
    fn faults(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut check = |invariant: u8, holds: bool, detail: String| {
            if !holds {
                findings.push(Finding::of(invariant, &format!("order {}", self.order.order_id), detail));
            }
        };
        let captures = self.account.map_or(0, |account| account.captures);
        check(4, captures <= 1, format!("was charged {captures} times"));
        let held = self.account.map_or(0, Account::held_minor);
        let noted =
            self.order.payment.as_ref().map_or((0, 0), |row| (row.captured_minor, row.refunded_minor));
        let known = self.account.map_or((0, 0), |account| (account.captured_minor, account.refunded_minor));
        let said = format!("its rows have {noted:?} taken and given back, the gateway has {known:?}");
        check(2, noted == known || self.is_waived(), said);
        match self.order.status.as_str() {
            "delivered" => {
                let total = self.order.total.minor;
                let by_hand = self.account.map_or(0, |account| account.by_hand_minor);
                let fewer: i64 = self.back_for_lines.iter().map(|(_, minor)| minor).sum();
                let is_back = |key: &str| self.account.is_some_and(|account| account.has_refund(key));
                for (key, minor) in self.back_for_lines.iter().filter(|_| held > 0) {
                    let said = format!("is delivered, and the {minor} of {key} never went back");
                    check(2, is_back(key), said);
                }
                let said = format!(
                    "is delivered for {total}, the gateway holds {held}, others gave back {by_hand}, {fewer} of it for lines"
                );
                let is_waived = held == 0 && self.saga.payment == "waived";
                check(2, held + by_hand == total + fewer || is_waived, said);
                let arrived = self.parcel == Some(Parcel::Delivered) || self.saga.shipment == "waived";
                check(5, arrived, format!("is delivered, and the carrier says {:?}", self.parcel));
            }
            "cancelled" => {
                let settled = self.saga.payment == "waived";
                check(2, held == 0 || settled, format!("is cancelled, and the gateway holds {held}"));
                let row = self.order.shipment.as_ref().map_or("none", |shipment| shipment.status.as_str());
                let tells_true = !matches!(row, "booked" | "shipped" | "delivered");
                let said = format!("is cancelled, its parcel is {:?}, and the row says {row}", self.parcel);
                check(5, tells_true || self.is_waived(), said);
                let gone = self.parcel.is_some_and(Parcel::is_under_way);
                let settled = self.saga.shipment == "waived";
                check(2, !gone || settled, format!("is cancelled, and its parcel is {:?}", self.parcel));
            }
            unfinished => {
                let state = &self.saga.state;
                check(
                    1,
                    false,
                    format!("is still {unfinished} after everything calmed down; its saga is {state}"),
                );
            }
        }
        findings
    }

    /// Where the order stands on every axis.
    fn end(&self) -> String {
        let (order, saga) = (self.order, self.saga);
        let money = order.payment.as_ref().map_or("none", |payment| payment.status.as_str());
        let parcel = order.shipment.as_ref().map_or("none", |shipment| shipment.status.as_str());
        let reason = order.cancel_reason.as_deref().unwrap_or("-");
        format!(
            "{}: {} {} {} {} {} {money} {parcel} {reason}",
            order.customer_id, order.status, saga.state, saga.stock, saga.payment, saga.shipment
        )
    }

    fn is_waived(&self) -> bool {
        self.saga.payment == "waived" || self.saga.shipment == "waived"
    }
}

impl Endings {
    fn count(&mut self, case: &Case<'_>) {
        match case.order.status.as_str() {
            "delivered" => self.delivered += 1,
            "cancelled" if case.is_waived() => self.waived += 1,
            "cancelled" => self.cancelled += 1,
            _ => {}
        }
    }
}
