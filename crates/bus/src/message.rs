//! What a consumer understands: a set of message kinds and how each is written as bytes.
//! Never says where a message goes; that is the topology's business.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{CorrelationId, Envelope, Fault, MessageId};

/// One message type, or a closed enum of the types that one consumer handles. Derive it:
///
/// ```
/// # use orderwright_bus as bus;
/// # use bus::{Message, TimerFired};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize, Message)]
/// #[message(kind = "MeterRead")]
/// struct MeterRead { kwh: i64 }
///
/// #[derive(Message)]
/// enum News {
///     Read(MeterRead),
///     #[message(kind = "MeterTimer")]
///     Silent(TimerFired),
/// }
/// assert_eq!(News::KINDS, ["MeterRead", "MeterTimer"]);
/// ```
///
/// A message without a kind does not compile, and two variants of one enum cannot have the same kind:
///
/// ```compile_fail
/// # use orderwright_bus as bus;
/// #[derive(serde::Serialize, serde::Deserialize, bus::Message)]
/// struct MeterRead { kwh: i64 }
/// ```
///
/// ```compile_fail,E0080
/// # use orderwright_bus as bus;
/// #[derive(bus::Message)]
/// enum News {
///     #[message(kind = "MeterTimer")]
///     Silent(bus::TimerFired),
///     #[message(kind = "MeterTimer")]
///     Loud(bus::TimerFired),
/// }
/// # let _ = <News as bus::Message>::KINDS;
/// ```
pub trait Message: Sized + Send + Sync + 'static {
    /// The kinds that it may have on the wire.
    const KINDS: &'static [&'static str];

    /// The kind of this value; one of [`Self::KINDS`].
    fn kind(&self) -> &'static str;

    /// The body as bytes.
    fn encode(&self) -> Bytes;

    /// Reads a body of the given kind.
    ///
    /// # Errors
    /// [`crate::Verdict::GiveUp`] for an unknown kind or a body that does not fit it.
    fn decode(kind: &str, body: &[u8]) -> Result<Self, Fault>;

    /// An envelope with this message, as the first of a conversation.
    fn first(&self, id: MessageId, correlation_id: CorrelationId, now: Timestamp) -> Envelope {
        Envelope::first(id, correlation_id, self.kind(), self.encode(), now)
    }

    /// An envelope for this message as a consequence of `cause`.
    fn caused_by(&self, cause: &Envelope, ordinal: u32, now: Timestamp) -> Envelope {
        cause.caused(self.kind(), ordinal, self.encode(), now)
    }
}

/// Encodes a body as JSON, the format of all our messages.
pub fn to_json<T: Serialize>(value: &T) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("a message is plain data, which always has a JSON form"))
}

/// Decodes a JSON body.
///
/// # Errors
/// [`crate::Verdict::GiveUp`] naming the position in the body that does not fit.
pub fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::give_up("message.decode", error))
}

/// All kinds of an enum of messages, for the derive.
///
/// # Panics
/// While compiling: if two of its variants have the same kind.
#[must_use]
pub const fn all_kinds<const COUNT: usize>(parts: &[&[&'static str]]) -> [&'static str; COUNT] {
    let mut all = [""; COUNT];
    let (mut count, mut part) = (0, 0);
    while part < parts.len() {
        let mut place = 0;
        while place < parts[part].len() {
            let kind = parts[part][place];
            let mut earlier = 0;
            while earlier < count {
                assert!(!is_same(all[earlier], kind), "two variants of this enum have the same kind");
                earlier += 1;
            }
            all[count] = kind;
            count += 1;
            place += 1;
        }
        part += 1;
    }
    all
}

const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut place = 0;
    while place < one.len() && place < other.len() && one[place] == other[place] {
        place += 1;
    }
    place == one.len() && place == other.len()
}

/// The fault for a kind that no variant has, for the derive.
#[must_use]
pub fn unknown_kind(kind: &str) -> Fault {
    Fault::give_up("message.decode", format!("no consumer here for kind '{kind}'"))
}
