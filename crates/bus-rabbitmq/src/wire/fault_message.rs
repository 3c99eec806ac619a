//! MassTransit's `Fault<T>`: the news that a message of type `T` could not be handled. Only written, never read.

use bus::DeadLetter;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

/// The message within the envelope of a fault.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FaultBody<'a> {
    fault_id: Uuid,
    faulted_message_id: Uuid,
    timestamp: Timestamp,
    exceptions: [Exception<'a>; 1],
    host: &'a RawValue,
    fault_message_types: [String; 1],
    message: &'a RawValue,
}

/// Why, in the terms of .NET.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Exception<'a> {
    exception_type: String,
    inner_exception: Option<&'static str>,
    stack_trace: &'static str,
    message: &'a str,
    source: &'a str,
    data: Option<&'static str>,
}

impl<'a> FaultBody<'a> {
    /// The fault of a message whose body on the wire is `original`.
    pub(super) fn new(
        fault_id: Uuid,
        dead: &'a DeadLetter,
        urn: String,
        original: &'a RawValue,
        host: &'a RawValue,
        exception_type: String,
    ) -> Self {
        let exception = Exception {
            exception_type,
            inner_exception: None,
            stack_trace: "",
            message: &dead.reason,
            source: &dead.queue,
            data: None,
        };
        Self {
            fault_id,
            faulted_message_id: dead.envelope.id.0,
            timestamp: dead.died_at,
            exceptions: [exception],
            host,
            fault_message_types: [urn],
            message: original,
        }
    }

    /// As JSON.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("a fault is plain data, which always has a JSON form")
    }
}
