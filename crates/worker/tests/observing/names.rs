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
