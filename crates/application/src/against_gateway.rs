//! Holds our books against the gateway's, both ways: its charges against our payments, and our payments against its charges.
//! A page at a time, so that memory does not grow with the books. Whoever asks looks twice, with a pause between: what was only
//! on its way at the first look is no difference. Changes nothing on either side.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use bus::Fault;
use domain::{Money, OrderId, Payment, PaymentStatus};
use serde::Serialize;
use thiserror::Error;
use uuid::Uuid;

use crate::ports::{BookedPayment, GatewayBooks, ListedCharge, Listing, Readers, Unanswered};
use crate::saga::SagaState;

/// Pages without a charge, one after the other, after which a list counts as endless.
const EMPTY_PAGES_MAX: usize = 100;

/// Charges and payments looked at together. A page of the gateway's must fit into one of its answers.
const PAGE: usize = 100;
/// Orders remembered as met in the gateway's list, 16 bytes each. Those beyond are looked up one by one.
const MET_MAX: usize = 1_000_000;

/// Why the books could not be compared.
#[derive(Debug, Error)]
pub enum Incomparable {
    /// There is no list.
    #[error("the payment gateway cannot list its charges, so nothing was compared with it")]
    CannotList,
    /// It did not answer.
    #[error("the payment gateway did not answer, so the comparison is not complete: {0}")]
    Unanswered(#[from] Unanswered),
    /// The list goes round.
    #[error("the payment gateway's list does not get on: it names the same place twice, {0}")]
    Circle(String),
    /// The list has nothing more, and does not end.
    #[error("the payment gateway's list does not end: {0} pages without a charge came one after the other")]
    Empty(usize),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] Fault),
}

/// What is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// The gateway has charged what no order of ours has asked for.
    UnknownCharge,
    /// The gateway holds a second charge for one order.
    SecondCharge,
    /// The gateway was asked for another amount, or in another currency, than our books say.
    Amount,
    /// The gateway has taken another sum than our books say.
    Captured,
    /// The gateway has given back another sum than our books say.
    Refunded,
    /// Our books say that the gateway has taken money, and it does not know the charge.
    MissingCharge,
}

impl DifferenceKind {
    /// All of them, as they are written.
    pub const NAMES: &'static [&'static str] = &[
        Self::UnknownCharge.as_str(),
        Self::SecondCharge.as_str(),
        Self::Amount.as_str(),
        Self::Captured.as_str(),
        Self::Refunded.as_str(),
        Self::MissingCharge.as_str(),
    ];

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCharge => "unknown_charge",
            Self::SecondCharge => "second_charge",
            Self::Amount => "amount",
            Self::Captured => "captured",
            Self::Refunded => "refunded",
            Self::MissingCharge => "missing_charge",
        }
    }
}

/// A difference, for a person to look into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What is different.
    pub kind: DifferenceKind,
    /// Our order, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Uuid>,
    /// The order that the gateway says it is for, if we have none of that id: it may have been ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_order_id: Option<Uuid>,
    /// The idempotency key of the charge.
    pub key: String,
    /// The gateway's name for it, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charge_id: Option<String>,
    /// Both sides, in words.
    pub detail: String,
}

/// What came of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Charges in the gateway's list.
    pub charges: u64,
    /// Payments of ours whose money was taken.
    pub payments: u64,
    /// Those that differ while their orders' money is on the move: left out.
    pub under_way: u64,
    /// What differs.
    pub differences: Vec<Difference>,
    /// Whether the comparison stopped at the most that is listed.
    pub more: bool,
}

/// What differed at the first look.
#[derive(Debug, Default)]
pub struct FirstLook {
    comparison: Comparison,
    suspects: Vec<Suspect>,
}

impl FirstLook {
    /// Whether a second look is worth its pause.
    #[must_use]
    pub const fn is_clear(&self) -> bool {
        self.suspects.is_empty()
    }
}

/// A charge, a payment, or both, that did not agree.
#[derive(Debug)]
struct Suspect {
    order_id: Option<OrderId>,
    charge: Option<ListedCharge>,
    key: String,
}

enum Verdict {
    Agree,
    UnderWay,
    Differ(Difference),
}

/// Both books, and how many differences are listed at most.
pub struct Comparer<'a> {
    /// Ours.
    pub readers: &'a dyn Readers,
    /// The gateway's.
    pub books: &'a dyn GatewayBooks,
    /// Differences listed at most.
    pub max: usize,
}

impl Comparer<'_> {
    /// Goes through both books once.
    ///
    /// # Errors
    /// A gateway without a list, one that does not answer, and what the store says.
    pub async fn first_look(&self) -> Result<FirstLook, Incomparable> {
        let mut look = FirstLook::default();
        let met = self.through_theirs(&mut look).await?;
        self.through_ours(&mut look, &met).await?;
        Ok(look)
    }

    /// Looks again at what differed, and says what still does.
    ///
    /// # Errors
    /// As for the first look.
    pub async fn second_look(&self, first: FirstLook) -> Result<Comparison, Incomparable> {
        let FirstLook { mut comparison, suspects } = first;
        for suspect in suspects {
            let booked = match suspect.order_id {
                Some(order_id) => self.readers.booked_payments(&[order_id]).await?.pop(),
                None => None,
            };
            let is_another = suspect.charge.as_ref().is_some_and(|charge| !is_own(charge, booked.as_ref()));
            let charge = match suspect.charge {
                // No key names it alone.
                Some(charge) if is_another => Some(charge),
                Some(_) | None => self.books.listed_charge(&suspect.key).await?,
            };
            match judged(charge.as_ref(), booked.as_ref()) {
                Verdict::Agree => {}
                Verdict::UnderWay => comparison.under_way += 1,
                Verdict::Differ(difference) => comparison.differences.push(difference),
            }
        }
        Ok(comparison)
    }

    /// Every charge of theirs against our payment; the orders whose own charge was met.
    async fn through_theirs(&self, look: &mut FirstLook) -> Result<HashSet<OrderId>, Incomparable> {
        let (mut met, mut after) = (HashSet::new(), None::<String>);
        let (mut cursors, mut empty) = (HashSet::new(), 0);
        loop {
            let page = match self.books.listed_charges(after.as_deref(), PAGE).await? {
                Listing::Page(page) => page,
                Listing::CannotList => return Err(Incomparable::CannotList),
            };
            let ours = self.booked(&page.charges).await?;
            empty = if page.charges.is_empty() { empty + 1 } else { 0 };
            for charge in page.charges {
                let order_id = order_of(&charge);
                let booked = order_id.and_then(|id| ours.get(&id));
                if let Some(order_id) = order_id
                    && is_own(&charge, booked)
                    && met.len() < MET_MAX
                {
                    met.insert(order_id);
                }
                look.comparison.charges += 1;
                look.note(&judged(Some(&charge), booked), order_id, Some(charge), self.max);
            }
            match page.next {
                None => return Ok(met),
                Some(_) if look.comparison.more => return Ok(met),
                Some(next) if !cursors.insert(hash(&next)) => return Err(Incomparable::Circle(next)),
                Some(_) if empty == EMPTY_PAGES_MAX => return Err(Incomparable::Empty(empty)),
                next @ Some(_) => after = next,
            }
        }
    }

    /// Every payment of ours that was not met, against what they say of its key.
    async fn through_ours(&self, look: &mut FirstLook, met: &HashSet<OrderId>) -> Result<(), Incomparable> {
        let mut after = None;
        loop {
            let page = self.readers.captured_payments(after, PAGE).await?;
            for booked in &page.items {
                look.comparison.payments += 1;
                let order_id = booked.payment.order_id;
                if met.contains(&order_id) || look.comparison.more {
                    continue;
                }
                let charge = self.books.listed_charge(&booked.payment.key).await?;
                let verdict = judged(charge.as_ref(), Some(booked));
                look.note_under(&verdict, Some(order_id), charge, &booked.payment.key, self.max);
            }
            after = page.items.last().map(|booked| booked.payment.order_id);
            if !page.has_more {
                return Ok(());
            }
        }
    }

    async fn booked(
        &self,
        charges: &[ListedCharge],
    ) -> Result<BTreeMap<OrderId, BookedPayment>, Incomparable> {
        let mut ids: Vec<OrderId> = charges.iter().filter_map(order_of).collect();
        ids.sort_unstable();
        ids.dedup();
        let rows = self.readers.booked_payments(&ids).await?;
        Ok(rows.into_iter().map(|row| (row.payment.order_id, row)).collect())
    }
}

impl FirstLook {
    fn note(
        &mut self,
        verdict: &Verdict,
        order_id: Option<OrderId>,
        charge: Option<ListedCharge>,
        max: usize,
    ) {
        let key = charge.as_ref().map(|charge| charge.key.clone()).unwrap_or_default();
        self.note_under(verdict, order_id, charge, &key, max);
    }

    /// What differs while its money is on the move is looked at again too: by then it may have come to rest.
    fn note_under(
        &mut self,
        verdict: &Verdict,
        order_id: Option<OrderId>,
        charge: Option<ListedCharge>,
        key: &str,
        max: usize,
    ) {
        match verdict {
            Verdict::Agree => {}
            Verdict::UnderWay | Verdict::Differ(_) if self.suspects.len() == max => {
                self.comparison.more = true;
            }
            Verdict::UnderWay | Verdict::Differ(_) => {
                self.suspects.push(Suspect { order_id, charge, key: key.to_owned() });
            }
        }
    }
}

/// Cursors are remembered by their hash: a long list has many, and they may be long.
fn hash(cursor: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    cursor.hash(&mut hasher);
    hasher.finish()
}

fn order_of(charge: &ListedCharge) -> Option<OrderId> {
    charge.reference.parse().ok()
}

/// Whether this is the charge that the order's payment is about, as opposed to another for the same order.
fn is_own(charge: &ListedCharge, booked: Option<&BookedPayment>) -> bool {
    booked.is_some_and(|BookedPayment { payment, .. }| {
        payment.key == charge.key && (payment.provider_reference.is_none() || payment.is_charge(&charge.id))
    })
}

fn judged(charge: Option<&ListedCharge>, booked: Option<&BookedPayment>) -> Verdict {
    let Some((kind, detail)) = difference(charge, booked) else { return Verdict::Agree };
    if booked.is_some_and(|booked| is_under_way(booked.state) || is_being_captured(booked)) {
        return Verdict::UnderWay;
    }
    let key = charge.map(|charge| charge.key.clone());
    Verdict::Differ(Difference {
        kind,
        order_id: booked.map(|booked| booked.payment.order_id.0),
        missing_order_id: charge.filter(|_| booked.is_none()).and_then(order_of).map(|order_id| order_id.0),
        key: key.or_else(|| booked.map(|booked| booked.payment.key.clone())).unwrap_or_default(),
        charge_id: charge.map(|charge| charge.id.clone()),
        detail,
    })
}

fn difference(
    charge: Option<&ListedCharge>,
    booked: Option<&BookedPayment>,
) -> Option<(DifferenceKind, String)> {
    match (charge, booked) {
        (None, None) => None,
        (Some(charge), None) => (charge.captured_minor > 0).then(|| {
            let told = format!("no order of ours has asked for this charge: {}", theirs(charge));
            (DifferenceKind::UnknownCharge, told)
        }),
        (None, Some(booked)) => (booked.payment.captured_minor > 0).then(|| {
            let told = format!("the gateway knows no charge under this key; {}", ours(&booked.payment));
            (DifferenceKind::MissingCharge, told)
        }),
        (Some(charge), Some(booked)) if is_own(charge, Some(booked)) => unequal(charge, &booked.payment)
            .map(|kind| (kind, format!("{}; {}", theirs(charge), ours(&booked.payment)))),
        (Some(charge), Some(_)) => (charge.held_minor() > 0).then(|| {
            let told = format!("a charge beside the order's own: {}", theirs(charge));
            (DifferenceKind::SecondCharge, told)
        }),
    }
}

fn unequal(charge: &ListedCharge, payment: &Payment) -> Option<DifferenceKind> {
    if is_another(charge.amount, payment.amount) {
        Some(DifferenceKind::Amount)
    } else if charge.captured_minor != payment.captured_minor {
        Some(DifferenceKind::Captured)
    } else if charge.refunded_minor != payment.refunded_minor {
        Some(DifferenceKind::Refunded)
    } else {
        None
    }
}

/// Whether the gateway was asked for another amount. More was authorised than our books say where lines of an order were cancelled
/// since; what is taken of it is compared apart.
fn is_another(authorised: Money, asked: Money) -> bool {
    authorised.currency != asked.currency || authorised.minor < asked.minor
}

fn theirs(charge: &ListedCharge) -> String {
    let sum = |minor| Money::new(minor, charge.amount.currency);
    format!(
        "the gateway was asked for {}, took {} and gave back {}",
        charge.amount,
        sum(charge.captured_minor),
        sum(charge.refunded_minor)
    )
}

fn ours(payment: &Payment) -> String {
    let sum = |minor| Money::new(minor, payment.amount.currency);
    format!(
        "our books say {} asked for, {} taken and {} given back",
        payment.amount,
        sum(payment.captured_minor),
        sum(payment.refunded_minor)
    )
}

/// Whether the money of an order on its way is authorised, so that its capture may not be booked yet.
fn is_being_captured(booked: &BookedPayment) -> bool {
    booked.state == SagaState::Shipped && booked.payment.status == PaymentStatus::Authorised
}

/// Whether an order that stands here may have money on the move, so that both books need not agree yet.
const fn is_under_way(state: SagaState) -> bool {
    match state {
        SagaState::Created
        | SagaState::InventoryReserved
        | SagaState::PaymentProcessing
        | SagaState::Compensating => true,
        SagaState::Authorised
        | SagaState::Paid
        | SagaState::Shipped
        | SagaState::Completed
        | SagaState::Failed
        | SagaState::NeedsAttention
        | SagaState::OnHold
        | SagaState::AwaitingStock => false,
    }
}
