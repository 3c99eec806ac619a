//! Groups of dead letters in memory.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::{DeadLetter, DeadLetterGroup, DeadLetterGroups, GROUPED_MAX, GroupKey, reason_pattern};

/// The groups of these dead letters, which come by position.
pub(super) fn grouped<'a>(
    letters: impl DoubleEndedIterator<Item = &'a DeadLetter>,
    max: usize,
) -> DeadLetterGroups {
    let mut latest = letters.rev();
    let mut found: BTreeMap<GroupKey, DeadLetterGroup> = BTreeMap::new();
    for letter in latest.by_ref().take(GROUPED_MAX) {
        let key = letter.group();
        let group = found.entry(key).or_insert_with(|| DeadLetterGroup {
            key,
            queue: letter.queue.to_string(),
            kind: letter.envelope.kind.to_string(),
            pattern: reason_pattern(&letter.reason),
            count: 0,
            sample: letter.position,
            first_died_at: letter.died_at,
            last_died_at: letter.died_at,
        });
        group.count += 1;
        group.first_died_at = group.first_died_at.min(letter.died_at);
        group.last_died_at = group.last_died_at.max(letter.died_at);
    }
    let is_partial = latest.next().is_some();
    let mut groups: Vec<DeadLetterGroup> = found.into_values().collect();
    groups.sort_by_key(|group| Reverse((group.count, group.sample)));
    let has_more = groups.len() > max;
    groups.truncate(max);
    DeadLetterGroups { groups, is_partial, has_more }
}
