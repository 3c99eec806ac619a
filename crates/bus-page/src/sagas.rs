//! Sagas and their timers.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::parts::{Column, ago, badge, moment, table};

/// One saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SagaRow {
    /// What it is about.
    pub id: String,
    /// Where its own page is.
    pub to: String,
    /// Its state.
    pub state: String,
    /// What it waits for, in words.
    pub waits_for: String,
    /// When it last moved.
    pub moved_at: Timestamp,
    /// Its timers, the next one first.
    pub timers: Vec<TimerRow>,
}

/// One timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerRow {
    /// Its name.
    pub name: String,
    /// When it fires.
    pub due_at: Timestamp,
}

/// A table of sagas under this caption; `without` is said if there are none.
#[must_use]
pub fn sagas(caption: &str, rows: &[SagaRow], now: Timestamp, without: &str) -> Markup {
    let columns = [
        Column::text("Saga"),
        Column::text("State"),
        Column::text("Waits for"),
        Column::text("Next timer"),
        Column::number("Stands still for"),
    ];
    let row = |row: &SagaRow| {
        vec![
            html! { a href=(row.to) { code { (row.id) } } },
            badge(&row.state),
            html! { (row.waits_for) },
            row.timers.first().map_or_else(|| html! { "–" }, |next| timer(next, now)),
            html! { (ago(row.moved_at, now)) },
        ]
    };
    table(caption, &columns, &rows.iter().map(row).collect::<Vec<_>>(), without)
}

/// A timer: its name and when it fires.
#[must_use]
pub fn timer(row: &TimerRow, now: Timestamp) -> Markup {
    html! { (row.name.replace('_', " ")) ", " (moment(row.due_at, now)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saga_is_shown_with_its_state_its_next_timer_and_how_long_it_stands() {
        let at = |text: &str| text.parse().expect("a time");
        let timers = vec![TimerRow { name: "meter_read".to_owned(), due_at: at("2026-03-04T10:05:00Z") }];
        let saga = SagaRow {
            id: "<7>".to_owned(),
            to: "/sagas/7".to_owned(),
            state: "needs_attention".to_owned(),
            waits_for: "a person".to_owned(),
            moved_at: at("2026-03-04T08:00:00Z"),
            timers,
        };
        let now = at("2026-03-04T10:00:00Z");
        let shown = sagas("Meters", std::slice::from_ref(&saga), now, "None.").into_string();
        for part in ["&lt;7&gt;", "needs attention", "a person", "meter read, ", "in 5 min", "2 h"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let idle = SagaRow { timers: Vec::new(), ..saga };
        assert!(sagas("Meters", &[idle], now, "None.").into_string().contains("<td>–</td>"));
        assert!(sagas("Meters", &[], now, "None.").into_string().contains("None."));
    }
}
