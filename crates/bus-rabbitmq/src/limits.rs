//! Every bound of the RabbitMQ adapter, with why it has its size.

use std::time::Duration;

/// Messages published and not yet confirmed, per sending. The relay sends at most [`bus::limits::RELAY_BATCH_MAX`] at once.
pub(super) const IN_FLIGHT_MAX: usize = 512;

/// Channels for publishing that are kept open between sendings; more senders than that at once open their own.
pub(super) const IDLE_CHANNELS_MAX: usize = 4;

/// Exchanges that are remembered as declared on the way; past that the memory begins anew.
pub(super) const KNOWN_EXCHANGES_MAX: usize = 1_024;

/// Deliveries that the broker may have sent ahead, in batches: one in hand and one on its way.
pub(super) const PREFETCH_BATCHES: usize = 2;

/// The prefetch of AMQP is a number of two bytes.
pub(super) const PREFETCH_MAX: u16 = u16::MAX;

/// Seconds between heartbeats; a peer that is silent for twice as long is gone.
pub(super) const HEARTBEAT_S: u16 = 10;

/// How long a broker may take to have everything declared: long enough for one far away, for the first time, with its leaders still
/// being elected. It does not come out of the time for connecting.
pub(super) const DECLARE_LIMIT: Duration = Duration::from_secs(20);

/// How long one queue may take that is declared by itself, so that one without a leader does not use up the time of all.
pub(super) const QUEUE_DECLARE_LIMIT: Duration = Duration::from_secs(3);

/// First pause before what is amiss at the broker is declared again, or sent to again.
pub(super) const AMISS_PAUSE_MIN: Duration = Duration::from_secs(1);

/// Longest pause of that kind.
pub(super) const AMISS_PAUSE_MAX: Duration = Duration::from_secs(15);

/// For how long after its pause something counts as amiss although it was not tried since; and within which two broken connections belong
/// together.
pub(super) const AMISS_REMEMBERED: Duration = Duration::from_secs(60);

/// For how long nothing may befall a connection after a consumer was opened on it by itself, before the next one is. What is wrong with
/// a message that lies ready shows at once.
pub(super) const OPENED_ALONE_FOR: Duration = Duration::from_secs(1);

/// Deliveries that the broker may send ahead of a queue that it cannot deliver: what comes before the trouble is to get through.
pub(super) const PREFETCH_ALONE: u16 = 1;

/// Declarations under way at once on one channel.
pub(super) const DECLARED_AT_ONCE_MAX: usize = 64;

/// First pause after all addresses were tried in vain.
pub(super) const ROUND_PAUSE_MIN: Duration = Duration::from_millis(50);

/// Longest pause of that kind: a broker that comes back is found again within it.
pub(super) const ROUND_PAUSE_MAX: Duration = Duration::from_secs(2);

/// How long a consumer may hear nothing before the readers of its queue are counted.
pub(super) const LOOK_AFTER: Duration = Duration::from_secs(5);

/// How long a consumer may hear nothing before it is made anew, whatever the count says. RabbitMQ 3.10.8 counts a consumer that it
/// sends nothing, and keeps for it what comes to the queue; nothing but the end of its channel gives that back.
pub(super) const RENEW_AFTER: Duration = Duration::from_secs(15);

/// Channels of one connection that were given up and of which the broker has not said that they are closed. Past that the connection is
/// cut, and everything on it begins anew.
pub(super) const BURIED_MAX: usize = 32;

/// Channels that a connection needs beside one for each queue: to declare, to look, and to open a consumer anew.
pub(super) const SPARE_CHANNELS: usize = 3;

/// Bytes of a short string in AMQP: names of queues and exchanges.
pub(super) const NAME_BYTES_MAX: usize = 255;

/// Bytes of what the names of queues begin with; the rest of [`NAME_BYTES_MAX`] is for the names themselves.
pub(super) const PREFIX_BYTES_MAX: usize = 100;

/// Addresses of one cluster.
pub(super) const ADDRESSES_MAX: usize = 32;

/// Bytes of text that the properties of a message may have if others are to be added to them: properties must fit a frame, of which the
/// smallest has 8 KiB.
pub(super) const HEADERS_MAX: usize = 5_000;

/// How often a message in an error queue may be looked at and put back. From RabbitMQ 4.0 on a quorum queue that says nothing drops
/// a message with the twenty-first look, for there is no further error queue. "Without end" is -1 there; 3.10 takes that too, and drops
/// a message with the first look.
pub(super) const LOOKS_MAX: i64 = i32::MAX as i64;

const _: () = assert!(
    DECLARE_LIMIT.as_secs() <= 2 * HEARTBEAT_S as u64,
    "a broker that dies while it declares is found out by its missing heartbeats at that time anyway"
);

/// How long somebody waits for a turn at an error queue before they are told that another has it: a look takes some hundredths of a
/// second, so whoever has it for longer is moving messages.
pub(super) const TURN_LIMIT: Duration = Duration::from_secs(3);

/// Pause before a turn that another process has is asked for again.
pub(super) const TURN_PAUSE: Duration = Duration::from_millis(50);
