//! How the position of a timeline's entry is made of the number of its batch and its place there. The statements that write and
//! read timelines have the same number.

/// Entries of a batch at most.
pub(super) const BATCH_ENTRIES_MAX: usize = 16_384;

/// How far the positions of a batch are from those of the next.
pub(super) const BATCH: i64 = 16_384;

/// The last position that belongs to a batch.
pub(super) const fn end_of(batch: i64) -> i64 {
    (batch + 1) * BATCH - 1
}
