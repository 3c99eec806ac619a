//! Every bound of the bus, with the reason for its size. Nothing here grows without one of these.

use std::time::Duration;

/// Messages in one transaction. Beyond a few hundred the cost per message no longer falls, while latency still rises.
pub const BATCH_MAX: usize = 256;

/// Effects under way at once per endpoint: enough to hide a provider's latency, few enough to be polite.
pub const PERFORM_MAX: usize = 256;

/// Messages of one queue kept in memory ahead of their turn; the rest waits in the store.
pub const QUEUE_MEMORY_MAX: usize = 4_096;

/// Callers waiting for one coalescer; the next is told to come back.
pub const COALESCE_WAITING_MAX: usize = 16_384;

/// Due timers fired in one transaction.
pub const TIMER_BATCH_MAX: usize = 512;

/// Longest sleep of a timer service before it reads the clock again, so that a clock that jumped is noticed.
pub const TIMER_POLL_MAX: Duration = Duration::from_millis(250);

/// How long a fired timer waits for its message to be handled before it fires again: longer than a message lies in
/// the queue of a healthy service. Each further pause is twice as long.
pub const TIMER_AGAIN_MIN: Duration = Duration::from_secs(30);

/// The longest of these pauses: a lost message is replaced within it, however often that happens.
pub const TIMER_AGAIN_MAX: Duration = Duration::from_secs(10 * 60);

/// Outbox rows leased to one relay at a time.
pub const RELAY_BATCH_MAX: usize = 512;

/// How long a lease on outbox rows holds; a relay that died frees its rows after this.
pub const RELAY_LEASE: Duration = Duration::from_secs(30);

/// How long a relay waits for the broker's confirms; well within the lease, or two relays would send the same rows.
pub const RELAY_CONFIRM_MAX: Duration = Duration::from_secs(10);

/// How often a relay tries again what could not be sent, as long as it holds it: what a message lacked at the broker
/// may be there again.
pub const RELAY_AGAIN: Duration = Duration::from_secs(2);

/// How many of them it tries each time, since each is sent alone.
pub const RELAY_AGAIN_MAX: usize = 16;

/// How long a relay gathers after a slice that was not full, so that few transactions remove many rows. After a rest
/// there is no wait.
pub const RELAY_PAUSE: Duration = Duration::from_millis(20);

/// How often a relay looks at the outbox without being woken.
pub const RELAY_POLL: Duration = Duration::from_millis(500);

/// Delay before a message that needs a newer program is offered again.
pub const LEFT_FOR: Duration = Duration::from_secs(2);

/// Attempts at a conflicting batch before it is treated as poisoned.
pub const CONFLICT_ATTEMPTS_MAX: u32 = 8;

/// Attempts at a batch that the store begins and never finishes, before each half is tried alone: it may be able to
/// finish parts. About eleven seconds.
pub const WHOLE_ATTEMPTS_MAX: u32 = 8;

/// Characters of an error text that are kept with a message.
pub const REASON_CHARS_MAX: usize = 2_000;

/// Longest pause between attempts while the store or broker is away.
pub const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// First pause of that kind.
pub const BACKOFF_MIN: Duration = Duration::from_millis(50);

const _: () = assert!(BATCH_MAX <= QUEUE_MEMORY_MAX, "a batch must fit in what a queue keeps in memory");
const _: () = assert!(PERFORM_MAX <= QUEUE_MEMORY_MAX, "effects under way come out of the same memory");
const _: () = assert!(
    RELAY_CONFIRM_MAX.as_millis() * 2 <= RELAY_LEASE.as_millis(),
    "a relay must give up on its confirms long before its lease ends"
);
