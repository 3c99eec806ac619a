//! Small strains of the real program. Speed and latency are nobody's to judge on a machine that runs other tests as well: what is
//! checked is that nothing is lost, that a verdict can fail, and that the reports are whole.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// A folder of a test's own, gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("orderwright-strain-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }

    fn strain(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orderwright"));
        for name in ["PROFILE", "CONFIG", "DATABASE", "BROKER", "LISTEN", "WEBHOOK_SECRET"] {
            command.env_remove(format!("ORDERWRIGHT_{name}"));
        }
        let places = ["--json", "--data", "data", "--report", "report.html", "--connections", "64"];
        command.arg("strain").args(arguments).args(places).current_dir(&self.0);
        command.output().expect("the program can be started")
    }

    fn page(&self) -> String {
        std::fs::read_to_string(self.0.join("report.html")).expect("a page was written")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[track_caller]
fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[track_caller]
fn judgement(report: &Value, name: &str) -> bool {
    let judgements = report["judgements"].as_array().expect("judgements");
    let found = judgements.iter().find(|judgement| judgement["name"] == name);
    found
        .and_then(|judgement| judgement["holds"].as_bool())
        .unwrap_or_else(|| panic!("{name}: {judgements:?}"))
}

#[test]
fn a_backlog_is_worked_off_and_everything_of_it_delivered() {
    let folder = Folder::new("backlog");
    let report = json(&folder.strain(&["backlog", "--orders", "1500"]));
    assert!(judgement(&report, "nothing accepted is lost"), "{report}");
    assert_eq!(
        (&report["books"]["accepted"], &report["books"]["stored"]["delivered"]),
        (&1_500.into(), &1_500.into())
    );
    assert!(report["series"].as_array().is_some_and(|samples| samples.len() > 1), "{report}");
    let page = folder.page();
    assert!(page.contains("<svg") && page.contains("memory of the workers") && page.ends_with("</html>\n"));
}

#[test]
fn a_ramp_beyond_saturation_loses_nothing_and_a_verdict_that_fails_is_the_exit_code() {
    let folder = Folder::new("ramp");
    let ramp = ["ramp", "--seconds", "0.3", "--burst", "200", "--peak", "6", "--memory-mib", "0"];
    let output = folder.strain(&ramp);
    let report = json(&output);
    assert!(judgement(&report, "nothing accepted is lost"), "{report}");
    assert!(judgement(&report, "sheds or queues, never fails"), "{report}");
    assert!(!judgement(&report, "memory is bounded"), "no process needs nothing: {report}");
    assert!(report["holds"] == false && !output.status.success(), "{report}");
    assert_eq!(report["steps"].as_array().map(Vec::len), Some(9), "{report}");
    assert!(folder.page().contains("FAILS: "));
}

#[test]
fn whoever_asks_for_what_cannot_be_done_here_is_told_what_to_do() {
    let folder = Folder::new("told");
    for (scenario, told) in [("slow-disk", "--slow and --fair"), ("pool-of-two", "--database postgres://")] {
        let output = folder.strain(&[scenario]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(told), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
