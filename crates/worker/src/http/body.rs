//! Reads bodies: bounded in bytes and in time, JSON into types, or everything that is wrong with them. Decides nothing.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;

use super::exchange::TooSlow;
use super::limits::{BODY_TIME_MAX, ORDER_BYTES_MAX};
use super::problem::{Code, Problem, Wrong};
use super::shape::Shape;

/// The whole body, if it is no longer than `bytes_max`.
pub(super) async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let announced = axum::body::HttpBody::size_hint(&body).lower();
    if usize::try_from(announced).is_ok_and(|announced| announced <= bytes_max) {
        let reading = tokio::time::timeout(BODY_TIME_MAX, collect(body, bytes_max));
        reading.await.unwrap_or_else(|_| Err(too_slow()))
    } else {
        Err(too_large(bytes_max))
    }
}

async fn collect(mut body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(broken)?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        // Most bodies come in one piece, which then need not be copied.
        match (first.is_empty(), rest.is_empty()) {
            (true, true) => first = data,
            (false, _) => {
                rest.extend_from_slice(&std::mem::take(&mut first));
                rest.extend_from_slice(&data);
            }
            (true, false) => rest.extend_from_slice(&data),
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

fn broken(error: axum::Error) -> Problem {
    let error = error.into_inner();
    match error.downcast_ref::<TooSlow>() {
        Some(TooSlow) => too_slow(),
        None => Problem::new(Code::BodyBroken, error.to_string()),
    }
}

fn too_slow() -> Problem {
    Problem::new(Code::BodyTooSlow, TooSlow.to_string())
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("at most {bytes_max} bytes are taken here"))
}

/// The text of a small JSON request.
pub(super) async fn json(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    expect_json(headers)?;
    read(body, ORDER_BYTES_MAX).await
}

/// The value of a JSON text, or everything about its form that is wrong. A list of values is not taken for an object, as
/// serde would: an empty one would stand for an object that says nothing.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8], shape: &Shape) -> Result<T, Problem> {
    let read = serde_json::from_slice(body).map_err(|error| diagnose(body, shape, &error))?;
    let mut wrongs = serde_json::from_slice(body).map(|value| shape.examine(&value)).unwrap_or_default();
    wrongs.retain(Wrong::is_of_another_type);
    if wrongs.is_empty() { Ok(read) } else { Err(Problem::invalid(wrongs)) }
}

/// What is wrong with a text that could not be read as what it should be.
pub(super) fn diagnose(body: &[u8], shape: &Shape, error: &serde_json::Error) -> Problem {
    match examined(body, shape, error) {
        Ok((_, wrongs)) => Problem::invalid(wrongs),
        Err(problem) => problem,
    }
}

/// The value of a text that could not be read, with everything about its form that is wrong; never nothing.
pub(super) fn examined(
    body: &[u8],
    shape: &Shape,
    error: &serde_json::Error,
) -> Result<(Value, Vec<Wrong>), Problem> {
    let value: Value = serde_json::from_slice(body).map_err(|error| malformed(body, &error))?;
    let mut wrongs = shape.examine(&value);
    if wrongs.is_empty() {
        // A parsed value has lost a repeated member; only the reader's message tells.
        let code = if error.classify() == Category::Data { "unreadable" } else { "malformed" };
        wrongs.push(Wrong::at("", code, error.to_string()));
    }
    Ok((value, wrongs))
}

/// What a text begins with that is no JSON, and why.
const STRANGE_BEGINNINGS: [(&[u8], &str); 4] = [
    (b"\x1f\x8b", "the body is packed with gzip; send it as it is"),
    (b"\xef\xbb\xbf", "the body begins with a byte order mark; send it without"),
    (b"\xff\xfe", "the body is UTF-16; send it as UTF-8"),
    (b"\xfe\xff", "the body is UTF-16; send it as UTF-8"),
];

fn malformed(body: &[u8], error: &serde_json::Error) -> Problem {
    let strange = STRANGE_BEGINNINGS.iter().find(|(beginning, _)| body.starts_with(beginning));
    // The message of the reader ends with line and column.
    let detail = match (strange, body.is_empty()) {
        (Some((_, words)), _) => (*words).to_owned(),
        (None, true) => "the body is empty; JSON is taken here".to_owned(),
        (None, false) => error.to_string(),
    };
    Problem::new(Code::MalformedJson, detail)
}

/// Refuses bodies that say they are not JSON; one that says nothing is taken for JSON.
pub(super) fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    match media_type(headers) {
        None => Ok(()),
        Some(kind) if kind.eq_ignore_ascii_case("application/json") || kind.ends_with("+json") => Ok(()),
        Some(kind) => {
            let detail = format!("application/json is taken here, not {kind}");
            Err(Problem::new(Code::UnsupportedMediaType, detail))
        }
    }
}

/// The media type without its parameters; an unreadable one is an unsupported type.
pub(super) fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().unwrap_or("unreadable");
    Some(value.split(';').next().unwrap_or(value).trim())
}
