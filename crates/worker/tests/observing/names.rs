//! What rules and dashboards name is defined, and what fires has a chapter in the runbook.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use orderwright::metrics::{DEFINITIONS, Definition};
use testkit::servers::prometheus::promtool;

/// How the names of our metrics begin in Prometheus.
const OURS: [&str; 5] = ["orderwright_", "messaging_", "http_server_", "db_client_", "process_"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let (folders, mut found): (Vec<PathBuf>, Vec<PathBuf>) =
        entries.map(|entry| entry.path()).partition(|path| path.is_dir());
    found.extend(folders.iter().flat_map(|folder| files(folder)));
    found
}

/// Words that look like metrics of ours. A label name never does: it is followed by `=` or stands in a list in brackets.
fn named(text: &str) -> BTreeSet<String> {
    let labels: BTreeSet<String> = DEFINITIONS
        .iter()
        .flat_map(|definition| definition.labels.iter().map(|label| label.replace('.', "_")))
        .collect();
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .map(|word| word.trim_end_matches(':'))
        .filter(|word| OURS.iter().any(|prefix| word.starts_with(prefix)))
        .filter(|word| !labels.contains(*word))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_metric_that_rules_and_dashboards_name_is_defined() {
    let defined: BTreeSet<String> = DEFINITIONS.iter().flat_map(Definition::prometheus_series).collect();
    let mut looked_at = 0;
    for file in files(&root().join("deploy")) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let is_watched = |ending| file.extension().is_some_and(|it| it == ending);
        if !(is_watched("json")
            || file.file_name().is_some_and(|name| name.to_string_lossy().contains("rules")))
        {
            continue;
        }
        looked_at += 1;
        let unknown: Vec<String> = named(&text).difference(&defined).cloned().collect();
        assert!(unknown.is_empty(), "{}: {unknown:?} are not defined", file.display());
    }
    assert!(looked_at >= 2, "the rules and their tests are looked at");
}

#[test]
fn the_rules_hold_their_own_tests() {
    let folder = root().join("deploy/prometheus");
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    promtool(&["check", "rules", &path("rules.yml")], "").expect("rules without a mistake");
    let said =
        promtool(&["test", "rules", &path("rules_test.yml")], "").expect("rules that fire when they should");
    assert!(said.contains("SUCCESS"), "{said}");
}

#[test]
fn every_alert_has_a_chapter_in_the_runbook_and_a_test() {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect(path);
    let (rules, tests, runbook) = (
        read("deploy/prometheus/rules.yml"),
        read("deploy/prometheus/rules_test.yml"),
        read("docs/runbook.md"),
    );
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 15, "{alerts:?}");
    /// Alerts over quantiles of histograms; `promtool check` reads them, and nothing here fires them.
    const WITHOUT_TEST: [&str; 3] =
        ["OrderwrightProviderSlow", "OrderwrightDatabaseSlow", "OrderwrightApiSlow"];
    for alert in alerts {
        assert!(runbook.contains(&format!("### {alert}\n")), "{alert} has no chapter");
        assert!(rules.contains(&format!("docs/runbook.md#{}", alert.to_lowercase())), "{alert} has no link");
        assert!(tests.contains(alert) || WITHOUT_TEST.contains(&alert), "{alert} has no test");
    }
}

#[test]
fn the_list_of_metrics_in_the_documentation_is_that_of_the_program() {
    let path = root().join("docs/metrics.md");
    let written = fs::read_to_string(&path).unwrap_or_default();
    let wanted = orderwright::metrics::documentation();
    if std::env::var_os("ORDERWRIGHT_WRITE_DOCS").is_some() {
        fs::write(&path, &wanted).expect("the documentation can be written");
        return;
    }
    assert!(written == wanted, "docs/metrics.md is old; ORDERWRIGHT_WRITE_DOCS=1 cargo test writes it");
}

/// The first column of each of the runbook's tables of messages.
fn messages_of_the_runbook() -> Vec<String> {
    let runbook = fs::read_to_string(root().join("docs/runbook.md")).expect("the runbook");
    let (mut messages, mut is_listed) = (Vec::new(), false);
    for line in runbook.lines() {
        let cell = line.strip_prefix("| ").and_then(|line| line.split(" |").next());
        match cell {
            Some("message" | "health, log or error says") => is_listed = true,
            Some(cell) if is_listed => messages.push(cell.to_owned()),
            Some(_) => {}
            None if line.starts_with("|-") => {}
            None => is_listed = false,
        }
    }
    messages
}

/// The parts of a message that are always the same: between the marks of what was left out, and names in capitals.
fn fixed_parts(message: &str) -> Vec<String> {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let told = if quoted.is_empty() { vec![message] } else { quoted };
    let is_name = |word: &str| {
        let word = word.trim_matches(',');
        word == "…" || (word != "UTF8" && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()))
    };
    let mut parts = Vec::new();
    for text in told {
        let words: Vec<&str> = text.split(' ').collect();
        parts.extend(words.split(|word| is_name(word)).map(|words| words.join(" ")));
    }
    parts.into_iter().map(|part| part.trim_matches(',').to_owned()).filter(|part| part.len() > 3).collect()
}

#[test]
fn every_message_that_the_runbook_explains_is_one_that_the_program_tells() {
    let sources = files(&root().join("crates")).into_iter().filter(|path| {
        path.extension().is_some_and(|ending| ending == "rs")
            && path.components().any(|part| part.as_os_str() == "src")
    });
    let sources: String = sources.map(|path| fs::read_to_string(path).expect("a source")).collect();
    // A long text goes on in the next line.
    let sources = sources.replace("\\\n", "");
    let sources = sources.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let messages = messages_of_the_runbook();
    assert!(messages.len() > 20, "{messages:?}");
    for message in messages {
        let parts = fixed_parts(&message);
        assert!(!parts.is_empty(), "nothing to search for in: {message}");
        for part in parts {
            assert!(sources.contains(&part), "nothing tells '{part}' ({message})");
        }
    }
}
