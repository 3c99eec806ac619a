//! How this side says no: one closed list of problems, each with its status, and one shape for all of them (RFC 9457).
//! Must never show what a fault was caused by: that goes to the log.

use std::borrow::Cow;

use application::commands::Violation;
use axum::response::{IntoResponse, Response};
use bus::{Fault, Overloaded, Verdict};
use domain::text::{Lines, clean, shown};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use infrastructure::sqlite::FILE_GONE;
use serde::{Serialize, Serializer};

use super::limits::{DETAIL_CHARS_MAX, ERRORS_MAX};
use crate::health::FILE_GONE_WORDS;

/// The code of a number of units that is not whole.
pub(super) const FRACTIONAL: &str = "fractional_quantity";

/// Whether the very same request may succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// It may.
    Later,
    /// It will not, unless something else changes.
    No,
}

/// Declares the closed list of problems with everything that is fixed about each.
macro_rules! problems {
    ($($Code:ident = $word:literal, $status:ident, $again:ident, $title:literal;)+) => {
        /// What went wrong, as a stable code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Code { $($Code),+ }

        impl Code {
            pub(super) const ALL: &'static [Self] = &[$(Self::$Code),+];

            pub(super) const fn as_str(self) -> &'static str {
                match self { $(Self::$Code => $word),+ }
            }

            pub(super) const fn status(self) -> StatusCode {
                match self { $(Self::$Code => StatusCode::$status),+ }
            }

            pub(super) const fn again(self) -> Again {
                match self { $(Self::$Code => Again::$again),+ }
            }

            pub(super) const fn title(self) -> &'static str {
                match self { $(Self::$Code => $title),+ }
            }
        }
    };
}

problems! {
    MalformedJson = "malformed_json", BAD_REQUEST, No, "The body is not JSON";
    MalformedWebhook = "malformed_webhook", BAD_REQUEST, No, "The body is no batch of events";
    InvalidParameter = "invalid_parameter", BAD_REQUEST, No, "The address has something wrong in it";
    IdempotencyKeyMissing = "idempotency_key_missing", BAD_REQUEST, No, "An Idempotency-Key is needed";
    IdempotencyKeyInvalid = "idempotency_key_invalid", BAD_REQUEST, No, "This cannot be an Idempotency-Key";
    SignatureRefused = "signature_refused", UNAUTHORIZED, No, "The signature does not fit";
    KeyMissing = "key_missing", UNAUTHORIZED, No, "An API key is needed";
    KeyUnknown = "key_unknown", UNAUTHORIZED, No, "This key lets nobody in";
    ScopeMissing = "scope_missing", FORBIDDEN, No, "The key may not do this";
    CrossSite = "cross_site", FORBIDDEN, No, "A page of another site may not do this";
    HostUnknown = "host_unknown", MISDIRECTED_REQUEST, No, "The service is not reached under this name";
    RouteNotFound = "route_not_found", NOT_FOUND, No, "There is nothing at this address";
    OrderNotFound = "order_not_found", NOT_FOUND, No, "There is no such order";
    SagaNotFound = "saga_not_found", NOT_FOUND, No, "There is no such saga";
    SkuNotFound = "sku_not_found", NOT_FOUND, No, "There is no such product";
    QueueNotFound = "queue_not_found", NOT_FOUND, No, "There is no such queue";
    ErrorQueueNotFound = "error_queue_not_found", NOT_FOUND, No, "There is no such error queue";
    NoBroker = "no_broker", NOT_FOUND, No, "There is no broker";
    ProblemNotFound = "problem_not_found", NOT_FOUND, No, "There is no such problem";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, No, "This address does not take this method";
    BodyTooSlow = "body_too_slow", REQUEST_TIMEOUT, Later, "The body did not arrive in time";
    BodyBroken = "body_broken", BAD_REQUEST, Later, "The body broke off";
    RequestInProgress = "request_in_progress", CONFLICT, Later, "The same request is being served";
    CancellationRefused = "cancellation_refused", CONFLICT, No, "The order can no longer be cancelled";
    EventNotFound = "event_not_found", NOT_FOUND, No, "There is no such event";
    EventsGone = "events_gone", GONE, No, "Events before this are past their time";
    PositionUnknown = "position_unknown", CONFLICT, No, "No event is so far yet";
    WebhookEndpointNotFound = "webhook_endpoint_not_found", NOT_FOUND, No, "There is no such webhook endpoint";
    WebhookEndpointsFull = "webhook_endpoints_full", CONFLICT, No, "There are as many webhook endpoints as there may be";
    EventUnmatched = "event_unmatched", CONFLICT, No, "The event belongs to no order";
    NothingToTell = "nothing_to_tell", CONFLICT, No, "There is nothing to tell, or no way to";
    RefundRefused = "refund_refused", CONFLICT, No, "The money cannot be paid back like this";
    TooLateToChange = "too_late_to_change", CONFLICT, No, "The order can no longer be changed";
    LinesRefused = "lines_refused", CONFLICT, No, "The lines cannot be cancelled like this";
    HoldRefused = "hold_refused", CONFLICT, No, "The order cannot be put on hold any more";
    HoldNotFound = "hold_not_found", NOT_FOUND, No, "The order has no such hold";
    ReturnRefused = "return_refused", CONFLICT, No, "The goods cannot come back like this";
    ReturnNotFound = "return_not_found", NOT_FOUND, No, "The order has no such return";
    AddressNeeded = "address_needed", CONFLICT, No, "The carrier still needs the address";
    ChangedMeanwhile = "changed_meanwhile", CONFLICT, No, "It has changed since it was seen";
    OperationRefused = "operation_refused", CONFLICT, No, "The saga does not take this now";
    ErrorQueueChanged = "error_queue_changed", CONFLICT, No, "The error queue holds something else by now";
    ErrorQueueBusy = "error_queue_busy", CONFLICT, Later, "Another works on the error queue";
    InsufficientStock = "insufficient_stock", CONFLICT, No, "There is not so much in stock";
    StockRefused = "stock_refused", CONFLICT, No, "The stock cannot be changed like this";
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, No, "The body is too large";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, No, "The body is of another kind";
    ValidationFailed = "validation_failed", UNPROCESSABLE_ENTITY, No, "The request has something wrong in it";
    FractionalQuantity = "fractional_quantity", UNPROCESSABLE_ENTITY, No, "Units are whole; goods by weight are sold in a smaller unit";
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, No, "The key belongs to another request";
    ReferenceReused = "external_reference_reused", UNPROCESSABLE_ENTITY, No, "The reference belongs to another order";
    TooManyRequests = "too_many_requests", TOO_MANY_REQUESTS, Later, "The caller asks too often";
    Internal = "internal", INTERNAL_SERVER_ERROR, No, "Something is wrong with the service";
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, Later, "Too many requests are waiting";
    Stopping = "stopping", SERVICE_UNAVAILABLE, Later, "The service is stopping";
    StoreUnavailable = "store_unavailable", SERVICE_UNAVAILABLE, Later, "The store is away or busy";
    OutcomeUnknown = "outcome_unknown", SERVICE_UNAVAILABLE, No, "It may have been done";
    ProviderUnavailable = "provider_unavailable", SERVICE_UNAVAILABLE, Later, "The payment gateway does not answer";
    ProviderCannotList = "provider_cannot_list", NOT_IMPLEMENTED, No, "The payment gateway has no list of charges";
    BrokerUnavailable = "broker_unavailable", SERVICE_UNAVAILABLE, Later, "The broker is away or did not do all of it";
    NotReady = "not_ready", SERVICE_UNAVAILABLE, Later, "The service is not ready";
}

/// A detail may contain input: always escaped and cut.
fn harmless<S: Serializer>(text: &impl AsRef<str>, serializer: S) -> Result<S::Ok, S::Error> {
    let spelled = shown(text.as_ref(), Lines::One);
    serializer.serialize_str(&clean(&spelled, Lines::One, DETAIL_CHARS_MAX))
}

/// The code of a value of one type that stands where another is meant.
pub(super) const WRONG_TYPE: &str = "wrong_type";

/// One thing that is wrong with a request, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Wrong {
    #[serde(flatten)]
    pub(super) place: Place,
    pub(super) code: Cow<'static, str>,
    #[serde(serialize_with = "harmless")]
    pub(super) detail: String,
}

/// Where in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    /// JSON pointer into the body.
    Pointer(#[serde(serialize_with = "harmless")] String),
    /// Name of a query parameter or a part of the path.
    Parameter(&'static str),
    /// Name of a query parameter that is not ours.
    #[serde(rename = "parameter")]
    UnknownParameter(#[serde(serialize_with = "harmless")] String),
}

impl Wrong {
    pub(super) fn at(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { place: Place::Pointer(pointer.into()), code: Cow::Borrowed(code), detail: detail.into() }
    }

    /// Whether a value of one type stands where another is meant.
    pub(super) fn is_of_another_type(&self) -> bool {
        self.code == WRONG_TYPE
    }
}

impl From<Violation> for Wrong {
    fn from(violation: Violation) -> Self {
        Self::at(violation.pointer, violation.code, violation.message)
    }
}

/// A "no" with its reasons.
#[derive(Clone, Debug)]
pub(super) struct Problem(Box<Details>);

#[derive(Clone, Debug)]
struct Details {
    code: Code,
    detail: String,
    errors: Vec<Wrong>,
    stock: Option<Stock>,
    retry_after_s: Option<u32>,
    header: Option<(HeaderName, HeaderValue)>,
}

/// How much was asked for and how much there is, in units.
#[derive(Clone, Copy, Debug, Serialize)]
struct Stock {
    requested: i64,
    available: i64,
}

#[derive(Serialize)]
struct Rendered<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    #[serde(serialize_with = "harmless")]
    detail: &'a str,
    #[serde(serialize_with = "harmless")]
    instance: &'a str,
    code: &'static str,
    retryable: bool,
    #[serde(skip_serializing_if = "<[Wrong]>::is_empty")]
    errors: &'a [Wrong],
    #[serde(skip_serializing_if = "Option::is_none")]
    errors_omitted: Option<usize>,
    #[serde(flatten)]
    stock: Option<Stock>,
}

impl Problem {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        let retry_after_s = match (code.status(), code.again()) {
            (StatusCode::SERVICE_UNAVAILABLE, Again::Later) => Some(1),
            _ => None,
        };
        Self(Box::new(Details {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            stock: None,
            retry_after_s,
            header: None,
        }))
    }

    /// The problem of a request of which these things are wrong.
    pub(super) fn of(code: Code, errors: Vec<Wrong>) -> Self {
        let detail = match errors.as_slice() {
            [] => String::new(),
            [only] => only.detail.clone(),
            many => format!("{} things are wrong with the request", many.len()),
        };
        Self::new(code, detail).listing(errors)
    }

    /// The problem of a body in which these things are wrong.
    pub(super) fn invalid(errors: Vec<Wrong>) -> Self {
        let only_fractions = !errors.is_empty() && errors.iter().all(|wrong| wrong.code == FRACTIONAL);
        Self::of(if only_fractions { Code::FractionalQuantity } else { Code::ValidationFailed }, errors)
    }

    pub(super) fn listing(mut self, errors: Vec<Wrong>) -> Self {
        self.0.errors = errors;
        self
    }

    pub(super) fn retry_after_s(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    pub(super) fn with_stock(mut self, requested: i64, available: i64) -> Self {
        self.0.stock = Some(Stock { requested, available });
        self
    }

    pub(super) fn code(&self) -> Code {
        self.0.code
    }

    pub(super) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Writes it out for the address that it happened at.
    pub(super) fn render(&self, instance: &str) -> Response {
        let details = &self.0;
        let shown = details.errors.len().min(ERRORS_MAX);
        let code = details.code;
        let body = serde_json::to_vec(&Rendered {
            r#type: format!("/problems/{}", code.as_str()),
            title: code.title(),
            status: code.status().as_u16(),
            detail: &details.detail,
            instance,
            code: code.as_str(),
            retryable: code.again() == Again::Later,
            errors: &details.errors[..shown],
            errors_omitted: (details.errors.len() > shown).then(|| details.errors.len() - shown),
            stock: details.stock,
        });
        // Only text and numbers are in it, so that writing it to memory cannot fail.
        let mut response = (code.status(), body.unwrap_or_default()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = details.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if matches!(code, Code::KeyMissing | Code::KeyUnknown) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some((name, value)) = &details.header {
            headers.insert(name.clone(), value.clone());
        }
        response
    }

    /// Says in a header too what would be right.
    pub(super) fn telling(mut self, name: HeaderName, value: &str) -> Self {
        self.0.header = HeaderValue::try_from(value).ok().map(|value| (name, value));
        self
    }
}

/// Carried to the edge, which knows the address and writes it out.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code().status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::from(&fault)
    }
}

impl From<&Fault> for Problem {
    fn from(fault: &Fault) -> Self {
        if fault.is_in_doubt() {
            if fault.operation == FILE_GONE {
                return Self::new(Code::OutcomeUnknown, FILE_GONE_WORDS);
            }
            return Self::new(Code::OutcomeUnknown, "it may have been done; look before trying again");
        }
        if fault.operation == FILE_GONE {
            return Self::new(Code::StoreUnavailable, FILE_GONE_WORDS);
        }
        match fault.verdict {
            Verdict::Retry | Verdict::Conflict | Verdict::Stale | Verdict::LeaveToOthers => {
                Self::new(Code::StoreUnavailable, "nothing was done; try again in a moment")
            }
            Verdict::GiveUp => {
                tracing::error!(%fault, "a request failed");
                Self::new(Code::Internal, "nothing was done; the log of the service says why")
            }
        }
    }
}

/// What is coalesced has a key, under which it is done once however often it is sent.
impl From<Overloaded> for Problem {
    fn from(overloaded: Overloaded) -> Self {
        match overloaded {
            Overloaded::Full => Self::new(Code::Overloaded, "nothing was done; try again in a moment"),
            Overloaded::Stopping => {
                Self::new(Code::Stopping, "try again with the same key elsewhere or later")
            }
            Overloaded::Failed(fault) if fault.operation == FILE_GONE => {
                Self::new(Code::StoreUnavailable, FILE_GONE_WORDS)
            }
            Overloaded::Failed(fault) if fault.is_in_doubt() => {
                Self::new(Code::StoreUnavailable, "it may have been done; try again with the same key")
            }
            Overloaded::Failed(fault) => Self::from(fault.as_ref()),
        }
    }
}
