//! The report as a page: one file without scripts and without anything from a network, readable on dark and on light.

use std::fmt::Write;

use super::report::Report;
use super::step::StepReport;

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let mut html = String::with_capacity(64 * 1024);
    let name = escaped(report.scenario);
    let _ = write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Orderwright under strain: {name}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>Under strain: {name}</h1>\n<p class=\"about\">{}</p>\n",
        escaped(report.about)
    );
    judgements(report, &mut html);
    figures(report, &mut html);
    if !report.charts.is_empty() {
        html.push_str("<h2>Over time</h2>\n");
        report.charts.iter().for_each(|chart| html.push_str(&chart.html()));
    }
    if !report.steps.is_empty() {
        steps(&report.steps, &mut html);
    }
    settings(report, &mut html);
    html.push_str("</body>\n</html>\n");
    html
}

/// Escapes text for HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn judgements(report: &Report, html: &mut String) {
    let class = if report.holds { "good" } else { "bad" };
    let verdict = escaped(&report.verdict());
    let _ = write!(html, "<p class=\"verdict {class}\">{verdict}</p>\n<ul class=\"judgements\">\n");
    for judgement in &report.judgements {
        let (class, word) = if judgement.holds { ("good-word", "holds") } else { ("bad-word", "FAILS") };
        let (name, seen) = (escaped(judgement.name), escaped(&judgement.seen));
        let _ = writeln!(
            html,
            "<li><div class=\"{class}\">{word}</div><div><b>{name}</b><span>{seen}</span></div></li>"
        );
    }
    html.push_str("</ul>\n");
}

fn figures(report: &Report, html: &mut String) {
    html.push_str("<h2>Figures</h2>\n<dl class=\"figures\">\n");
    for figure in &report.figures {
        let (name, unit) = (escaped(figure.name), escaped(figure.unit));
        let _ =
            writeln!(html, "<div><dt>{name}</dt><dd>{} <small>{unit}</small></dd></div>", figure.amount());
    }
    html.push_str("</dl>\n");
}

fn steps(steps: &[StepReport], html: &mut String) {
    html.push_str(
        "<h2>Step by step</h2>\n<div class=\"wide\"><table>\n<tr><th>step</th><th>meant<br>orders/s</th><th>offered</th>\
         <th>accepted</th><th>told to<br>come again</th><th>not sent</th><th>delivered<br>per second</th><th>on their way<br>at its end</th>\
         <th>accepted in<br>p50 / p99 ms</th><th>delivered in<br>p50 / p99 ms</th></tr>\n",
    );
    for step in steps {
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.0}</td><td>{}</td><td>{:.1} / {:.0}</td><td>{:.0} / {:.0}</td></tr>",
            escaped(&step.name),
            step.rate,
            step.offered,
            step.accepted,
            step.refused,
            step.unsent,
            step.delivered_per_s,
            step.backlog,
            step.accept_ms.p50,
            step.accept_ms.p99,
            step.delivered_ms.p50,
            step.delivered_ms.p99
        );
    }
    html.push_str("</table></div>\n");
}

fn settings(report: &Report, html: &mut String) {
    html.push_str("<h2>On what</h2>\n<div class=\"wide\"><table class=\"settings\">\n");
    for (name, value) in &report.settings {
        let _ = writeln!(html, "<tr><td>{}</td><td>{}</td></tr>", escaped(name), escaped(value));
    }
    html.push_str("</table></div>\n");
}

#[cfg(test)]
mod tests {
    use super::super::report_tests::report;

    #[test]
    fn the_page_needs_nothing_but_itself_and_no_script() {
        let page = report(&[true, false]).page();
        for foreign in ["http://", "https://", "<script", "@import", "url(", "<link", "<img"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert!(page.contains("prefers-color-scheme: dark") && page.contains("<svg"));
    }

    #[test]
    fn no_text_becomes_markup() {
        let page = report(&[true]).page();
        assert!(page.contains("2 &lt; 3 &amp; more") && page.contains("&lt;SQLite&gt;"));
        assert!(!page.contains("<SQLite>"));
    }

    #[test]
    fn whatever_fails_is_told_first() {
        let page = report(&[true, false]).page();
        let verdict = page.find("FAILS: 2 &lt; 3").expect("the verdict");
        assert!(verdict < page.find("<svg").expect("a chart"));
    }
}
