//! What is said of a message that cannot be read: headers that say why it lies in the error queue, and a fault for its sender, as
//! MassTransit writes both. Only written, never read.

use std::collections::BTreeMap;

use bus::MessageId;
use jiff::Timestamp;
use serde_json::value::to_raw_value;
use uuid::Uuid;

use super::codec::{Codec, parcel as written_parcel};
use super::fault_message::{Exception, ReceiveFaultBody, RefusedBody};
use super::masstransit::{Read, Written};
use super::parse::{id_of, media_type};
use super::{MASSTRANSIT_JSON, Naming, Parcel, WireError};

/// Characters of a reason that travel in a header; a frame may be no longer than 8 KiB.
const REASON_CHARS_MAX: usize = 500;

/// What `MT-Reason` says of a message whose time has passed.
pub const EXPIRED: &str = "expired";

/// What is said of a message that cannot be read.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What is added to its headers.
    pub headers: BTreeMap<String, String>,
    /// What is told; nothing of a message that is a fault itself, or faults about faults would never end, and nothing of one that its
    /// sender did not want handled any more.
    pub fault: Option<RefusedFault>,
}

/// The fault about a message that cannot be read.
#[derive(Clone, Debug)]
pub struct RefusedFault {
    /// What travels.
    pub parcel: Parcel,
    /// The exchange that the sender named for it, if that is on our virtual host.
    pub answer_to: Option<String>,
    /// The exchange for those who listen to faults.
    pub exchange: String,
}

/// What of a message is known although it cannot be read.
struct Known<'a> {
    read: Option<Read<'a>>,
    id: Option<Uuid>,
}

impl Codec {
    /// What is said of a message that was delivered to this queue, which takes `kinds`, and cannot be read, or is late. Said twice, it is a repeat if
    /// the message has an id.
    #[must_use]
    pub fn refuse(
        &self,
        parcel: &Parcel,
        queue: &str,
        kinds: &[&str],
        error: &WireError,
        now: Timestamp,
    ) -> Refused {
        let printable = |letter: char| if letter.is_control() { ' ' } else { letter };
        let reason: String = error.to_string().chars().take(REASON_CHARS_MAX).map(printable).collect();
        let is_envelope = media_type(&parcel.content_type) == MASSTRANSIT_JSON;
        let read = is_envelope.then(|| Read::parse(&parcel.body).ok()).flatten();
        let id =
            read.as_ref().and_then(|read| read.message_id).or_else(|| id_of(parcel.message_id.as_deref()));
        let known = Known { read, id };
        let is_expired = matches!(error, WireError::Expired { .. });
        let fault = (!is_expired && !known.is_fault())
            .then(|| self.refused_fault(parcel, queue, kinds, &known, &reason, now));
        let why = match is_expired {
            true => (EXPIRED, self.naming().expired_type()),
            false => ("fault", self.naming().unreadable_type()),
        };
        Refused { headers: self.reason_headers(queue, why, reason, now), fault }
    }

    fn reason_headers(
        &self,
        queue: &str,
        (word, exception_type): (&str, String),
        reason: String,
        now: Timestamp,
    ) -> BTreeMap<String, String> {
        let said = [
            ("MT-Reason", word.to_owned()),
            ("MT-Fault-ExceptionType", exception_type),
            ("MT-Fault-Message", reason),
            ("MT-Fault-InputAddress", self.address(queue)),
            ("MT-Fault-Timestamp", now.to_string()),
        ];
        let host = self.host_headers().iter().cloned();
        said.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(host).collect()
    }

    fn refused_fault(
        &self,
        parcel: &Parcel,
        queue: &str,
        kinds: &[&str],
        known: &Known<'_>,
        reason: &str,
        now: Timestamp,
    ) -> RefusedFault {
        let told_of = format!("ReceiveFault {queue}");
        let nameless = || Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{now} {told_of}").as_bytes());
        let id = known.id.map_or_else(nameless, |id| MessageId(id).child(&told_of, 0).0);
        let exception = Exception::new(self.naming().unreadable_type(), reason, queue);
        let (message_type, exchange, body) = match &known.read {
            Some(read) if !read.message_type.is_empty() => {
                let kind = self.naming().kind(&read.message_type, kinds);
                let exchange = kind.map(|kind| self.naming().fault_exchange(kind));
                let body = RefusedBody::of(id, known.id, now, exception, self.host(), read);
                let types = Naming::fault_urns_of(&read.message_type[0]).to_vec();
                (
                    types,
                    exchange.unwrap_or_else(|| Naming::all_faults_exchange().to_owned()),
                    to_raw_value(&body),
                )
            }
            Some(_) | None => {
                let body =
                    ReceiveFaultBody::of(id, known.id, now, exception, self.host(), &parcel.content_type);
                let types = Naming::receive_fault_urns().to_vec();
                (types, Naming::receive_fault_exchange().to_owned(), to_raw_value(&body))
            }
        };
        let message = body.expect("a fault is plain data, which always has a JSON form");
        let read = known.read.as_ref();
        let address =
            read.and_then(|read| read.fault_address.as_deref().or(read.response_address.as_deref()));
        let answer_to = address.and_then(|address| self.exchange_at(address));
        let destination = answer_to.as_ref().unwrap_or(&exchange);
        let written = Written {
            message_id: id,
            request_id: read.and_then(|read| read.request_id),
            correlation_id: read.and_then(|read| read.correlation_id),
            conversation_id: read.and_then(|read| read.conversation_id).unwrap_or(id),
            initiator_id: known.id,
            source_address: &self.address(queue),
            destination_address: self.address(destination),
            response_address: None,
            fault_address: None,
            message_type,
            message: &message,
            expiration_time: None,
            sent_time: now,
            headers: BTreeMap::new(),
            host: self.host(),
        };
        RefusedFault { parcel: written_parcel(&written), answer_to, exchange }
    }

    /// The exchange that an address of MassTransit leads to: `rabbitmq://host/vhost/name?options`, or `exchange:name` and
    /// `queue:name`. None on another virtual host; the broker may have many names, so the host says nothing.
    pub(super) fn exchange_at(&self, address: &str) -> Option<String> {
        let address = address.split('?').next().unwrap_or_default();
        let short = address.strip_prefix("exchange:").or_else(|| address.strip_prefix("queue:"));
        let name = match short {
            Some(name) => name,
            None => {
                let (_, path) = address.split_once("://")?.1.split_once('/')?;
                let (vhost, name) = path.rsplit_once('/').unwrap_or(("", path));
                (vhost == self.vhost()).then_some(name)?
            }
        };
        let is_usable = !name.is_empty() && name.len() <= 255 && !name.starts_with("amq.");
        is_usable.then(|| name.to_owned())
    }
}

impl Known<'_> {
    fn is_fault(&self) -> bool {
        self.read.iter().flat_map(|read| &read.message_type).any(|urn| Naming::is_fault(urn))
    }
}
