//! MassTransit's `Fault<T>`: the news that a message of type `T` could not be handled; and its `ReceiveFault`, of a message whose
//! type is not known. Only written, never read.

use bus::DeadLetter;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::masstransit::Read;

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
pub(super) struct Exception<'a> {
    exception_type: String,
    inner_exception: Option<&'static str>,
    stack_trace: &'static str,
    message: &'a str,
    source: &'a str,
    data: Option<&'static str>,
}

impl<'a> Exception<'a> {
    pub(super) fn new(exception_type: String, message: &'a str, source: &'a str) -> Self {
        Self { exception_type, inner_exception: None, stack_trace: "", message, source, data: None }
    }
}

/// The fault of a message whose envelope can be read and whose type is none that the queue takes, or that lacks something.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RefusedBody<'a> {
    fault_id: Uuid,
    faulted_message_id: Option<Uuid>,
    timestamp: Timestamp,
    exceptions: [Exception<'a>; 1],
    host: &'a RawValue,
    fault_message_types: &'a [String],
    message: &'a RawValue,
}

impl<'a> RefusedBody<'a> {
    pub(super) const fn of(
        fault_id: Uuid,
        faulted_message_id: Option<Uuid>,
        timestamp: Timestamp,
        exception: Exception<'a>,
        host: &'a RawValue,
        read: &'a Read<'a>,
    ) -> Self {
        Self {
            fault_id,
            faulted_message_id,
            timestamp,
            exceptions: [exception],
            host,
            fault_message_types: read.message_type.as_slice(),
            message: read.message,
        }
    }
}

/// The fault of a message of which nothing can be read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReceiveFaultBody<'a> {
    fault_id: Uuid,
    timestamp: Timestamp,
    faulted_message_id: Option<Uuid>,
    exceptions: [Exception<'a>; 1],
    host: &'a RawValue,
    fault_message_types: Option<&'static [String]>,
    content_type: &'a str,
}

impl<'a> ReceiveFaultBody<'a> {
    pub(super) const fn of(
        fault_id: Uuid,
        faulted_message_id: Option<Uuid>,
        timestamp: Timestamp,
        exception: Exception<'a>,
        host: &'a RawValue,
        content_type: &'a str,
    ) -> Self {
        Self {
            fault_id,
            timestamp,
            faulted_message_id,
            exceptions: [exception],
            host,
            fault_message_types: None,
            content_type,
        }
    }
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
        let exception = Exception::new(exception_type, &dead.reason, &dead.queue);
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
