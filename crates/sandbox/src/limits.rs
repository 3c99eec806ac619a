//! Every bound of the sandbox in one place, related to each other by assertions the compiler checks.

use std::time::Duration;

/// Connections open at once; further ones wait in the listen queue.
pub(crate) const CONNECTIONS_MAX: usize = 4_096;
/// Requests one h2 connection may have open.
pub(crate) const STREAMS_PER_CONNECTION_MAX: u32 = 512;
/// Requests being answered at once over all connections; further ones are turned away with 503.
pub(crate) const REQUESTS_MAX: usize = 50_000;
/// Hung calls kept alive after their client gave up.
pub(crate) const HUNG_MAX: usize = 10_000;
/// Longest wait of one request while its provider is paused.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(600);
/// Bytes of a request body.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
/// Characters of an idempotency key.
pub(crate) const KEY_CHARS_MAX: usize = 255;
/// Characters of a reference.
pub(crate) const REFERENCE_CHARS_MAX: usize = 255;
/// Charges that bear one key, the first included.
pub(crate) const CHARGES_PER_KEY_MAX: u32 = 9;

/// Partial refunds of one charge.
pub(crate) const REFUNDS_PER_CHARGE_MAX: usize = 100;

/// Keys remembered by default.
pub(crate) const KEYS_DEFAULT: usize = 2_000_000;
/// Oldest entries looked at for one that may be forgotten.
pub(crate) const FORGET_SCAN_MAX: usize = 64;
/// Rows of one listing page.
pub(crate) const PAGE_MAX: usize = 10_000;
/// Rows of a listing page when not asked for.
pub(crate) const PAGE_DEFAULT: usize = 1_000;

/// Events in one webhook post by default.
pub(crate) const WEBHOOK_BATCH_DEFAULT: usize = 200;
/// Posts in flight per kind of webhook.
pub(crate) const WEBHOOK_POSTS_MAX: usize = 2;
/// Events waiting per kind of webhook; beyond it the oldest is lost, and counted.
pub(crate) const MAILBOX_MAX: usize = 1_000_000;
/// Events whose delay is kept by the timetable; beyond it they leave at once.
pub(crate) const DELAYED_EVENTS_MAX: usize = 200_000;
/// Attempts to post one batch.
pub(crate) const POST_ATTEMPTS_MAX: u32 = 80;
/// Pause after the first failed post; doubles each time.
pub(crate) const POST_BACKOFF_MIN: Duration = Duration::from_millis(50);
/// Longest pause between two attempts to post.
pub(crate) const POST_BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Longest wait for the answer to a post.
pub(crate) const POST_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes read of the answer to a post.
pub(crate) const POST_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Extra delay of a reordered or duplicated event.
pub(crate) const STRAGGLE_MS: (u64, u64) = (50, 1_000);

/// Due entries handled per turn of the timetable.
pub(crate) const DUE_PER_TURN_MAX: usize = 1_000;
/// Pause after the listener failed to accept, so that a full file table is not polled in a circle.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// Open requests get this long to end when the sandbox stops.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// After this long a stopping sandbox gives up waiting for its tasks.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(5);

const _: () = assert!(PAGE_DEFAULT <= PAGE_MAX);
const _: () = assert!(WEBHOOK_BATCH_DEFAULT <= MAILBOX_MAX);
const _: () = assert!(HUNG_MAX <= REQUESTS_MAX);
const _: () = assert!(STREAMS_PER_CONNECTION_MAX as usize <= REQUESTS_MAX);
const _: () = assert!(DRAIN_TIMEOUT.as_millis() < STOP_TIMEOUT.as_millis());
const _: () = assert!(POST_BACKOFF_MIN.as_millis() < POST_BACKOFF_MAX.as_millis());

/// How long an authorisation can be captured: seven days, as most cards have it, and eight seconds for those who want to see
/// one end.
pub(crate) const HOLDS_MICROS: i64 = 7 * 24 * 3_600 * 1_000_000;
pub(crate) const BRIEF_MICROS: i64 = 8 * 1_000_000;
