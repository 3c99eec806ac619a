//! The client's key of a request: read it, hold it while the request runs (so that a concurrent repeat is told to
//! come again), and store it with the answer. The store knows earlier answers; this file does not.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use application::commands::{Command, IfUnchanged, IfUnchangedReply, Once, OnceReply, Seen};
use application::pipeline::Context;
use application::ports::{Answer, Caller, RequestKey, Scope, UnitOfWork};
use application::validators::KEY_BYTES_MAX;
use async_trait::async_trait;
use axum::response::{IntoResponse, Response};
use bus::Fault;
use domain::OrderId;
use foldhash::fast::RandomState;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::Serialize;

use super::Api;
use super::meaning::Meaning;
use super::problem::{Code, Problem};
use super::text::Texts;
use crate::security::Identity;

/// The header that says that an answer was given before.
pub(super) static REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

const SHARDS: usize = 64;

/// The keys of the requests that are under way.
#[derive(Debug)]
pub struct InFlightKeys {
    hasher: RandomState,
    shards: [Mutex<HashSet<Arc<str>, RandomState>>; SHARDS],
}

/// Holds a key until it is dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    shard: &'a Mutex<HashSet<Arc<str>, RandomState>>,
    key: Arc<str>,
}

impl Default for InFlightKeys {
    fn default() -> Self {
        let hasher = RandomState::default();
        Self { shards: std::array::from_fn(|_| Mutex::new(HashSet::with_hasher(hasher.clone()))), hasher }
    }
}

impl InFlightKeys {
    /// Holds the key of a caller for an operation, unless it is held already.
    pub(super) fn hold(&self, caller: &Caller, operation: &str, key: &str) -> Result<Held<'_>, Problem> {
        // None of the three has a line break in it.
        let key: Arc<str> = [caller.id(), operation, key].join("\n").into();
        let shard = &self.shards[self.hasher.hash_one(&*key) as usize % SHARDS];
        if locked(shard).insert(Arc::clone(&key)) {
            Ok(Held { shard, key })
        } else {
            let detail =
                "a request with the same Idempotency-Key is being served; its answer is there in a moment";
            Err(Problem::new(Code::RequestInProgress, detail).retry_after_s(1))
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        locked(self.shard).remove(&self.key);
    }
}

/// A set of keys stays whole whatever its last holder did.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The caller.
pub(super) fn caller(extensions: &Extensions) -> Caller {
    match extensions.get::<Identity>() {
        Some(Identity { id, name, .. }) => Caller::new(Arc::clone(id), Arc::clone(name)),
        None => Caller::without_key(),
    }
}

/// The caller as the audit log names it where a request names no person: its key's name.
pub(super) fn actor(extensions: &Extensions) -> String {
    caller(extensions).name().to_owned()
}

/// The caller as one that brings in a file, if its key lets it.
pub(super) fn importer(extensions: &Extensions) -> Result<Caller, Problem> {
    let scope = Scope::OrdersImport;
    match extensions.get::<Identity>() {
        Some(identity) if !identity.scopes.allow(scope) => {
            Err(Problem::new(Code::ScopeMissing, format!("this key lacks the scope {scope}")))
        }
        Some(_) | None => Ok(caller(extensions).importing()),
    }
}

/// The key of a request, if it has one.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str().unwrap_or_default(), values.next()) {
        (text, None) => key_text(text).map(Some),
        (_, Some(_)) => Err(invalid()),
    }
    .map_err(|detail| Problem::new(Code::IdempotencyKeyInvalid, detail))
}

/// A text that may be a key.
pub(crate) fn key_text(text: &str) -> Result<&str, String> {
    let is_printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let fits = (1..=KEY_BYTES_MAX).contains(&text.len());
    if fits && is_printable { Ok(text) } else { Err(invalid()) }
}

fn invalid() -> String {
    format!("one key of 1 to {KEY_BYTES_MAX} printable ASCII characters is taken")
}

/// The key belongs to another request.
pub(super) fn reused(key: &str, operation: &str) -> Problem {
    let detail = format!(
        "your Idempotency-Key '{key}' was used for another {operation} request, with other content; use a new key for \
         a new request"
    );
    Problem::new(Code::IdempotencyKeyReused, detail)
}

/// Does what a request asks for, once under its key if it has one. An answer is kept in the transaction of its effect and
/// given again; a refusal is not kept.
pub(super) async fn once<C: Command>(
    api: &Api,
    head: &Parts,
    meaning: Meaning,
    command: &C,
    answer: impl Fn(C::Reply) -> Result<Answer, Problem> + Send + Sync,
) -> Result<Response, Problem> {
    Keyed::of(api, head, meaning)?.run(command, answer).await
}

/// The same, if what the client has seen has not changed since; a client that says nothing of it is not held to it.
pub(super) async fn once_if_unchanged<C: Command>(
    api: &Api,
    head: &Parts,
    meaning: Meaning,
    (command, seen): (&C, Option<&Seen>),
    answer: impl Fn(C::Reply) -> Result<Answer, Problem> + Send + Sync,
) -> Result<Response, Problem> {
    let answer = |reply| match reply {
        IfUnchangedReply::Ran(reply) => answer(reply),
        IfUnchangedReply::Changed => Err(Problem::new(Code::ChangedMeanwhile, CHANGED_WORDS)),
    };
    once(api, head, meaning.seen(seen), &IfUnchanged { command, seen }, answer).await
}

/// What a caller is told who acts on what has changed since they saw it.
pub(crate) const CHANGED_WORDS: &str = "it has changed since you saw it; see where it stands now";

/// What a client has seen of an order, from the text of a request.
pub(super) fn seen_of_order(order_id: OrderId, text: Option<&str>, texts: &mut Texts) -> Option<Seen> {
    let moved_at = text.and_then(|text| texts.take("/seen", "invalid_time", text.parse::<Timestamp>()));
    moved_at.map(|moved_at| Seen::Order(order_id, moved_at))
}

/// A request with the key that it has, if any, held while it is under way.
pub(super) struct Keyed<'a> {
    api: &'a Api,
    operation: &'static str,
    key: Option<(RequestKey, Held<'a>)>,
}

impl<'a> Keyed<'a> {
    pub(super) fn of(api: &'a Api, head: &Parts, meaning: Meaning) -> Result<Self, Problem> {
        let (operation, caller) = (meaning.operation(), caller(&head.extensions));
        let Some(key) = key(&head.headers)? else { return Ok(Self { api, operation, key: None }) };
        let held = api.in_flight.hold(&caller, operation, key)?;
        let key = RequestKey { caller, operation, key: key.to_owned(), digest: meaning.digest() };
        Ok(Self { api, operation, key: Some((key, held)) })
    }

    async fn run<C: Command>(
        &self,
        command: &C,
        answer: impl Fn(C::Reply) -> Result<Answer, Problem> + Send + Sync,
    ) -> Result<Response, Problem> {
        let key = self.key.as_ref().map(|(key, _)| key);
        let once = Once { key, command, answer };
        match self.api.commands.run(&once).await.map_err(|fault| failed(&fault, key))? {
            OnceReply::Done(answer) => Ok(given(answer)),
            OnceReply::Replayed(answer) => Ok(replayed(given(answer))),
            OnceReply::Refused(problem) => Err(problem),
            OnceReply::Reused => Err(reused(key.map_or("", |key| &key.key), self.operation)),
        }
    }

    /// What was answered before, for a request whose effect is more than one transaction; each part of it must be done once by
    /// itself.
    pub(super) async fn answered(&self) -> Result<Option<Response>, Problem> {
        let Some((key, _)) = &self.key else { return Ok(None) };
        let looking = Once { key: Some(key), command: &Nothing, answer: |()| Err(()) };
        match self.api.commands.run(&looking).await? {
            OnceReply::Replayed(answer) => Ok(Some(replayed(given(answer)))),
            OnceReply::Reused => Err(reused(&key.key, self.operation)),
            OnceReply::Done(_) | OnceReply::Refused(()) => Ok(None),
        }
    }

    /// Keeps the answer to such a request when all of it is done.
    pub(super) async fn keep(&self, answer: Answer) -> Result<Response, Problem> {
        self.run(&Nothing, |()| Ok(answer.clone())).await
    }
}

/// Changes nothing, beside keeping an answer or looking for one.
struct Nothing;

#[async_trait]
impl Command for Nothing {
    type Reply = ();

    const NAME: &'static str = "Nothing";

    async fn handle(&self, _unit: &mut dyn UnitOfWork, _context: &Context) -> Result<(), Fault> {
        Ok(())
    }
}

/// A client with a key may simply try again.
fn failed(fault: &Fault, key: Option<&RequestKey>) -> Problem {
    if key.is_some() && fault.is_in_doubt() {
        Problem::new(Code::StoreUnavailable, "it may have been done; try again with the same key")
    } else {
        Problem::from(fault)
    }
}

/// An answer in JSON.
pub(super) fn answer(status: StatusCode, body: &impl Serialize) -> Result<Answer, Problem> {
    let unwritten = |error: serde_json::Error| Problem::new(Code::Internal, error.to_string());
    Ok(Answer { status: status.as_u16(), body: serde_json::to_vec(body).map_err(unwritten)? })
}

pub(super) fn given(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let json = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, json)], answer.body).into_response()
}

/// Marks an answer as one that was given before.
pub(super) fn replayed(mut response: Response) -> Response {
    response.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_held_once_and_is_free_again_afterwards() {
        let keys = InFlightKeys::default();
        let (one, two) = (Caller::without_key(), Caller::new("1".into(), "shop".into()));
        let held = keys.hold(&one, "createOrder", "a").expect("free");
        assert_eq!(
            keys.hold(&one, "createOrder", "a").map(|_| ()).map_err(|problem| problem.code()),
            Err(Code::RequestInProgress)
        );
        assert!(keys.hold(&one, "createOrder", "b").is_ok());
        assert!(keys.hold(&one, "cancelOrder", "a").is_ok());
        assert!(keys.hold(&two, "createOrder", "a").is_ok());
        drop(held);
        assert!(keys.hold(&one, "createOrder", "a").is_ok());
    }

    #[test]
    fn keys_that_are_empty_doubled_or_too_long_are_refused_and_none_is_none() {
        let mut headers = HeaderMap::new();
        let code = |headers: &HeaderMap| {
            key(headers).map(|key| key.map(str::to_owned)).map_err(|problem| problem.code())
        };
        assert_eq!(code(&headers), Ok(None));
        for refused in ["", "a\tb", &"k".repeat(256)] {
            headers.insert("idempotency-key", refused.parse().expect("a header"));
            assert_eq!(code(&headers), Err(Code::IdempotencyKeyInvalid), "{refused:?}");
        }
        headers.insert("idempotency-key", "k".parse().expect("a header"));
        assert_eq!(code(&headers), Ok(Some("k".to_owned())));
        headers.append("idempotency-key", "l".parse().expect("a header"));
        assert_eq!(code(&headers), Err(Code::IdempotencyKeyInvalid));
    }
}
