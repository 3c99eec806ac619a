//! A bounded book of things by idempotency key, in order of arrival. Forgets only what its owner calls finished,
//! and refuses new entries rather than forget an open one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::limits;

pub(crate) struct History<T> {
    ordinals: HashMap<Arc<str>, u64>,
    entries: BTreeMap<u64, Entry<T>>,
    last_ordinal: u64,
    entries_max: usize,
}

pub(crate) struct Entry<T> {
    pub(crate) key: Arc<str>,
    pub(crate) value: T,
}

/// Every remembered entry is still open, so none can make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl<T> History<T> {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self {
            ordinals: HashMap::new(),
            entries: BTreeMap::new(),
            last_ordinal: 0,
            entries_max: entries_max.max(1),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&T> {
        self.entries.get(self.ordinals.get(key)?).map(|entry| &entry.value)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut T> {
        self.entries.get_mut(self.ordinals.get(key)?).map(|entry| &mut entry.value)
    }

    pub(crate) fn at_mut(&mut self, ordinal: u64) -> Option<&mut Entry<T>> {
        self.entries.get_mut(&ordinal)
    }

    /// Makes room by forgetting the oldest finished entry if it must; gives back what was forgotten.
    pub(crate) fn make_room(&mut self, finished: impl Fn(&T) -> bool) -> Result<Option<T>, Full> {
        if self.entries.len() < self.entries_max {
            return Ok(None);
        }
        let oldest = self.entries.iter().take(limits::FORGET_SCAN_MAX);
        let ordinal = oldest.filter(|(_, entry)| finished(&entry.value)).map(|(ordinal, _)| *ordinal).next();
        let forgotten = ordinal.and_then(|ordinal| self.entries.remove(&ordinal)).ok_or(Full)?;
        self.ordinals.remove(&forgotten.key);
        Ok(Some(forgotten.value))
    }

    /// Adds an entry whose key is new; gives its ordinal.
    pub(crate) fn add(&mut self, key: &str, value: T) -> u64 {
        let key: Arc<str> = Arc::from(key);
        self.last_ordinal += 1;
        self.ordinals.insert(Arc::clone(&key), self.last_ordinal);
        self.entries.insert(self.last_ordinal, Entry { key, value });
        self.last_ordinal
    }

    /// Entries after the given ordinal, oldest first.
    pub(crate) fn after(&self, ordinal: u64) -> impl Iterator<Item = (u64, &Entry<T>)> {
        self.entries.range(ordinal.saturating_add(1)..).map(|(ordinal, entry)| (*ordinal, entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_finished_entry_makes_room_and_open_ones_stay() {
        let mut history = History::new(3);
        for (key, finished) in [("open", false), ("done", true), ("late", true)] {
            history.add(key, finished);
        }
        assert_eq!(history.make_room(|finished| *finished), Ok(Some(true)));
        history.add("new", false);
        let keys: Vec<&str> = history.after(0).map(|(_, entry)| &*entry.key).collect();
        assert_eq!(keys, ["open", "late", "new"]);
        assert!(history.get("done").is_none());
    }

    #[test]
    fn a_book_full_of_open_entries_refuses_to_forget() {
        let mut history = History::new(2);
        history.add("a", ());
        history.add("b", ());
        assert_eq!(history.make_room(|()| false), Err(Full));
        assert!(history.get("a").is_some());
    }

    #[test]
    fn pages_continue_where_the_last_one_ended() {
        let mut history = History::new(10);
        let ordinals: Vec<u64> = ["a", "b", "c"].into_iter().map(|key| history.add(key, ())).collect();
        let rest: Vec<&str> = history.after(ordinals[0]).map(|(_, entry)| &*entry.key).collect();
        assert_eq!(rest, ["b", "c"]);
    }
}
