//! The payment gateway over HTTP. Turns the gateway's words into outcomes and adds none of its own.

use std::borrow::Cow;
use std::sync::Arc;

use application::ports::{CancelOutcome, ChargeOutcome, ChargeRequest, PaymentGateway, Unanswered};
use async_trait::async_trait;
use bus::{BreakerState, Clock};
use http::Uri;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::address::InvalidAddress;
use super::answer::{Answer, Refusal, same, unknown};
use super::client::{Call, ProviderClient};
use super::settings::ProviderSettings;

const BY_KEY: &str = "/payments/charges/by-key/";

/// A payment gateway that is reached over HTTP.
pub struct HttpPaymentGateway {
    pub(super) client: ProviderClient,
    charges: Uri,
}

#[derive(Serialize)]
struct ChargeBody<'a> {
    reference: &'a str,
    amount_minor: i64,
    currency: &'static str,
    #[serde(serialize_with = "as_bool")]
    capture: Capture,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_token: Option<&'a str>,
}

#[derive(Clone, Copy)]
enum Capture {
    Now,
    Later,
}

#[derive(Serialize)]
struct AmountBody {
    amount_minor: i64,
}

#[derive(Deserialize)]
struct ChargeAnswer<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    status: ChargeStatus,
    #[serde(borrow, default)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reference: Option<Cow<'a, str>>,
    #[serde(default)]
    amount_minor: Option<i64>,
    #[serde(borrow, default)]
    currency: Option<Cow<'a, str>>,
    #[serde(default)]
    captured_minor: Option<i64>,
    #[serde(default)]
    refunded_minor: Option<i64>,
    #[serde(default)]
    authorised_until: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ChargeStatus {
    /// The gateway has not decided yet.
    #[serde(alias = "processing")]
    Pending,
    Authorised,
    Captured,
    Declined,
    Voided,
    Refunded,
}

#[derive(Deserialize)]
struct RefundAnswer {
    refunded_minor: i64,
}

#[derive(Deserialize)]
struct CancelAnswer {
    outcome: CancelWord,
    #[serde(default)]
    refunded_minor: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum CancelWord {
    Voided,
    Refunded,
}

impl HttpPaymentGateway {
    /// A gateway at the address that the settings name. Connects when first called.
    ///
    /// # Errors
    /// An address that is none.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "settings belong to the one adapter they were made for"
    )]
    pub fn new(settings: ProviderSettings, clock: Arc<dyn Clock>) -> Result<Self, InvalidAddress> {
        let client = ProviderClient::new(&settings, clock)?;
        Ok(Self { charges: client.address.target("/payments/charges"), client })
    }

    /// Whether the gateway is being called, rested or probed.
    #[must_use]
    pub fn breaker_state(&self) -> BreakerState {
        self.client.breaker_state()
    }

    async fn create(&self, request: &ChargeRequest, capture: Capture) -> Result<ChargeOutcome, Unanswered> {
        let body = ChargeBody {
            reference: &request.reference,
            amount_minor: request.amount.minor,
            currency: request.amount.currency.code(),
            capture,
            payment_token: request.payment_token.as_deref(),
        };
        let call = Call::post_json(self.charges.clone(), &body).under(&request.key)?;
        outcome(&self.client.make(call).await?, request, Authorised::For)
    }

    pub(super) fn keyed(&self, key: &str, verb: &'static str) -> Uri {
        self.client.address.keyed(BY_KEY, key, verb)
    }
}

#[async_trait]
impl PaymentGateway for HttpPaymentGateway {
    async fn charge(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        self.create(request, Capture::Now).await
    }

    async fn authorise(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        self.create(request, Capture::Later).await
    }

    async fn capture(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        let body = AmountBody { amount_minor: request.amount.minor };
        let call = Call::post_json(self.keyed(&request.key, "/capture"), &body);
        outcome(&self.client.make(call).await?, request, Authorised::ForAtLeast)
    }

    async fn look_up(&self, request: &ChargeRequest) -> Result<Option<ChargeOutcome>, Unanswered> {
        let answer = self.client.make(Call::get(self.keyed(&request.key, ""))).await?;
        match answer.verdict::<ChargeAnswer<'_>>()? {
            Ok(charge) => charge.about(request, Authorised::ForAtLeast)?.outcome().map(Some),
            Err(Refusal::UnknownKey) => Ok(None),
            Err(Refusal::KeyClosed) => Ok(Some(ChargeOutcome::Closed)),
            // A question that is refused says nothing about the charge.
            Err(Refusal::Refused { code }) => Err(unknown(code)),
        }
    }

    async fn cancel(&self, key: &str) -> Result<CancelOutcome, Unanswered> {
        let answer = self.client.make(Call::post(self.keyed(key, "/cancel"))).await?;
        let said: CancelAnswer = answer.verdict()??;
        match (said.outcome, said.refunded_minor) {
            (CancelWord::Voided, _) => Ok(CancelOutcome::Voided),
            (CancelWord::Refunded, Some(minor)) => Ok(CancelOutcome::Refunded { minor }),
            (CancelWord::Refunded, None) => Err(unknown("refunded, without saying how much".to_owned())),
        }
    }

    async fn refund(&self, key: &str, refund_key: &str, minor: i64) -> Result<CancelOutcome, Unanswered> {
        let body = AmountBody { amount_minor: minor };
        let call = Call::post_json(self.keyed(key, "/refund"), &body).under(refund_key)?;
        let answer = self.client.make(call).await?;
        let said: RefundAnswer = answer.verdict()??;
        Ok(CancelOutcome::Refunded { minor: said.refunded_minor })
    }
}

/// How the amount that a gateway authorised has to go with the one that is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Authorised {
    /// It is this one.
    For,
    /// It may be more: an order whose lines were cancelled since takes less than was authorised.
    ForAtLeast,
}

fn outcome(
    answer: &Answer,
    request: &ChargeRequest,
    authorised: Authorised,
) -> Result<ChargeOutcome, Unanswered> {
    Ok(match answer.verdict::<ChargeAnswer<'_>>()? {
        Ok(charge) => charge.about(request, authorised)?.outcome()?,
        Err(Refusal::KeyClosed) => ChargeOutcome::Closed,
        Err(Refusal::UnknownKey) => ChargeOutcome::Declined { code: "unknown_key".to_owned() },
        Err(Refusal::Refused { code }) => ChargeOutcome::Declined { code },
    })
}

impl ChargeAnswer<'_> {
    /// The answer, if what it says of the charge is what was asked for. What it does not say is not held against it.
    fn about(self, request: &ChargeRequest, authorised: Authorised) -> Result<Self, Unanswered> {
        same("key", self.key.as_deref(), request.key.as_str())?;
        same("reference", self.reference.as_deref(), request.reference.as_str())?;
        same("currency", self.currency.as_deref(), request.amount.currency.code())?;
        let is_enough = match self.status {
            ChargeStatus::Authorised => true,
            ChargeStatus::Captured | ChargeStatus::Refunded => self.captured_minor.is_some(),
            ChargeStatus::Pending | ChargeStatus::Declined | ChargeStatus::Voided => false,
        };
        let is_more = self.amount_minor.is_some_and(|minor| minor > request.amount.minor);
        if !(is_more && is_enough && authorised == Authorised::ForAtLeast) {
            same("amount_minor", self.amount_minor, request.amount.minor)?;
        }
        let taken = match self.status {
            ChargeStatus::Captured | ChargeStatus::Refunded => self.captured_minor,
            ChargeStatus::Pending
            | ChargeStatus::Authorised
            | ChargeStatus::Declined
            | ChargeStatus::Voided => None,
        };
        same("captured_minor", taken, request.amount.minor)?;
        if let Some(why) = self.contradiction(request.amount.minor) {
            return Err(unknown(format!("the answer contradicts itself: {why}")));
        }
        Ok(self)
    }
}

impl ChargeAnswer<'_> {
    /// What the sums say against the status, if they do.
    fn contradiction(&self, asked: i64) -> Option<String> {
        let (captured, refunded) = (self.captured_minor.unwrap_or(0), self.refunded_minor.unwrap_or(0));
        let fits = match self.status {
            ChargeStatus::Captured => (0..asked.max(1)).contains(&refunded),
            ChargeStatus::Refunded => self.refunded_minor.is_none_or(|refunded| refunded == asked),
            ChargeStatus::Pending
            | ChargeStatus::Authorised
            | ChargeStatus::Declined
            | ChargeStatus::Voided => captured == refunded,
        };
        (!fits).then(|| {
            format!(
                "{} with {captured} minor units captured and {refunded} refunded, of {asked}",
                self.status.as_str()
            )
        })
    }
}

impl ChargeAnswer<'_> {
    /// When an authorisation ends; none where the gateway names no moment.
    fn until(&self) -> Option<Timestamp> {
        self.authorised_until.and_then(|micros| Timestamp::from_microsecond(micros).ok())
    }
}

impl ChargeStatus {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Authorised => "authorised",
            Self::Captured => "captured",
            Self::Declined => "declined",
            Self::Voided => "voided",
            Self::Refunded => "refunded",
        }
    }
}

impl ChargeAnswer<'_> {
    /// What the answer comes to. Of a charge that is not decided yet nothing is known; it is looked up again.
    fn outcome(self) -> Result<ChargeOutcome, Unanswered> {
        let until = self.until();
        let reference = self.id.into_owned();
        Ok(match self.status {
            ChargeStatus::Pending => return Err(unknown("the gateway has not decided yet".to_owned())),
            ChargeStatus::Authorised => ChargeOutcome::Authorised { reference, until },
            ChargeStatus::Captured => {
                ChargeOutcome::Captured { reference, refunded_minor: self.refunded_minor.unwrap_or(0) }
            }
            ChargeStatus::Refunded => ChargeOutcome::Refunded { reference },
            ChargeStatus::Voided => ChargeOutcome::Closed,
            ChargeStatus::Declined => ChargeOutcome::Declined {
                code: self.code.map_or_else(|| "declined".to_owned(), Cow::into_owned),
            },
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over by reference")]
fn as_bool<S: serde::Serializer>(capture: &Capture, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(match capture {
        Capture::Now => true,
        Capture::Later => false,
    })
}
