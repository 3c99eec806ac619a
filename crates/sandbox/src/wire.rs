//! Reads requests: bodies, headers, path segments and queries become checked values or a problem. Changes nothing.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::charge::{Capture, CaptureRule, ChargeAsk, RefundRule};
use crate::dice::hash;
use crate::faults::{Forced, Verdict};
use crate::limits;
use crate::money::Currency;
use crate::problem::Problem;
use crate::shipments::BookingAsk;

/// A charge as asked for, with what its token demands.
#[derive(Debug)]
pub(crate) struct ChargeCall {
    pub(crate) ask: ChargeAsk,
    pub(crate) forced: Forced,
    pub(crate) forced_verdict: Verdict,
}

/// A booking as asked for, with what its address demands.
#[derive(Debug)]
pub(crate) struct BookingCall {
    pub(crate) ask: BookingAsk,
    pub(crate) forced: Forced,
    pub(crate) forced_verdict: Verdict,
}

/// Where a listing starts and how long it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageAsk {
    pub(crate) after: u64,
    pub(crate) limit: usize,
}

#[derive(Deserialize)]
struct ChargeBody<'a> {
    #[serde(borrow)]
    reference: Cow<'a, str>,
    amount_minor: i64,
    currency: Currency,
    #[serde(default)]
    capture: Capture,
    #[serde(borrow, default)]
    payment_token: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct BookingBody<'a> {
    #[serde(borrow)]
    reference: Cow<'a, str>,
    #[serde(borrow, default)]
    address: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct AmountBody {
    #[serde(default)]
    amount_minor: Option<i64>,
}

pub(crate) async fn body(incoming: Incoming) -> Result<Bytes, Problem> {
    match Limited::new(incoming, limits::BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::TooLarge),
        Err(_) => Err(Problem::InvalidRequest),
    }
}

pub(crate) fn json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|_| Problem::InvalidRequest)
}

pub(crate) fn charge_call(body: &[u8]) -> Result<ChargeCall, Problem> {
    let asked: ChargeBody<'_> = json(body)?;
    let token = asked.payment_token.as_deref().unwrap_or("");
    Ok(ChargeCall {
        forced: forced_by_token(token),
        forced_verdict: if token == "tok_decline" { Verdict::Refuse } else { Verdict::Accept },
        ask: ChargeAsk {
            reference: reference(&asked.reference)?,
            amount_minor: positive(asked.amount_minor)?,
            currency: asked.currency,
            capture: if is_authorised_only(token) { Capture::Later } else { asked.capture },
            capture_rule: if token == "tok_authorise" { CaptureRule::Fails } else { CaptureRule::Works },
            holds_micros: if token == BRIEFLY { limits::BRIEF_MICROS } else { limits::HOLDS_MICROS },
            refund_rule: if token == "tok_refund_fails" { RefundRule::Fails } else { RefundRule::Works },
            body_hash: hash(body),
        },
    })
}

/// The token of an authorisation that soon ends.
const BRIEFLY: &str = "tok_authorise_briefly";

fn is_authorised_only(token: &str) -> bool {
    token == "tok_authorise" || token == BRIEFLY
}

pub(crate) fn booking_call(body: &[u8]) -> Result<BookingCall, Problem> {
    let asked: BookingBody<'_> = json(body)?;
    let address = asked.address.map_or("", RawValue::get);
    let rejected = address.contains("REJECT-ADDRESS");
    Ok(BookingCall {
        forced: forced_by_address(address),
        forced_verdict: if rejected { Verdict::Refuse } else { Verdict::Accept },
        ask: BookingAsk { reference: reference(&asked.reference)?, body_hash: hash(body) },
    })
}

/// The amount in a body that may be empty.
pub(crate) fn amount(body: &[u8]) -> Result<Option<i64>, Problem> {
    let asked: AmountBody = if body.is_empty() { AmountBody::default() } else { json(body)? };
    asked.amount_minor.map(positive).transpose()
}

pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let value = headers.get("idempotency-key").ok_or(Problem::KeyMissing)?;
    key(value.to_str().map_err(|_| Problem::InvalidRequest)?)
}

/// A key in a path, percent-encoded.
pub(crate) fn key_segment(segment: &str) -> Result<String, Problem> {
    let decoded = percent_decoded(segment).ok_or(Problem::InvalidRequest)?;
    key(&decoded)
}

pub(crate) fn page(query: Option<&str>) -> Result<PageAsk, Problem> {
    let mut page = PageAsk { after: 0, limit: limits::PAGE_DEFAULT };
    for pair in query.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("after", after)) => page.after = after.parse().map_err(|_| Problem::InvalidRequest)?,
            Some(("limit", limit)) => page.limit = limit.parse().map_err(|_| Problem::InvalidRequest)?,
            Some(_) | None => return Err(Problem::InvalidRequest),
        }
    }
    let allowed = (1..=limits::PAGE_MAX).contains(&page.limit);
    if allowed { Ok(page) } else { Err(Problem::InvalidRequest) }
}

fn forced_by_token(token: &str) -> Forced {
    match token {
        "tok_hang" => Forced::Hang,
        "tok_lose" => Forced::LoseResponse,
        _ => Forced::Nothing,
    }
}

fn forced_by_address(address: &str) -> Forced {
    match address {
        address if address.contains("HANG-ADDRESS") => Forced::Hang,
        address if address.contains("LOSE-ADDRESS") => Forced::LoseResponse,
        _ => Forced::Nothing,
    }
}

fn key(key: &str) -> Result<String, Problem> {
    let allowed = (1..=limits::KEY_CHARS_MAX).contains(&key.len());
    if allowed { Ok(key.to_owned()) } else { Err(Problem::KeyMissing) }
}

fn reference(reference: &str) -> Result<Arc<str>, Problem> {
    let allowed = (1..=limits::REFERENCE_CHARS_MAX).contains(&reference.len());
    if allowed { Ok(Arc::from(reference)) } else { Err(Problem::InvalidRequest) }
}

fn positive(amount_minor: i64) -> Result<i64, Problem> {
    if amount_minor > 0 { Ok(amount_minor) } else { Err(Problem::InvalidRequest) }
}

fn percent_decoded(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(Cow::Borrowed(segment));
    }
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' { hex(bytes.next()?)? << 4 | hex(bytes.next()?)? } else { byte });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_key_is_the_key_it_encodes() {
        assert_eq!(key_segment("pay%3a1%2F2"), Ok("pay:1/2".to_owned()));
        assert_eq!(key_segment("pay%3"), Err(Problem::InvalidRequest));
    }

    #[test]
    fn a_page_is_bounded() {
        assert_eq!(page(Some("after=7&limit=10000")), Ok(PageAsk { after: 7, limit: 10_000 }));
        assert_eq!(page(Some("limit=10001")), Err(Problem::InvalidRequest));
        assert_eq!(page(None), Ok(PageAsk { after: 0, limit: limits::PAGE_DEFAULT }));
    }

    #[test]
    fn tokens_and_addresses_ask_for_their_faults() {
        let body = br#"{"reference":"o-1","amount_minor":5,"currency":"USD","payment_token":"tok_lose"}"#;
        assert_eq!(charge_call(body).map(|call| call.forced), Ok(Forced::LoseResponse));
        let body = br#"{"reference":"o-1","address":{"line1":"1 REJECT-ADDRESS"}}"#;
        assert_eq!(booking_call(body).map(|call| call.forced_verdict), Ok(Verdict::Refuse));
        let body = br#"{"reference":"o-1","address":{"line1":"1 HANG-ADDRESS"}}"#;
        assert_eq!(booking_call(body).map(|call| call.forced), Ok(Forced::Hang));
        let body = br#"{"reference":"o-1"}"#;
        assert_eq!(booking_call(body).map(|call| call.forced_verdict), Ok(Verdict::Accept));
    }

    #[test]
    fn amounts_must_be_positive_and_currencies_three_capitals() {
        for (amount, currency) in [("0", "USD"), ("-1", "USD"), ("1", "usd"), ("1.5", "USD"), ("1", "USDX")] {
            let body = format!(r#"{{"reference":"o","amount_minor":{amount},"currency":"{currency}"}}"#);
            assert_eq!(charge_call(body.as_bytes()).map(|_| ()), Err(Problem::InvalidRequest), "{body}");
        }
    }
}
