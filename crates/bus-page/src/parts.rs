//! Small components: tables, badges, moments, pagers, fragments that are renewed while a page is open.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    /// Its heading.
    pub heading: &'a str,
    /// Whether it holds numbers, which stand to the right.
    pub is_number: bool,
}

impl<'a> Column<'a> {
    /// A column of texts.
    #[must_use]
    pub const fn text(heading: &'a str) -> Self {
        Self { heading, is_number: false }
    }

    fn class(&self) -> Option<&'static str> {
        self.is_number.then_some("number")
    }

    /// A column of numbers.
    #[must_use]
    pub const fn number(heading: &'a str) -> Self {
        Self { heading, is_number: true }
    }
}

/// A table with a caption that says what it shows; a sentence instead if it has no rows.
#[must_use]
pub fn table(caption: &str, columns: &[Column<'_>], rows: &[Vec<Markup>], without: &str) -> Markup {
    if rows.is_empty() {
        return html! { p .none { (without) } };
    }
    html! {
        div .scroll role="region" aria-label=(caption) tabindex="0" {
            table {
                caption { (caption) }
                thead {
                    tr { @for column in columns { th scope="col" class=[column.class()] { (column.heading) } } }
                }
                tbody {
                    @for row in rows {
                        tr {
                            @for (cell, column) in row.iter().zip(columns) {
                                td class=[column.class()] { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A word for a state, with a colour that never stands alone.
#[must_use]
pub fn badge(word: &str) -> Markup {
    let kind = match word {
        "delivered" | "completed" | "up" | "running" | "done" | "active" | "won" | "closed" => "good",
        "needs_attention" | "down" | "silent" | "open" | "lost" | "undeliverable" | "broken" => "bad",
        "cancelled" | "failed" | "left" | "discontinued" => "off",
        "compensating" | "degraded" | "low" | "probing" | "late" | "paused" => "warn",
        _ => "plain",
    };
    html! { span class={ "badge " (kind) } { (word.replace('_', " ")) } }
}

/// A moment: as the time since, with the exact one beneath it.
#[must_use]
pub fn moment(at: Timestamp, now: Timestamp) -> Markup {
    let exact = at.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let since = if at <= now { format!("{} ago", ago(at, now)) } else { format!("in {}", ago(now, at)) };
    html! { time datetime=(at) title={ (exact) " UTC" } { (since) } }
}

/// The time between two moments, in its largest unit.
#[must_use]
pub fn ago(from: Timestamp, to: Timestamp) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let seconds = to.duration_since(from).max(SignedDuration::ZERO).as_secs();
    match UNITS.iter().find(|(length, _)| seconds >= *length) {
        Some((length, unit)) => format!("{} {unit}", seconds / length),
        None => "0 s".to_owned(),
    }
}

/// The end of an id, which tells it from its neighbours; ids of one moment begin alike.
#[must_use]
pub fn short_id(id: &str) -> Markup {
    let at = id.char_indices().rev().nth(7).map_or(0, |(at, _)| at);
    html! { code title=(id) { "…" (id[at..]) } }
}

/// A part of a page that is fetched anew when one of these topics has changed.
#[must_use]
pub fn fragment(id: &str, topics: &str, content: &Markup) -> Markup {
    html! { section id=(id) data-topics=(topics) { (content) } }
}

/// The way on in a listing: the address of the next page, if there is one, and of the first, if this is another.
#[must_use]
pub fn pager(first: Option<&str>, next: Option<&str>) -> Markup {
    if first.is_none() && next.is_none() {
        return html! {};
    }
    html! {
        nav .pager aria-label="Listing" {
            @if let Some(first) = first { a href=(first) { "From the start" } }
            @if let Some(next) = next { a href=(next) rel="next" { "Next page" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    #[test]
    fn times_are_told_in_their_largest_unit() {
        let now = at("2026-03-04T09:00:00Z");
        for (then, wanted) in [
            ("2026-03-04T09:00:00Z", "0 s"),
            ("2026-03-04T08:59:01Z", "59 s"),
            ("2026-03-04T08:01:00Z", "59 min"),
            ("2026-03-03T10:00:00Z", "23 h"),
            ("2026-02-04T09:00:00Z", "28 d"),
            ("2026-03-04T09:00:05Z", "0 s"),
        ] {
            assert_eq!(ago(at(then), now), wanted, "{then}");
        }
        assert!(moment(at("2026-03-04T09:02:00Z"), now).into_string().contains("in 2 min"));
    }

    #[test]
    fn texts_are_escaped_wherever_they_stand() {
        let evil = "<script>\"'&";
        let pages = [
            table(evil, &[Column::text(evil)], &[vec![html! { (evil) }]], evil),
            table(evil, &[], &[], evil),
            badge(evil),
            short_id(evil),
            fragment(evil, evil, &html! {}),
            pager(Some(evil), Some(evil)),
        ];
        for page in pages {
            let page = page.into_string();
            assert!(!page.contains("<script") && !page.contains("\"'"), "{page}");
        }
    }

    #[test]
    fn a_short_id_cuts_between_characters() {
        assert!(short_id("ééééééééééé").into_string().contains("…éééééééé<"));
        assert!(short_id("abc").into_string().contains("…abc<"));
    }
}
