//! Charts of lines over time as SVG: drawn with the page's colours, so that they are readable on dark and on light. No script.

use std::fmt::Write;

use super::page::escaped;
use super::series::{Count, Series, Window};
use super::step::StepReport;

/// Points of a line at most.
const POINTS_MAX: usize = 400;

/// Seconds over which a speed is smoothed.
const SMOOTH_S: f64 = 2.0;

/// The picture and what is left free around the plot, in units of the SVG.
const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 42.0;

/// Lines across the plot, about.
const RULES: f64 = 5.0;

/// Some lines over the same axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    title: String,
    unit: String,
    across: String,
    scale: Scale,
    lines: Vec<Line>,
    bands: Vec<Band>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Linear,
    /// For what differs by powers of ten.
    Logarithmic,
}

#[derive(Clone, Debug, PartialEq)]
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// A stretch of time with a name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Band {
    name: String,
    window: Window,
}

/// From values to places in the picture.
struct Frame {
    across: (f64, f64),
    up: (f64, f64),
    scale: Scale,
}

impl Band {
    pub(super) fn new(name: &str, window: Window) -> Self {
        Self { name: name.to_owned(), window }
    }
}

/// Offered, stored, refused and delivered per second.
pub(super) fn rates(series: &Series) -> Chart {
    let counts: [(&str, Count); 4] = [
        ("delivered", |sample| sample.delivered),
        ("accepted", |sample| sample.stored),
        ("offered", |sample| sample.offered),
        ("told to come again", |sample| sample.refused),
    ];
    let chart = Chart::new("per second", "orders/s", SECONDS);
    counts.into_iter().fold(chart, |chart, (name, count)| {
        let speeds = series.speeds(SMOOTH_S, count);
        let ever = speeds.iter().any(|(_, speed)| *speed > 0.0);
        if ever { chart.line(name, speeds) } else { chart }
    })
}

/// Orders that have not come to their end.
pub(super) fn backlog(series: &Series) -> Chart {
    let points = series.0.iter().map(|sample| (sample.at_s, sample.open as f64)).collect();
    Chart::new("orders on their way", "orders", SECONDS).line("orders on their way", points)
}

/// Memory of all workers.
pub(super) fn memory(series: &Series) -> Chart {
    let points = series.0.iter().map(|sample| (sample.at_s, sample.memory_mib)).collect();
    Chart::new("memory of the workers", "MiB", SECONDS).line("memory of the workers", points)
}

/// How long accepting and delivering took, step by step.
pub(super) fn latencies(steps: &[StepReport]) -> Chart {
    type Of = fn(&StepReport) -> f64;
    let lines: [(&str, Of); 4] = [
        ("delivered, half of them", |step| step.delivered_ms.p50),
        ("delivered, 99 of 100", |step| step.delivered_ms.p99),
        ("accepted, half of them", |step| step.accept_ms.p50),
        ("accepted, 99 of 100", |step| step.accept_ms.p99),
    ];
    let chart = Chart { scale: Scale::Logarithmic, ..Chart::new("latency by step", "ms", SECONDS) };
    lines.into_iter().fold(chart, |chart, (name, of)| {
        let points = steps.iter().filter(|step| of(step) > 0.0);
        chart.line(name, points.map(|step| (step.window.part(0.5, 0.5).from_s, of(step))).collect())
    })
}

/// The steps as bands.
pub(super) fn bands(steps: &[StepReport]) -> Vec<Band> {
    steps.iter().map(|step| Band::new(&step.name, step.window)).collect()
}

/// The grid of most charts.
const SECONDS: &str = "seconds";

impl Chart {
    pub(super) fn new(title: &str, unit: &str, across: &str) -> Self {
        let [title, unit, across] = [title, unit, across].map(str::to_owned);
        Self { title, unit, across, scale: Scale::Linear, lines: Vec::new(), bands: Vec::new() }
    }

    /// With a line more.
    pub(super) fn line(mut self, name: &str, points: Vec<(f64, f64)>) -> Self {
        let step = points.len().div_ceil(POINTS_MAX).max(1);
        let points = points.into_iter().step_by(step).collect();
        self.lines.push(Line { name: name.to_owned(), points });
        self
    }

    /// With these bands behind the lines.
    pub(super) fn over(mut self, bands: &[Band]) -> Self {
        self.bands = bands.to_vec();
        self
    }

    /// The chart with its title and legend, as HTML.
    pub(super) fn html(&self) -> String {
        let mut html = format!("<figure><figcaption><b>{}</b>", escaped(&self.title));
        for (number, line) in self.lines.iter().enumerate().filter(|(_, line)| line.name != self.title) {
            let _ = write!(html, "<span class=\"key k{number}\">{}</span>", escaped(&line.name));
        }
        let _ = write!(
            html,
            "</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            escaped(&self.title)
        );
        let frame = self.frame();
        self.draw_bands(&frame, &mut html);
        self.draw_rules(&frame, &mut html);
        for (number, line) in self.lines.iter().enumerate() {
            draw_line(number, line, self.scale, &frame, &mut html);
        }
        html.push_str("</svg></figure>\n");
        html
    }

    fn frame(&self) -> Frame {
        let all = || self.lines.iter().flat_map(|line| &line.points).filter(|(_, y)| y.is_finite());
        let ends = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)))
        };
        let across = ends(&mut all().map(|(x, _)| *x));
        let (least, most) = ends(&mut all().map(|(_, y)| *y));
        let up = match self.scale {
            Scale::Linear => (0.0, if most > 0.0 { most * 1.06 } else { 1.0 }),
            Scale::Logarithmic if most > 0.0 => {
                (10_f64.powf(least.max(1e-3).log10().floor()), 10_f64.powf(most.log10().ceil()).max(1e-2))
            }
            Scale::Logarithmic => (1.0, 10.0),
        };
        let last_band = self.bands.iter().map(|band| band.window.to_s).fold(1.0, f64::max);
        let across = (across.0.min(0.0), across.1.max(last_band));
        Frame { across, up, scale: self.scale }
    }

    fn draw_bands(&self, frame: &Frame, html: &mut String) {
        for (number, band) in self.bands.iter().enumerate() {
            let (from, to) = (frame.x(band.window.from_s), frame.x(band.window.to_s));
            let _ = write!(
                html,
                "<rect class=\"band b{}\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>\
                 <text class=\"band\" transform=\"translate({:.1} {:.1}) rotate(-90)\">{}</text>",
                number % 2,
                (to - from).max(1.0),
                HEIGHT - TOP - BOTTOM,
                (from + to) / 2.0 + 3.0,
                TOP + 4.0,
                escaped(&band.name)
            );
        }
    }

    fn draw_rules(&self, frame: &Frame, html: &mut String) {
        for value in frame.marks_up() {
            let y = frame.y(value);
            let _ = write!(
                html,
                "<line class=\"rule\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"up\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 7.0,
                y + 3.5,
                number(value)
            );
        }
        let floor = HEIGHT - BOTTOM;
        for value in marks(frame.across, 2.0 * RULES) {
            let x = frame.x(value);
            let _ = write!(
                html,
                "<line class=\"rule\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{floor}\" y2=\"{:.1}\"/>\
                 <text class=\"across\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
                floor + 4.0,
                floor + 17.0,
                number(value)
            );
        }
        let _ = write!(
            html,
            "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\">{}</text><text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT,
            HEIGHT - 6.0,
            escaped(&format!("up: {}", self.unit)),
            WIDTH - RIGHT - 90.0,
            HEIGHT - 6.0,
            escaped(&self.across)
        );
    }
}

fn draw_line(number: usize, line: &Line, scale: Scale, frame: &Frame, html: &mut String) {
    let drawable = line.points.iter().filter(|(_, y)| y.is_finite());
    let points: Vec<String> =
        drawable.map(|(x, y)| format!("{:.1},{:.1}", frame.x(*x), frame.y(*y))).collect();
    let _ = write!(html, "<polyline class=\"l{number}\" points=\"{}\"/>", points.join(" "));
    if scale == Scale::Logarithmic {
        for point in &points {
            let (x, y) = point.split_once(',').unwrap_or((point, point));
            let _ = write!(html, "<circle class=\"d{number}\" cx=\"{x}\" cy=\"{y}\" r=\"2.6\"/>");
        }
    }
}

impl Frame {
    fn x(&self, value: f64) -> f64 {
        let (from, to) = self.across;
        LEFT + (value - from) / (to - from) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let (from, to) = self.up;
        let share = match self.scale {
            Scale::Linear => (value - from) / (to - from),
            Scale::Logarithmic => (value.max(from) / from).log10() / (to / from).log10(),
        };
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }

    fn marks_up(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => marks(self.up, RULES),
            Scale::Logarithmic => {
                let (from, to) = (self.up.0.log10().round() as i32, self.up.1.log10().round() as i32);
                (from..=to).map(|power| 10_f64.powi(power)).collect()
            }
        }
    }
}

/// Round numbers within the range, about that many.
fn marks((from, to): (f64, f64), about: f64) -> Vec<f64> {
    let rough = ((to - from) / about).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].iter().map(|times| times * power).find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    let first = (from / step).ceil() as i64;
    let last = (to / step).floor() as i64;
    (first..=last).map(|number| number as f64 * step).collect()
}

/// As short as is exact enough: 1,200 as 1.2k.
fn number(value: f64) -> String {
    let (value, suffix) = match value.abs() {
        great if great >= 1e6 => (value / 1e6, "M"),
        middling if middling >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = format!("{value:.2}");
    format!("{}{suffix}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_within() {
        assert_eq!(marks((0.0, 100.0), 5.0), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(marks((0.0, 0.9), 3.0), [0.0, 0.5]);
        for most in [0.01, 3.0, 77.0, 12_345.0, 1e9] {
            let marks = marks((0.0, most), 5.0);
            assert!((2..=7).contains(&marks.len()) && marks.iter().all(|mark| *mark <= most), "{marks:?}");
        }
    }

    #[test]
    fn numbers_are_short() {
        let numbers = [0.0, 0.25, 1_500.0, 12_000.0, 250_000.0, 1_000_000.0].map(number);
        assert_eq!(numbers, ["0", "0.25", "1500", "12k", "250k", "1M"]);
    }

    #[test]
    fn every_point_lies_in_the_picture_even_where_there_is_nothing_to_see() {
        let empty = Chart::new("<none>", "x", SECONDS);
        let flat = Chart::new("flat", "x", SECONDS).line("a", vec![(0.0, 0.0), (1.0, 0.0)]);
        let one = Chart::new("one", "x", SECONDS).line("a", vec![(5.0, 7.0)]);
        for chart in [&empty, &flat, &one] {
            let html = chart.html();
            assert!(!html.contains("NaN") && !html.contains("inf") && !html.contains("<none>"), "{html}");
        }
        let frame = one.frame();
        assert!((LEFT..=WIDTH).contains(&frame.x(5.0)) && (0.0..=HEIGHT).contains(&frame.y(7.0)));
    }
}
