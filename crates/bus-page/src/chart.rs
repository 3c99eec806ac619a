//! Drawings as SVG with attributes alone: the page allows no inline style.

use maud::{Markup, html};

/// Width and height of a sparkline, in its own units.
const WIDTH: f64 = 160.0;
const HEIGHT: f64 = 28.0;

/// A line of values, oldest first, with their last and highest in words.
#[must_use]
pub fn sparkline(name: &str, unit: &str, values: &[f64]) -> Markup {
    let last = values.last().copied().unwrap_or(0.0);
    let highest = values.iter().copied().fold(0.0, f64::max);
    let words = format!("{name}: now {}{unit}, highest {}{unit}", figure(last), figure(highest));
    html! {
        figure .spark {
            figcaption { (name) " " strong { (figure(last)) (unit) } }
            svg role="img" aria-label=(words) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" {
                polyline points=(points(values, highest)) {}
            }
        }
    }
}

fn points(values: &[f64], highest: f64) -> String {
    // A single value is a line as well.
    let twice = values.first().map(|value| [*value; 2]);
    let values = twice.as_ref().filter(|_| values.len() == 1).map_or(values, |twice| twice.as_slice());
    let step = WIDTH / (values.len().max(2) - 1) as f64;
    let scale = if highest > 0.0 { (HEIGHT - 2.0) / highest } else { 0.0 };
    let point = |(at, value): (usize, &f64)| {
        let (x, y) = (at as f64 * step, HEIGHT - 1.0 - value.max(0.0) * scale);
        format!("{x:.1},{y:.1}")
    };
    values.iter().enumerate().map(point).collect::<Vec<_>>().join(" ")
}

/// A number as a person reads it.
fn figure(value: f64) -> String {
    if value >= 100.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// What a bar of a waterfall stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarKind {
    /// The service's own work, or its queues.
    Own,
    /// A wait for somebody outside: a provider, the way of a parcel.
    Outside,
    /// A wait for a person of ours.
    Person,
    /// Steps that are being undone.
    Undoing,
}

impl BarKind {
    const fn class(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Outside => "outside",
            Self::Person => "person",
            Self::Undoing => "undoing",
        }
    }
}

/// One bar of a waterfall.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What went on.
    pub label: String,
    /// How long, in words.
    pub took: String,
    /// What it stands for.
    pub kind: BarKind,
    /// Where it begins and ends, as shares of the whole, 0 to 1.
    pub span: (f64, f64),
}

/// Bars beneath each other, each where it began.
#[must_use]
pub fn waterfall(caption: &str, bars: &[Bar]) -> Markup {
    html! {
        ol .waterfall aria-label=(caption) {
            @for bar in bars {
                li {
                    span .what { (bar.label) }
                    svg aria-hidden="true" viewBox="0 0 1000 10" preserveAspectRatio="none" {
                        rect class=(bar.kind.class()) x=(place(bar).0) width=(place(bar).1) y="0" height="10" {}
                    }
                    span .took { (bar.took) }
                }
            }
        }
    }
}

/// Where a bar begins and how wide it is; even the shortest is seen.
fn place(bar: &Bar) -> (u32, u32) {
    const WHOLE: f64 = 1000.0;
    const WIDTH_MIN: f64 = 4.0;
    let (from, to) = (bar.span.0.clamp(0.0, 1.0) * WHOLE, bar.span.1.clamp(0.0, 1.0) * WHOLE);
    let width = (to - from).max(WIDTH_MIN);
    (from.min(WHOLE - width).round() as u32, width.round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_within_its_frame_whatever_the_values() {
        for values in [vec![], vec![0.0], vec![5.0, 5.0], vec![0.0, 1e9, 3.5], vec![-1.0, 2.0]] {
            let highest = values.iter().copied().fold(0.0, f64::max);
            for point in points(&values, highest).split_whitespace() {
                let (x, y) = point.split_once(',').expect("a point");
                let (x, y): (f64, f64) = (x.parse().expect("x"), y.parse().expect("y"));
                assert!((0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y), "{point}");
            }
        }
        assert_eq!(points(&[0.0, 10.0], 10.0), "0.0,27.0 160.0,1.0");
    }

    #[test]
    fn the_shortest_bar_is_seen_and_the_last_one_too() {
        let bar = |span| Bar { label: String::new(), took: String::new(), kind: BarKind::Own, span };
        assert_eq!(place(&bar((0.5, 0.5))), (500, 4));
        assert_eq!(place(&bar((1.0, 1.0))), (996, 4));
        assert_eq!(place(&bar((0.0, 2.0))), (0, 1000));
    }
}
