//! The queues of the bus.

use maud::{Markup, html};

use crate::parts::{Column, badge, table};

/// One queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRow {
    /// Its name.
    pub name: String,
    /// Messages that wait in it.
    pub waiting: u64,
    /// Its consumers, if that is known.
    pub consumers: Option<u64>,
    /// That its consumer is paused, since when, by whom and why, in words; none if it is not.
    pub paused: Option<String>,
    /// Messages in its error queue at the broker, if it has one.
    pub set_aside: Option<u64>,
}

/// A table of queues under this caption.
#[must_use]
pub fn queues(caption: &str, rows: &[QueueRow]) -> Markup {
    let columns = [
        Column::text("Queue"),
        Column::number("Waiting"),
        Column::number("Consumers"),
        Column::number("Set aside"),
        Column::text("Paused"),
    ];
    let known = |figure: Option<u64>| figure.map_or_else(|| html! { "–" }, |figure| html! { (figure) });
    let row = |row: &QueueRow| {
        let paused = match &row.paused {
            Some(words) => html! { (badge("paused")) " " (words) },
            None => html! {},
        };
        vec![
            html! { (row.name) },
            html! { (row.waiting) },
            known(row.consumers),
            known(row.set_aside),
            paused,
        ]
    };
    table(caption, &columns, &rows.iter().map(row).collect::<Vec<_>>(), "No queue holds a message.")
}
