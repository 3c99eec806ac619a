//! Classifies the answer to a call, and what is known of its effect. The one rule: a call counts as done or not done
//! only if the provider says so, or if there was no connection to it.

use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

use application::json_text::{Form, harmless};
use application::ports::Unanswered;
use bytes::Bytes;
use domain::text::Lines;
use http::header::RETRY_AFTER;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use jiff::Timestamp;
use serde::Deserialize;

use super::{limits, retry_after};

/// The form of an answer's texts: a text that no store can keep would be requested again for ever.
const TEXTS: Form = Form { lines: Lines::One, chars_max: limits::ANSWER_TEXT_CHARS_MAX };

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    body: Bytes,
    retry_after: Option<String>,
}

/// How far a call got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Waiting for a turn or a connection.
    Waiting,
    /// The request may have been sent.
    Sent,
}

/// Why there is no complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There was no connection.
    Unreachable(String),
    /// The connection was lost, or the answer cannot be read.
    Lost(String),
    /// The time was over.
    TimedOut(Stage),
}

/// A definite refusal of this call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The key was closed.
    KeyClosed,
    /// The key is unknown.
    UnknownKey,
    /// Refused, with the provider's reason.
    Refused {
        /// Their reason.
        code: String,
    },
}

#[derive(Deserialize)]
struct RefusalBody<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
}

impl Answer {
    pub(super) async fn read(response: Response<Incoming>) -> Result<Self, Failure> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, limits::ANSWER_BYTES_MAX).collect().await.map_err(Failure::lost)?;
        let retry_after = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let body = body.to_bytes();
        let body = match harmless(&body, TEXTS) {
            Cow::Borrowed(_) => body,
            Cow::Owned(cleaned) => cleaned.into(),
        };
        Ok(Self { status: head.status, body, retry_after: retry_after.map(str::to_owned) })
    }

    /// Whether it was only asked to come back later.
    pub(super) fn says_later(&self, now: Timestamp) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS
            || self.status == StatusCode::SERVICE_UNAVAILABLE && self.retry_after(now).is_some()
    }

    /// Recognises answers that say nothing about the call itself.
    pub(super) fn settled(self, now: Timestamp) -> Result<Self, Unanswered> {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => {
                Err(Unanswered::NotDone { why: "throttled".to_owned(), retry_after: self.retry_after(now) })
            }
            // An answer with `Retry-After` says that nothing was done yet.
            StatusCode::SERVICE_UNAVAILABLE if self.retry_after(now).is_some() => {
                Err(Unanswered::NotDone { why: "unavailable".to_owned(), retry_after: self.retry_after(now) })
            }
            status if status.is_server_error() => Err(unknown(format!("answered {}", status.as_u16()))),
            _ => Ok(self),
        }
    }

    /// The content of a successful answer, or the refusal.
    pub(super) fn verdict<'a, T: Deserialize<'a>>(&'a self) -> Result<Result<T, Refusal>, Unanswered> {
        if !self.status.is_success() {
            return self.refusal().map(Err);
        }
        serde_json::from_slice(&self.body)
            .map(Ok)
            .map_err(|error| unknown(format!("answer unreadable: {error}")))
    }

    fn refusal(&self) -> Result<Refusal, Unanswered> {
        // A list would be read as an object without names.
        let object = self.body.trim_ascii_start().starts_with(b"{");
        let body = serde_json::from_slice(&self.body).ok().filter(|_| object);
        let code = body.map(|body: RefusalBody<'_>| body.code);
        match (self.status, code.as_deref()) {
            (StatusCode::CONFLICT, Some("key_closed")) => Ok(Refusal::KeyClosed),
            (StatusCode::NOT_FOUND, Some("unknown_key")) => Ok(Refusal::UnknownKey),
            // The key is in progress, or was used for another request: either way it is taken.
            (_, Some("in_progress" | "key_reused")) => Err(unknown(self.described(code.as_deref()))),
            (
                StatusCode::PAYMENT_REQUIRED | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY,
                Some(code),
            ) => Ok(Refusal::Refused { code: shortened(code) }),
            (status, code) if is_about_access(status) => Err(unknown(self.described(code))),
            // An answer in another format comes from a proxy, which knows nothing of the call.
            (_, None) => Err(unknown(self.described(None))),
            (status, Some(_)) => Ok(Refusal::Refused { code: format!("protocol_{}", status.as_u16()) }),
        }
    }

    fn described(&self, code: Option<&str>) -> String {
        let status = self.status.as_u16();
        code.map_or_else(
            || format!("answered {status}"),
            |code| format!("answered {status} {}", shortened(code)),
        )
    }

    fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        retry_after::parse(self.retry_after.as_deref()?, now)
    }
}

/// Answers about the caller, the address or the time, given before the request was read: they do not say what an
/// earlier attempt under the same key has done.
fn is_about_access(status: StatusCode) -> bool {
    status.is_redirection()
        || matches!(
            status,
            StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::NOT_FOUND
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::PROXY_AUTHENTICATION_REQUIRED
                | StatusCode::REQUEST_TIMEOUT
                | StatusCode::CONFLICT
                | StatusCode::MISDIRECTED_REQUEST
                | StatusCode::TOO_EARLY
        )
}

fn shortened(code: &str) -> String {
    code.chars().take(limits::CODE_CHARS_MAX).collect()
}

impl Failure {
    pub(super) fn unreachable(error: impl Display) -> Self {
        Self::Unreachable(error.to_string())
    }

    pub(super) fn lost(error: impl Display) -> Self {
        Self::Lost(error.to_string())
    }
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable(why) => not_done(format!("unreachable: {why}")),
            Failure::Lost(why) => unknown(format!("answer lost: {why}")),
            Failure::TimedOut(Stage::Waiting) => not_done("no connection in time".to_owned()),
            Failure::TimedOut(Stage::Sent) => unknown("timed out".to_owned()),
        }
    }
}

impl From<Refusal> for Unanswered {
    /// For calls that a provider has no reason to refuse.
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::KeyClosed => Self::Refused { code: "key_closed".to_owned() },
            Refusal::UnknownKey => Self::Refused { code: "unknown_key".to_owned() },
            Refusal::Refused { code } => Self::Refused { code },
        }
    }
}

/// None if the answer matches the request, or says nothing.
pub(super) fn same<T: Copy + PartialEq + Display>(
    member: &str,
    said: Option<T>,
    asked: T,
) -> Result<(), Unanswered> {
    match said {
        Some(said) if said != asked => {
            let said = shortened(&said.to_string());
            Err(unknown(format!(
                "the answer is about something else: {member} is {said}, asked for was {asked}"
            )))
        }
        Some(_) | None => Ok(()),
    }
}

pub(super) fn not_done(why: String) -> Unanswered {
    Unanswered::NotDone { why, retry_after: None }
}

pub(super) fn unknown(why: String) -> Unanswered {
    Unanswered::Unknown { why }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CODES: [&str; 8] =
        ["card_declined", "key_closed", "unknown_key", "in_progress", "key_reused", "throttled", "down", ""];

    fn answer(status: u16, body: &[u8]) -> Answer {
        let status = StatusCode::from_u16(status).expect("a status");
        Answer { status, body: Bytes::copy_from_slice(body), retry_after: None }
    }

    fn said(status: u16, body: &[u8]) -> Result<Result<serde_json::Value, Refusal>, Unanswered> {
        answer(status, body).settled(Timestamp::UNIX_EPOCH)?.verdict()
    }

    proptest! {
        #[test]
        fn only_a_success_is_a_yes_and_only_a_client_error_a_no(status in 200_u16..600, body: Vec<u8>) {
            match said(status, &body) {
                Ok(Ok(_)) => prop_assert!((200..300).contains(&status)),
                Ok(Err(_)) => prop_assert!((400..500).contains(&status) && status != 429),
                Err(Unanswered::NotDone { .. }) => prop_assert_eq!(status, 429),
                Err(Unanswered::Refused { .. }) => prop_assert!(false, "a refusal is the caller's to judge"),
                Err(Unanswered::Unknown { .. }) => prop_assert_ne!(status, 429),
            }
        }

        #[test]
        fn a_no_in_another_form_than_the_providers_own_is_unknown(
            status in 400_u16..500,
            body in prop_oneof![
                Just(String::new()),
                Just("<html><body>Request blocked</body></html>".to_owned()),
                Just(r#"{"error":"forbidden"}"#.to_owned()),
                Just(r#"{"code":1020}"#.to_owned()),
                Just(r#"["card_declined"]"#.to_owned()),
                "[a-z <>{}]{0,40}",
            ],
        ) {
            prop_assume!(status != 429);
            let unknown = matches!(said(status, body.as_bytes()), Err(Unanswered::Unknown { .. }));
            prop_assert!(unknown);
        }

        #[test]
        fn what_says_nothing_about_the_effect_is_unknown_whatever_its_code(
            status in prop_oneof![500_u16..600, 300_u16..400, prop::sample::select(vec![401_u16, 403, 404, 405, 408])],
            code in prop::sample::select(CODES.to_vec()),
        ) {
            let body = format!(r#"{{"code":"{code}"}}"#);
            let names_the_key = status == 404 && code == "unknown_key";
            prop_assume!(!names_the_key);
            let unknown = matches!(said(status, body.as_bytes()), Err(Unanswered::Unknown { .. }));
            prop_assert!(unknown);
        }

        #[test]
        fn the_code_of_a_refusal_is_kept_up_to_its_bound(code in "[a-z_]{1,300}") {
            let body = format!(r#"{{"code":"{code}"}}"#);
            let kept = said(402, body.as_bytes());
            let expected = code[..code.len().min(limits::CODE_CHARS_MAX)].to_owned();
            prop_assume!(!CODES.contains(&code.as_str()));
            prop_assert_eq!(kept, Ok(Err(Refusal::Refused { code: expected })));
        }
    }
}
