//! What happens later: hand-overs, deliveries and delayed events, kept in one ordered map and woken by one timer,
//! so that a hundred thousand parcels under way cost no task each. Reads no clock.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::events::Event;
use crate::limits;
use crate::shipments::Departure;

#[derive(Default)]
pub(crate) struct Timetable {
    state: Mutex<State>,
    earlier: Notify,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<(i64, u64), Due>,
    last_ordinal: u64,
    delayed_events: usize,
}

/// What is due.
#[derive(Debug)]
pub(crate) enum Due {
    /// The parcel is handed over; delivery follows after as many microseconds.
    HandOver(Departure, i64),
    Deliver(Departure),
    Announce(Event),
}

/// What a look at the timetable yields.
pub(crate) struct Turn {
    pub(crate) due: Vec<Due>,
    pub(crate) next_at_micros: Option<i64>,
}

impl Timetable {
    pub(crate) fn add(&self, at_micros: i64, due: Due) {
        if self.lock().add(at_micros, due) == Place::First {
            self.earlier.notify_one();
        }
    }

    /// Keeps an event for later; gives it back when too many are kept already.
    pub(crate) fn delay(&self, at_micros: i64, event: Event) -> Option<Event> {
        let mut state = self.lock();
        if state.delayed_events >= limits::DELAYED_EVENTS_MAX {
            return Some(event);
        }
        state.delayed_events += 1;
        let place = state.add(at_micros, Due::Announce(event));
        drop(state);
        if place == Place::First {
            self.earlier.notify_one();
        }
        None
    }

    /// Takes what is due by now, a bounded number at a time.
    pub(crate) fn turn(&self, now_micros: i64) -> Turn {
        let mut state = self.lock();
        let mut due = Vec::new();
        while due.len() < limits::DUE_PER_TURN_MAX {
            let Some(first) = state.entries.first_entry().filter(|first| first.key().0 <= now_micros) else {
                break;
            };
            due.push(first.remove());
        }
        state.delayed_events -= due.iter().filter(|due| matches!(due, Due::Announce(_))).count();
        Turn { due, next_at_micros: state.entries.first_key_value().map(|(key, _)| key.0) }
    }

    /// Ends when something was added that is due before all else.
    pub(crate) async fn something_earlier(&self) {
        self.earlier.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(PartialEq, Eq)]
enum Place {
    First,
    Later,
}

impl State {
    fn add(&mut self, at_micros: i64, due: Due) -> Place {
        let first = self.entries.first_key_value().is_none_or(|(first, _)| at_micros < first.0);
        self.last_ordinal += 1;
        self.entries.insert((at_micros, self.last_ordinal), due);
        if first { Place::First } else { Place::Later }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_out_in_order_and_nothing_before_its_time() {
        let timetable = Timetable::default();
        for (at, ordinal) in [(30, 3), (10, 1), (20, 2)] {
            timetable.add(at, Due::Deliver(Departure(ordinal)));
        }
        let turn = timetable.turn(20);
        let due: Vec<u64> = turn
            .due
            .iter()
            .map(|due| match due {
                Due::Deliver(departure) | Due::HandOver(departure, _) => departure.0,
                Due::Announce(_) => 0,
            })
            .collect();
        assert_eq!((due, turn.next_at_micros), (vec![1, 2], Some(30)));
    }

    #[test]
    fn one_turn_takes_a_bounded_number() {
        let timetable = Timetable::default();
        for ordinal in 0..limits::DUE_PER_TURN_MAX as u64 + 5 {
            timetable.add(0, Due::Deliver(Departure(ordinal)));
        }
        assert_eq!(timetable.turn(1).due.len(), limits::DUE_PER_TURN_MAX);
        assert_eq!(timetable.turn(1).due.len(), 5);
    }
}
