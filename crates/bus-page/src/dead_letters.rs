//! One dead letter, whole.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::parts::moment;

/// Characters of a body that are shown; the rest is read over the API.
const BODY_CHARS_MAX: usize = 4_000;

/// A dead letter as it is shown.
#[derive(Clone, Debug)]
pub struct Letter<'a> {
    /// Its kind.
    pub kind: &'a str,
    /// The queue that it was meant for.
    pub queue: &'a str,
    /// The last error.
    pub reason: &'a str,
    /// How often handling it has failed.
    pub attempts: u64,
    /// When it was sent, and when it was set aside.
    pub times: [Option<Timestamp>; 2],
    /// Its id, and that of what it is about.
    pub ids: [&'a str; 2],
    /// W3C trace context; empty if it has none.
    pub trace: &'a str,
    /// Its body as it may be shown, with what is secret left out.
    pub body: &'a str,
}

/// What is known of a dead letter.
#[must_use]
pub fn letter(letter: &Letter<'_>, now: Timestamp) -> Markup {
    let cut: String = letter.body.chars().take(BODY_CHARS_MAX).collect();
    let time = |at: Option<Timestamp>| at.map_or_else(|| html! { "–" }, |at| moment(at, now));
    html! {
        dl .facts {
            dt { "Kind" } dd { (letter.kind) }
            dt { "Queue" } dd { (letter.queue) }
            dt { "Last error" } dd .error { (letter.reason) }
            dt { "Attempts" } dd { (letter.attempts) }
            dt { "Sent" } dd { (time(letter.times[0])) }
            dt { "Died" } dd { (time(letter.times[1])) }
            dt { "Message" } dd { code { (letter.ids[0]) } }
            dt { "About" } dd { code { (letter.ids[1]) } }
            @if !letter.trace.is_empty() { dt { "Trace" } dd { code { (letter.trace) } } }
        }
        h3 { "Content" }
        pre tabindex="0" { (cut) @if cut.len() < letter.body.len() { "…" } }
    }
}
