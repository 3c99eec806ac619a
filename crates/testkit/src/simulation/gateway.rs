//! The payment gateway of the simulation: the truth about money, by key. Honest unless told otherwise; that it is only told
//! so to show that the checks notice, nothing here hides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use application::ports::{
    CancelOutcome, ChargeOutcome, ChargeRequest, NewsKind, PaymentGateway, ProviderNews, Unanswered,
};
use async_trait::async_trait;
use bus::{Clock, VirtualClock};
use domain::{Currency, Dispute, HoldPoint, Money, OrderId};
use jiff::{SignedDuration, Timestamp};

use super::fate::{Call, Consent, Trouble};
use super::holds::Holds;
use super::mail::Mail;
use super::provider_line::{Line, pause};
use super::script::currency;

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
    /// Minor units of that which others gave back, or a person of ours.
    pub(super) by_hand_minor: i64,
    /// The keys under which a person of ours had money given back.
    refund_keys: BTreeSet<String>,
    /// When its authorisation ends, if it says so.
    until: Option<Timestamp>,
    standing: Standing,
}

/// What it says about a key from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Unheard,
    Authorised,
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
    const fn give_back(&mut self, minor: i64) {
        self.refunded_minor += minor;
        self.by_hand_minor += minor;
    }

    /// Whether it gave money back under this key.
    pub(super) fn has_refund(&self, refund_key: &str) -> bool {
        self.refund_keys.contains(refund_key)
    }

    const fn unheard() -> Self {
        Self {
            order_id: None,
            captures: 0,
            captured_minor: 0,
            refunded_minor: 0,
            by_hand_minor: 0,
            refund_keys: BTreeSet::new(),
            until: None,
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

    /// Authorises once for each key.
    fn authorise(&self, request: &ChargeRequest, consent: Consent, until: Option<Timestamp>) -> Charged {
        let mut accounts = self.open();
        let account = accounts.entry(request.key.clone()).or_insert_with(Account::unheard);
        if account.standing != Standing::Unheard {
            return Charged { outcome: account.said(&request.key), news: None };
        }
        account.order_id = request.reference.parse().ok();
        account.until = until;
        let declined = match consent {
            Consent::Yes => {
                account.standing = Standing::Authorised;
                None
            }
            Consent::No => {
                account.standing = Standing::Declined;
                Some(NewsKind::PaymentDeclined { code: "insufficient_funds".to_owned() })
            }
        };
        let news = account.order_id.zip(declined);
        Charged { outcome: account.said(&request.key), news }
    }

    /// Captures what is authorised. What it will not capture is gone.
    fn capture(&self, request: &ChargeRequest, consent: Consent) -> Charged {
        let mut accounts = self.open();
        let account = accounts.entry(request.key.clone()).or_insert_with(Account::unheard);
        if account.standing != Standing::Authorised {
            return Charged { outcome: account.said(&request.key), news: None };
        }
        let captured = match consent {
            Consent::Yes => {
                account.standing = Standing::Captured;
                account.captures += 1;
                account.captured_minor += request.amount.minor;
                Some(NewsKind::PaymentCaptured { amount: request.amount, reference: reference(&request.key) })
            }
            Consent::No => {
                account.standing = Standing::Closed;
                None
            }
        };
        let news = account.order_id.zip(captured);
        Charged { outcome: account.said(&request.key), news }
    }

    fn charge(&self, request: &ChargeRequest, consent: Consent, honesty: Honesty) -> Charged {
        let mut accounts = self.open();
        let account = accounts.entry(request.key.clone()).or_insert_with(Account::unheard);
        let again = honesty == Honesty::ChargesEachTime && account.standing == Standing::Captured;
        if account.standing != Standing::Unheard && !again {
            return Charged { outcome: account.said(&request.key), news: None };
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
        Charged { outcome: account.said(&request.key), news }
    }

    fn cancel(&self, key: &str, honesty: Honesty) -> CancelOutcome {
        let mut accounts = self.open();
        let account = accounts.entry(key.to_owned()).or_insert_with(Account::unheard);
        match account.standing {
            Standing::Unheard | Standing::Authorised | Standing::Declined | Standing::Closed => {
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

    /// Gives a part back once for each refund key, as far as it holds any.
    fn refund(&self, key: &str, refund_key: &str, minor: i64) -> Refunded {
        let mut accounts = self.open();
        let account = accounts.entry(key.to_owned()).or_insert_with(Account::unheard);
        let given = minor.min(account.held_minor());
        let is_new = given > 0 && account.refund_keys.insert(refund_key.to_owned());
        if is_new {
            account.give_back(given);
        }
        let news = account.order_id.filter(|_| is_new).map(|order_id| (order_id, given));
        Refunded { outcome: CancelOutcome::Refunded { minor: account.refunded_minor }, news }
    }

    /// What others do to the charge of this key; what the gateway tells of it, if it could be done.
    fn meddle(&self, key: &str, trouble: Trouble, currency: Currency) -> Option<NewsKind> {
        let mut accounts = self.open();
        let account = accounts.get_mut(key)?;
        let held = account.held_minor();
        let money = |minor| Money::new(minor, currency);
        match trouble {
            Trouble::Refund if held > 0 => {
                account.give_back(held);
                account.standing = Standing::Refunded;
                Some(NewsKind::PaymentRefunded {
                    amount: money(held),
                    total: None,
                    reference: reference(key),
                })
            }
            // Its event names no sum: beside a refund of our own whose event is lost nobody could tell the two apart.
            Trouble::RefundInPart if held > 1 && account.refund_keys.is_empty() => {
                account.give_back(held / 2);
                let amount = money(held / 2);
                Some(NewsKind::PaymentRefunded { amount, total: None, reference: reference(key) })
            }
            Trouble::Dispute => {
                Some(NewsKind::PaymentDisputed { dispute: Dispute::Open, reference: Some(reference(key)) })
            }
            Trouble::SecondCharge | Trouble::Foreign => Some(NewsKind::PaymentCaptured {
                amount: money(account.captured_minor.max(1)),
                reference: format!("ch-second-{key}"),
            }),
            Trouble::OtherAmount | Trouble::OtherCurrency => {
                let minor = account.captured_minor.saturating_add(1);
                let amount = if trouble == Trouble::OtherAmount {
                    money(minor)
                } else {
                    Money::new(account.captured_minor, Currency::parse("JPY").expect("a known currency"))
                };
                Some(NewsKind::PaymentCaptured { amount, reference: reference(key) })
            }
            Trouble::Lapse if account.standing == Standing::Authorised => {
                account.standing = Standing::Closed;
                Some(NewsKind::PaymentLapsed { code: "expired".to_owned() })
            }
            Trouble::Lapse | Trouble::Refund | Trouble::RefundInPart | Trouble::ParcelException => None,
        }
    }

    fn look_up(&self, key: &str) -> Option<ChargeOutcome> {
        let accounts = self.open();
        let account = accounts.get(key)?;
        (account.standing != Standing::Unheard).then(|| account.said(key))
    }
}

struct Charged {
    outcome: ChargeOutcome,
    news: Option<(OrderId, NewsKind)>,
}

struct Refunded {
    outcome: CancelOutcome,
    /// Of which order how much was given back.
    news: Option<(OrderId, i64)>,
}

fn reference(key: &str) -> String {
    format!("ch-{key}")
}

impl Account {
    fn said(&self, key: &str) -> ChargeOutcome {
        let reference = reference(key);
        match self.standing {
            Standing::Authorised => ChargeOutcome::Authorised { reference, until: self.until },
            Standing::Captured => ChargeOutcome::Captured { reference, refunded_minor: 0 },
            Standing::Declined => ChargeOutcome::Declined { code: "insufficient_funds".to_owned() },
            Standing::Refunded => ChargeOutcome::Refunded { reference },
            Standing::Unheard | Standing::Closed => ChargeOutcome::Closed,
        }
    }
}

/// The gateway.
pub(super) struct SimulatedGateway {
    books: Arc<Books>,
    line: Line,
    mail: Arc<Mail>,
    honesty: Honesty,
    holds: Holds,
    clock: Arc<VirtualClock>,
}

/// How long an authorisation holds of which the gateway says how long: less than an order may take that waits for a person.
const AUTHORISED_FOR: SignedDuration = SignedDuration::from_secs(45);

impl SimulatedGateway {
    pub(super) fn new(
        line: Line,
        mail: Arc<Mail>,
        honesty: Honesty,
        holds: Holds,
        clock: Arc<VirtualClock>,
    ) -> Self {
        Self { books: Arc::default(), line, mail, honesty, holds, clock }
    }

    /// Of every second order it says when the authorisation ends.
    fn until(&self, key: &str) -> Option<Timestamp> {
        let is_told = key.bytes().last().is_some_and(|last| last % 2 == 0);
        is_told.then(|| self.clock.now() + AUTHORISED_FOR)
    }

    /// Makes a call that creates or captures a charge, with what others do to it afterwards and what the gateway tells of it.
    async fn make(
        &self,
        call: Call,
        request: &ChargeRequest,
        act: impl FnOnce(&Books, &ChargeRequest) -> Charged + Send + 'static,
    ) -> Result<ChargeOutcome, Unanswered> {
        let (books, mail) = (Arc::clone(&self.books), Arc::clone(&self.mail));
        let (asked, letters) = (request.clone(), self.line.fate.letters());
        let (trouble, errands) = (self.line.fate.trouble(call, &request.key), self.line.errands.clone());
        let act = move || {
            let Charged { outcome, news } = act(&books, &asked);
            let is_new = news.is_some() || call == Call::Authorise;
            let is_agreed =
                matches!(outcome, ChargeOutcome::Captured { .. } | ChargeOutcome::Authorised { .. });
            if let Some((trouble, after)) = trouble.filter(|_| is_new && is_agreed) {
                let order_id = asked.reference.parse().expect("the reference is the order's id");
                let (books, mail, asked) = (Arc::clone(&books), Arc::clone(&mail), asked.clone());
                errands.run(async move {
                    pause(after).await;
                    meddle(&books, &mail, &asked, order_id, trouble);
                });
            }
            if let Some((order_id, kind)) = news {
                mail.post(&format!("{}-{}", asked.key, kind.type_name()), order_id, &kind, &letters);
            }
            outcome
        };
        self.line.call(call, &request.key, act).await
    }

    /// The message becomes a dead letter, which the verdict finds.
    fn insist_that_it_is_not_held(&self, request: &ChargeRequest) {
        let order_id = request.reference.parse().expect("the reference is the order's id");
        assert!(!self.holds.keep_from(order_id, HoldPoint::Payment), "an order on hold is charged for");
    }

    /// Everything that it knows, by key.
    pub(super) fn accounts(&self) -> BTreeMap<String, Account> {
        self.books.open().clone()
    }
}

/// Others meddle with a charge, and the gateway tells of it.
fn meddle(books: &Books, mail: &Mail, asked: &ChargeRequest, order_id: OrderId, trouble: Trouble) {
    let Some(kind) = books.meddle(&asked.key, trouble, asked.amount.currency) else { return };
    let event_id = format!("{}-{trouble:?}", asked.key);
    let news = ProviderNews::honest(&event_id, order_id, kind, Timestamp::UNIX_EPOCH);
    let foreign = || ProviderNews { idempotency_key: format!("not-{}", asked.key), ..news.clone() };
    mail.send(if trouble == Trouble::Foreign { foreign() } else { news }, Duration::ZERO);
}

#[async_trait]
impl PaymentGateway for SimulatedGateway {
    async fn charge(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        self.insist_that_it_is_not_held(request);
        let (consent, honesty) = (self.line.fate.consent(Call::Charge, &request.key), self.honesty);
        self.make(Call::Charge, request, move |books, asked| books.charge(asked, consent, honesty)).await
    }

    async fn authorise(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        self.insist_that_it_is_not_held(request);
        let consent = self.line.fate.consent(Call::Authorise, &request.key);
        let until = self.until(&request.key);
        self.make(Call::Authorise, request, move |books, asked| books.authorise(asked, consent, until)).await
    }

    async fn capture(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        let consent = self.line.fate.consent(Call::Capture, &request.key);
        self.make(Call::Capture, request, move |books, asked| books.capture(asked, consent)).await
    }

    async fn look_up(&self, request: &ChargeRequest) -> Result<Option<ChargeOutcome>, Unanswered> {
        let (books, asked) = (Arc::clone(&self.books), request.key.clone());
        self.line.call(Call::LookUpCharge, &request.key, move || books.look_up(&asked)).await
    }

    async fn cancel(&self, key: &str) -> Result<CancelOutcome, Unanswered> {
        let (books, asked, honesty) = (Arc::clone(&self.books), key.to_owned(), self.honesty);
        let told = self.line.call(Call::CancelCharge, key, move || books.cancel(&asked, honesty)).await?;
        Ok(match told {
            CancelOutcome::Refunded { minor } if minor > 0 && self.line.fate.tells_less() => {
                CancelOutcome::Refunded { minor: minor - 1 }
            }
            CancelOutcome::Refunded { .. } | CancelOutcome::Voided => told,
        })
    }

    async fn refund(&self, key: &str, refund_key: &str, minor: i64) -> Result<CancelOutcome, Unanswered> {
        let (books, mail) = (Arc::clone(&self.books), Arc::clone(&self.mail));
        let (asked, refund_key) = (key.to_owned(), refund_key.to_owned());
        let letters = self.line.fate.letters();
        let act = move || {
            let Refunded { outcome, news } = books.refund(&asked, &refund_key, minor);
            if let Some((order_id, given)) = news {
                let amount = Money::new(given, currency());
                let kind = NewsKind::PaymentRefunded { amount, total: None, reference: reference(&asked) };
                mail.post(&refund_key, order_id, &kind, &letters);
            }
            outcome
        };
        self.line.call(Call::CancelCharge, key, act).await
    }
}
