//! Parses path and query parameters; each mistake is reported with its name. Changes nothing.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use domain::text::{Lines, refuse};
use domain::{HoldId, OrderId, ReturnId, Sku};
use http::request::Parts;
use serde::Serialize;

use super::cursor::Cursor;
use super::limits::{PAGE_DEFAULT, PAGE_MAX, PARAMETER_BYTES_MAX};
use super::problem::{Code, Place, Problem, Wrong};
use super::route::{self, Parameter};
use super::shape::Shape;

/// The order, or the saga, that the path names.
pub(super) struct OrderInPath(pub(super) OrderId);

/// The order and its hold that the path names.
pub(super) struct HoldInPath(pub(super) OrderId, pub(super) HoldId);

/// The order and its return that the path names.
pub(super) struct ReturnInPath(pub(super) OrderId, pub(super) ReturnId);

/// The place in a numbered list that the path names.
pub(super) struct PositionInPath(pub(super) i64);

/// The product that the path names.
pub(super) struct SkuInPath(pub(super) Sku);

/// The queue that the path names.
pub(super) struct NameInPath(pub(super) String);

/// The first part of the path that is not fixed.
pub(super) struct TextInPath(pub(super) String);

/// Where in a listing, for the document.
pub(super) const CURSOR: Parameter =
    route::query("cursor", Shape::Text, "Where to go on: 'next_cursor' of the page before.");
/// How much of a listing, for the document.
pub(super) const LIMIT: Parameter =
    route::query("limit", Shape::Integer, "Entries of the page, 1 to 200; 50 unless said.");

impl<S: Send + Sync> FromRequestParts<S> for OrderInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        parsed(parts, state, "order_id").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for HoldInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let order_id = parsed(parts, state, "order_id").await?;
        Ok(Self(order_id, parsed(parts, state, "hold_id").await?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ReturnInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let order_id = parsed(parts, state, "order_id").await?;
        Ok(Self(order_id, parsed(parts, state, "return_id").await?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PositionInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        parsed(parts, state, "position").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SkuInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        parsed(parts, state, "sku").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NameInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        parsed(parts, state, "name").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TextInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        parsed(parts, state, "code").await.map(Self)
    }
}

pub(super) async fn parsed<T: FromStr<Err: Display>, S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    name: &'static str,
) -> Result<T, Problem> {
    let unreadable = || invalid(name, "it is not UTF-8 behind its percent signs");
    let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| unreadable())?;
    let (_, text) = params.iter().find(|(known, _)| *known == name).ok_or_else(unreadable)?;
    text.parse().map_err(|error| invalid(name, error))
}

fn invalid(name: &'static str, error: impl Display) -> Problem {
    Problem::of(Code::InvalidParameter, vec![wrong(name, error)])
}

fn wrong(name: &'static str, error: impl Display) -> Wrong {
    Wrong {
        place: Place::Parameter(name),
        code: Cow::Borrowed("invalid_value"),
        detail: format!("'{name}': {error}"),
    }
}

/// The query of an address.
pub(super) struct Query {
    pairs: Vec<(String, String)>,
    wrongs: Vec<Wrong>,
}

impl Query {
    /// Takes the query apart; only these names are known.
    pub(super) fn of(parts: &Parts, known: &[&str]) -> Self {
        let query = parts.uri.query().unwrap_or("");
        let pairs: Vec<(String, String)> = url_pairs(query).collect();
        let stranger = |(name, _): &(String, String)| !known.contains(&name.as_str());
        let wrongs = pairs
            .iter()
            .filter(|pair| stranger(pair))
            .map(|(name, _)| Wrong {
                place: Place::UnknownParameter(name.clone()),
                code: Cow::Borrowed("unknown_parameter"),
                detail: format!("there is no such parameter; there are {}", known.join(", ")),
            })
            .collect();
        Self { pairs, wrongs }
    }

    /// The value of a parameter, if it is there once and makes sense.
    pub(super) fn take<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let mut values = self.pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value);
        let value = values.next()?;
        let parsed = match values.next() {
            Some(_) => Err(wrong(name, "it stands there twice")),
            None => check(value)
                .and_then(|()| parse(value).map_err(|error| with_advice(value, &error)))
                .map_err(|error| wrong(name, error)),
        };
        parsed.map_err(|wrong| self.wrongs.push(wrong)).ok()
    }

    /// Where the page begins.
    pub(super) fn cursor<C: Cursor>(&mut self) -> Option<C> {
        self.take("cursor", C::decode)
    }

    /// Where the page begins, if the cursor may be used here.
    pub(super) fn cursor_that<C: Cursor, T>(
        &mut self,
        fits: impl FnOnce(C) -> Result<T, &'static str>,
    ) -> Option<T> {
        self.take("cursor", |text| C::decode(text).and_then(fits))
    }

    /// Entries of the page.
    pub(super) fn limit(&mut self) -> usize {
        let parse = |text: &str| match text.parse() {
            Ok(limit) if (1..=PAGE_MAX).contains(&limit) => Ok(limit),
            Ok(_) | Err(_) => Err(format!("a whole number from 1 to {PAGE_MAX}, not '{text}'")),
        };
        self.take("limit", parse).unwrap_or(PAGE_DEFAULT)
    }

    /// Ends the reading.
    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.wrongs.is_empty() { Ok(()) } else { Err(Problem::of(Code::InvalidParameter, self.wrongs)) }
    }
}

/// In a query a plus is a space; the message says so if a plus may have been meant.
fn with_advice(value: &str, error: &impl Display) -> String {
    let is_time = value.contains(':') && value.trim() == value;
    match value.rsplit_once(' ') {
        Some((_, offset)) if is_time && offset.starts_with(|first: char| first.is_ascii_digit()) => {
            format!("{error}; a '+' is a space here: write %2B for the one of '+{offset}'")
        }
        Some(_) | None => error.to_string(),
    }
}

/// Refuses what no parameter can be, whatever it is for.
fn check(value: &str) -> Result<(), String> {
    if value.len() > PARAMETER_BYTES_MAX {
        return Err(format!("at most {PARAMETER_BYTES_MAX} bytes, this has {}", value.len()));
    }
    refuse(value, Lines::One).map_err(|error| error.to_string())
}

fn url_pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned()
}

/// A page as it is answered.
#[derive(Serialize)]
pub(super) struct PageAnswer<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> PageAnswer<T> {
    /// The page, with the place of its last entry if there are more.
    pub(super) fn new<C: Cursor>(items: Vec<T>, more: More, place: impl FnOnce(&T) -> Option<C>) -> Self {
        let next_cursor = match more {
            More::Yes => items.last().and_then(place).map(|cursor| cursor.encode()),
            More::No => None,
        };
        Self { items, next_cursor }
    }

    /// The page, with the place up to which was looked if that was not the end.
    pub(super) fn up_to<C: Cursor>(items: Vec<T>, next: Option<C>) -> Self {
        Self { items, next_cursor: next.map(|cursor| cursor.encode()) }
    }
}

/// Whether a listing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    /// There are more entries.
    Yes,
    /// This was the last page.
    No,
}

impl From<bool> for More {
    fn from(has_more: bool) -> Self {
        if has_more { Self::Yes } else { Self::No }
    }
}
