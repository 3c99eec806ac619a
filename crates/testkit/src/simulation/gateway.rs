//! The payment gateway of the simulation: the truth about money, by key. Honest unless told otherwise; that it is only told
//! so to show that the checks notice, nothing here hides.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use application::commands::NewsKind;
use application::ports::{CancelOutcome, ChargeOutcome, ChargeRequest, PaymentGateway, Unanswered};
use async_trait::async_trait;
use domain::OrderId;

use super::fate::{Call, Consent};
use super::mail::Mail;
use super::provider_line::Line;

/// What the gateway knows of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// Whose order it says it is for.
    pub(super) order_id: Option<OrderId>,
    /// How often money was taken.
    pub(super) captures: u32,
    /// Minor units taken in all.
    pub(super) captured_minor: i64,
    /// Minor units given back in all.
    pub(super) refunded_minor: i64,
    standing: Standing,
}

/// What it says about a key from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Unheard,
    Captured,
    Declined,
    Refunded,
    Closed,
}

/// Whether the gateway honours idempotency keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Honesty {
    /// A key is one charge.
    #[default]
    OneChargePerKey,
    /// Each request is a charge. No gateway of ours does that; it shows that the checks see it.
    ChargesEachTime,
    /// The first cancellation of what was taken gives back less than all; the next gives back the rest.
    RefundsShortAtFirst,
}

impl Account {
    const fn unheard() -> Self {
        Self {
            order_id: None,
            captures: 0,
            captured_minor: 0,
            refunded_minor: 0,
            standing: Standing::Unheard,
        }
    }

    /// Minor units that the gateway holds for us.
    #[must_use]
    pub(super) const fn held_minor(&self) -> i64 {
        self.captured_minor - self.refunded_minor
    }
}

#[derive(Default)]
struct Books(Mutex<BTreeMap<String, Account>>);

impl Books {
    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Account>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn charge(&self, request: &ChargeRequest, consent: Consent, honesty: Honesty) -> Charged {
        let mut accounts = self.open();
        let account = accounts.entry(request.key.clone()).or_insert_with(Account::unheard);
        let again = honesty == Honesty::ChargesEachTime && account.standing == Standing::Captured;
        if account.standing != Standing::Unheard && !again {
            return Charged { outcome: said(account.standing, &request.key), news: None };
        }
        account.order_id = request.reference.parse().ok();
        let news = match consent {
            Consent::Yes => {
                account.standing = Standing::Captured;
                account.captures += 1;
                account.captured_minor += request.amount.minor;
                NewsKind::PaymentCaptured { amount: request.amount, reference: reference(&request.key) }
            }
            Consent::No => {
                account.standing = Standing::Declined;
                NewsKind::PaymentDeclined { code: "insufficient_funds".to_owned() }
            }
        };
        let news = account.order_id.map(|order_id| (order_id, news));
        Charged { outcome: said(account.standing, &request.key), news }
    }

    fn cancel(&self, key: &str, honesty: Honesty) -> CancelOutcome {
        let mut accounts = self.open();
        let account = accounts.entry(key.to_owned()).or_insert_with(Account::unheard);
        match account.standing {
            Standing::Unheard | Standing::Declined | Standing::Closed => {
                account.standing = Standing::Closed;
                CancelOutcome::Voided
            }
            Standing::Captured if honesty == Honesty::RefundsShortAtFirst && account.refunded_minor == 0 => {
                account.refunded_minor = account.captured_minor - 1;
                CancelOutcome::Refunded { minor: account.refunded_minor }
            }
            Standing::Captured | Standing::Refunded => {
                account.standing = Standing::Refunded;
                account.refunded_minor = account.captured_minor;
                CancelOutcome::Refunded { minor: account.refunded_minor }
            }
        }
    }

    fn look_up(&self, key: &str) -> Option<ChargeOutcome> {
        let standing = self.open().get(key)?.standing;
        (standing != Standing::Unheard).then(|| said(standing, key))
    }
}

struct Charged {
    outcome: ChargeOutcome,
    news: Option<(OrderId, NewsKind)>,
}

fn reference(key: &str) -> String {
    format!("ch-{key}")
}

fn said(standing: Standing, key: &str) -> ChargeOutcome {
    match standing {
        Standing::Captured => ChargeOutcome::Captured { reference: reference(key) },
        Standing::Declined => ChargeOutcome::Declined { code: "insufficient_funds".to_owned() },
        Standing::Refunded => ChargeOutcome::Refunded { reference: reference(key) },
        Standing::Unheard | Standing::Closed => ChargeOutcome::Closed,
    }
}

/// The gateway.
pub(super) struct SimulatedGateway {
    books: Arc<Books>,
    line: Line,
    mail: Arc<Mail>,
    honesty: Honesty,
}

impl SimulatedGateway {
    pub(super) fn new(line: Line, mail: Arc<Mail>, honesty: Honesty) -> Self {
        Self { books: Arc::default(), line, mail, honesty }
    }

    /// Everything that it knows, by key.
    pub(super) fn accounts(&self) -> BTreeMap<String, Account> {
        self.books.open().clone()
    }
}

#[async_trait]
impl PaymentGateway for SimulatedGateway {
    async fn charge(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        let consent = self.line.fate.consent(Call::Charge, &request.key);
        let (books, mail, honesty) = (Arc::clone(&self.books), Arc::clone(&self.mail), self.honesty);
        let (asked, letters) = (request.clone(), self.line.fate.letters());
        let act = move || {
            let Charged { outcome, news } = books.charge(&asked, consent, honesty);
            if let Some((order_id, kind)) = news {
                mail.post(&format!("{}-{}", asked.key, event_name(&kind)), order_id, &kind, &letters);
            }
            outcome
        };
        self.line.call(Call::Charge, &request.key, act).await
    }

    async fn authorise(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        self.charge(request).await
    }

    async fn capture(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        self.look_up(request).await.map(|known| known.unwrap_or(ChargeOutcome::Closed))
    }

    async fn look_up(&self, request: &ChargeRequest) -> Result<Option<ChargeOutcome>, Unanswered> {
        let (books, asked) = (Arc::clone(&self.books), request.key.clone());
        self.line.call(Call::LookUpCharge, &request.key, move || books.look_up(&asked)).await
    }

    async fn cancel(&self, key: &str) -> Result<CancelOutcome, Unanswered> {
        let (books, asked, honesty) = (Arc::clone(&self.books), key.to_owned(), self.honesty);
        self.line.call(Call::CancelCharge, key, move || books.cancel(&asked, honesty)).await
    }

    async fn refund(&self, key: &str, _refund_key: &str, _minor: i64) -> Result<CancelOutcome, Unanswered> {
        self.cancel(key).await
    }
}

fn event_name(kind: &NewsKind) -> &'static str {
    match kind {
        NewsKind::PaymentCaptured { .. } => "captured",
        NewsKind::PaymentDeclined { .. } => "declined",
        NewsKind::ShipmentDelivered { .. } => "delivered",
        NewsKind::Other => "other",
    }
}
