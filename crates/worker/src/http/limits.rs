//! Every bound of the HTTP side in one place. Nothing here may grow without one of these.

use std::time::Duration;

/// Bytes of one order, and of every other small request.
pub(super) const ORDER_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one webhook.
pub(super) const WEBHOOK_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Bytes of one batch of products.
pub(super) const PRODUCTS_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Bytes of one import.
pub(super) const IMPORT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of one import that came packed.
pub(super) const IMPORT_UNPACKED_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Products in one batch.
pub(super) const PRODUCTS_MAX: usize = 1_000;
/// Orders in one import.
pub(super) const IMPORT_ORDERS_MAX: usize = 50_000;
/// Orders of one import that wait for their transaction at the same time.
pub(super) const IMPORT_AT_ONCE_MAX: usize = 512;

/// Entries of a page, unless asked otherwise.
pub(super) const PAGE_DEFAULT: usize = 50;
/// Entries of a page.
pub(super) const PAGE_MAX: usize = 200;
/// Broken invariants that are listed.
pub(super) const BROKEN_MAX: usize = 200;
/// Violations listed in one problem; it states how many more there were.
pub(super) const ERRORS_MAX: usize = 1_000;

/// Bytes of an actor, a reason or a product's name.
pub const TEXT_BYTES_MAX: usize = 200;
/// Bytes of a query parameter.
pub(super) const PARAMETER_BYTES_MAX: usize = 1_000;
/// Characters of each text of a problem; longer ones are cut.
pub(super) const DETAIL_CHARS_MAX: usize = 1_000;
/// Bytes of a note or a product's description.
pub const NOTE_BYTES_MAX: usize = 4_000;

/// Webhooks that share one transaction; each may bring a thousand events.
pub(super) const WEBHOOKS_AT_ONCE_MAX: usize = 32;

/// How long the body of a request may take to arrive, whatever the configuration says.
pub(super) const BODY_TIME_MAX: Duration = Duration::from_secs(600);
/// Bytes that a client has to take for its time to begin anew.
pub(super) const PROGRESS_BYTES: usize = 64 * 1024;
/// How long a connection that is ended from this side may take over its last words.
pub(super) const PARTING_MAX: Duration = Duration::from_millis(500);
/// Pause between two searches for a connection to close.
pub(super) const ROOM_PAUSE: Duration = Duration::from_millis(50);
/// The share of connections closed at a time, so that a flood does not cost a scan of all for each newcomer.
pub(super) const ROOM_PARTS: usize = 64;
/// Between two lines of the log about connections that cannot be accepted.
pub(super) const ACCEPT_TOLD: Duration = Duration::from_secs(10);
/// How long the answer to an order waits for its money at most, whatever the client would like.
pub(super) const PREFERRED_WAIT_MAX: Duration = Duration::from_secs(30);
/// Callers that wait so at the same time; the next one gets its answer at once.
pub(super) const AWAITED_MAX: usize = 1_024;
/// Pause between two looks at the orders that callers wait for.
pub(super) const AWAITED_LOOK: Duration = Duration::from_millis(100);
/// Programs that wait for events at the same time, by asking or by a stream.
pub(super) const FOLLOWERS_MAX: usize = 512;
/// Pause between two looks at how far the log of events goes.
pub(super) const EVENTS_LOOK: Duration = Duration::from_millis(200);
/// How long a stream of events goes on before its client has to come again and show its key.
pub(super) const EVENT_STREAM_MAX: Duration = Duration::from_secs(60);
/// Connections served at the same time, unless configured otherwise; for the next one the oldest idle ones give way.
pub const CONNECTIONS_MAX: usize = 4_096;
/// Requests under way on one HTTP/2 connection.
pub(super) const STREAMS_PER_CONNECTION_MAX: u32 = 1_024;
/// How long the answers under way may take once the service stops.
pub(super) const DRAIN_MAX: Duration = Duration::from_secs(10);
/// How long a connection that is there when the service stops may take to send its first request.
pub(super) const FIRST_REQUEST_MAX: Duration = Duration::from_millis(100);
/// Pause after a connection could not be accepted, most likely for want of file descriptors.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const _: () = assert!(PAGE_DEFAULT <= PAGE_MAX);
const _: () = assert!(AWAITED_MAX < CONNECTIONS_MAX, "callers that wait leave connections to others");
const _: () = assert!(ORDER_BYTES_MAX <= WEBHOOK_BYTES_MAX && WEBHOOK_BYTES_MAX <= IMPORT_BYTES_MAX);
const _: () =
    assert!(IMPORT_AT_ONCE_MAX < bus::limits::COALESCE_WAITING_MAX, "an import leaves room for others");
