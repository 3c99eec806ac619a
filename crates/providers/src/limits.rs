//! Every bound of the providers in one place, related to each other by assertions the compiler checks.

use std::time::Duration;

/// Bytes read of one answer; what is longer is no answer.
pub(super) const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Characters of the code of a refusal that are kept.
pub(super) const CODE_CHARS_MAX: usize = 100;
/// Characters of each text of an answer that are kept, with a mark where one was cut.
pub(super) const ANSWER_TEXT_CHARS_MAX: usize = 255;
/// Longest `Retry-After` that is respected, so that a silly one does not shut a provider out for days.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// Bytes of the head and the part of the body that one HTTP/1.1 connection buffers.
pub(super) const BUFFER_BYTES_MAX: usize = 32 * 1024;
/// Pause between two signs of life that are asked for on an HTTP/2 connection.
pub(super) const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// Wait for a sign of life, after which the connection is given up and the next call opens another.
pub(super) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Events in one webhook.
pub(super) const EVENTS_PER_BATCH_MAX: usize = 1_000;
/// Characters of each text of an event.
pub(super) const EVENT_TEXT_CHARS_MAX: usize = 255;
/// Characters kept of an unknown event.
pub(super) const EVENT_EXCERPT_CHARS_MAX: usize = 400;
/// Allowed difference between a webhook's time and ours.
pub(super) const WEBHOOK_TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// Signatures looked at in one header.
pub(super) const SIGNATURES_MAX: usize = 8;
/// Secrets accepted at the same time while they are rotated.
pub(super) const SECRETS_MAX: usize = 4;
/// Characters of a webhook's id.
pub(super) const WEBHOOK_ID_CHARS_MAX: usize = 255;

const _: () = assert!(BUFFER_BYTES_MAX <= ANSWER_BYTES_MAX);
const _: () = assert!(CODE_CHARS_MAX <= EVENT_TEXT_CHARS_MAX);
