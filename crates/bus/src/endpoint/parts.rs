//! A batch in parts: halved where a message spoils it, and without those that were overtaken within it. Stores nothing.

use std::collections::HashSet;

use crate::consumer::Work;
use crate::{CorrelationId, Disposition};

type Part<M, A> = Vec<Work<M, A>>;

/// Parts of a batch, first to last, halved where need be.
pub(super) struct Parts<W>(Vec<Vec<W>>);

impl<W> Parts<W> {
    pub(super) fn new(all: Vec<W>) -> Self {
        let mut parts = Self(Vec::new());
        parts.push(all);
        parts
    }

    pub(super) fn push(&mut self, part: Vec<W>) {
        if !part.is_empty() {
            self.0.push(part);
        }
    }

    pub(super) fn next(&mut self) -> Option<Vec<W>> {
        self.0.pop()
    }

    pub(super) fn halve(&mut self, mut part: Vec<W>) {
        let later = part.split_off(part.len() / 2);
        self.0.extend([later, part]);
    }
}

/// Correlations of which a message was done in this part; asked for only if a message of the part was found too early.
pub(super) fn done_correlations<M, A>(part: &[Work<M, A>]) -> HashSet<CorrelationId> {
    let is_parked = |work: &Work<M, A>| matches!(work.disposition(), Disposition::Park { .. });
    if !part.iter().any(is_parked) {
        return HashSet::new();
    }
    let done = part.iter().filter(|work| *work.disposition() == Disposition::Done);
    done.map(|work| work.envelope().correlation_id).collect()
}

/// A message found too early in the very batch that did what it waits for would be parked after its unparking, and miss it.
/// It is not settled with that batch but handled once more, right after it.
pub(super) fn is_overtaken<M, A>(work: &Work<M, A>, done: &HashSet<CorrelationId>) -> bool {
    matches!(work.disposition(), Disposition::Park { .. }) && done.contains(&work.envelope().correlation_id)
}

/// Those that were overtaken, and the others.
pub(super) fn split_overtaken<M, A>(part: Part<M, A>) -> (Part<M, A>, Part<M, A>) {
    let done = done_correlations(&part);
    part.into_iter().partition(|work| is_overtaken(work, &done))
}
