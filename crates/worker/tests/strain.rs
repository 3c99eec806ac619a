//! Small strains of the real program, each scenario once. Speed and latency are nobody's to judge on a machine that runs other
//! tests as well: what is checked is that nothing is lost, that a verdict can fail, and that the reports are whole.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use testkit::servers::{Durability, Postgres};

/// A folder of a test's own, gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("orderwright-strain-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }

    fn strain(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program can be started")
    }

    fn strain_on(&self, server: &Postgres, arguments: &[&str]) -> Output {
        let database = server.database().expect("a database of our own");
        let mut command = self.command(arguments);
        command.env("ORDERWRIGHT_DATABASE", database).output().expect("the program can be started")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orderwright"));
        for name in ["PROFILE", "CONFIG", "DATABASE", "BROKER", "LISTEN", "WEBHOOK_SECRET"] {
            command.env_remove(format!("ORDERWRIGHT_{name}"));
        }
        let places = ["--json", "--data", "data", "--report", "report.html", "--connections", "64"];
        command.arg("strain").args(arguments).args(places).current_dir(&self.0);
        command
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

/// Everything that was accepted is delivered, the exit code is the verdict, and the page shows these charts.
#[track_caller]
fn nothing_is_lost(folder: &Folder, output: &Output, charts: &[&str]) -> Value {
    let report = json(output);
    assert!(judgement(&report, "nothing accepted is lost"), "{report}");
    let books = &report["books"];
    assert!(books["accepted"].as_u64() > Some(0), "{report}");
    assert_eq!(books["accepted"], books["stored"]["delivered"], "{report}");
    assert_eq!(report["holds"].as_bool(), Some(output.status.success()), "{report}");
    assert!(report["series"].as_array().is_some_and(|samples| samples.len() > 1), "{report}");
    let page = folder.page();
    assert_eq!(page.matches("<svg").count(), charts.len(), "{}", report["scenario"]);
    for chart in charts {
        assert!(page.contains(&format!("<b>{chart}</b>")), "no chart of '{chart}'");
    }
    assert!(page.ends_with("</html>\n"));
    report
}

/// The charts of whatever has steps.
const STEPS: [&str; 4] = ["per second", "orders on their way", "latency by step", "memory of the workers"];

#[test]
fn a_backlog_is_worked_off_and_everything_of_it_delivered() {
    let folder = Folder::new("backlog");
    let output = folder.strain(&["backlog", "--orders", "1500"]);
    let report =
        nothing_is_lost(&folder, &output, &["orders on their way", "memory of the workers", "per second"]);
    assert_eq!(report["books"]["accepted"], 1_500);
}

#[test]
fn a_ramp_goes_beyond_saturation_and_loses_nothing_and_a_verdict_that_fails_is_the_exit_code() {
    let folder = Folder::new("ramp");
    let ramp = ["ramp", "--seconds", "0.3", "--burst", "200", "--peak", "8", "--memory-mib", "0"];
    let output = folder.strain(&ramp);
    let report = nothing_is_lost(&folder, &output, &STEPS);
    for name in ["the peak was beyond saturation", "what was due was sent", "sheds or queues, never fails"] {
        assert!(judgement(&report, name), "{name}: {report}");
    }
    assert!(!judgement(&report, "memory is bounded"), "no process needs nothing: {report}");
    assert!(report["holds"] == false && !output.status.success(), "{report}");
    assert_eq!(report["steps"].as_array().map(Vec::len), Some(14), "{report}");
    assert!(folder.page().contains("FAILS: "));
}

#[test]
fn two_connections_to_the_database_are_enough_to_lose_nothing() {
    let folder = Folder::new("pool");
    let server = Postgres::start(Durability::None).expect("a server of our own");
    let pool = ["pool-of-two", "--seconds", "0.3", "--burst", "200", "--peak", "4"];
    let report = nothing_is_lost(&folder, &folder.strain_on(&server, &pool), &STEPS);
    assert!(judgement(&report, "sheds or queues, never fails"), "{report}");
    let settings = report["settings"].as_array().expect("settings");
    assert!(settings.contains(&serde_json::json!(["postgres.pool_max", "2"])), "{settings:?}");
}

#[test]
fn a_gateway_that_is_slow_for_a_while_is_felt_and_loses_nothing() {
    let folder = Folder::new("gateway");
    let slow = ["slow-gateway", "--seconds", "1", "--slow-seconds", "3", "--load", "0.1", "--burst", "200"];
    let report = nothing_is_lost(&folder, &folder.strain(&slow), &STEPS);
    assert!(judgement(&report, "the slowness was felt"), "{report}");
}

#[test]
fn a_disk_that_is_slow_for_a_while_is_felt_and_loses_nothing() {
    let folder = Folder::new("disk");
    let server = Postgres::start(Durability::Fsync).expect("a server of our own");
    let (slow, fair) = (server.slow_flushes().expect("a command"), server.fair_flushes().expect("a command"));
    let short = ["slow-disk", "--seconds", "1", "--slow-seconds", "3", "--load", "0.1", "--burst", "200"];
    let commands = ["--slow", &slow, "--fair", &fair];
    let output = folder.strain_on(&server, &[&short[..], &commands].concat());
    let report = nothing_is_lost(&folder, &output, &STEPS);
    assert!(judgement(&report, "the slowness was felt"), "{report}");
}

#[test]
fn orders_that_wait_on_timers_are_delivered_when_those_are_due() {
    let folder = Folder::new("endurance");
    let few = ["endurance", "--waiting", "40", "--wait-seconds", "15", "--round", "50", "--seconds", "1"];
    let charts = ["per second", "orders on their way", "memory of the workers"];
    let report = nothing_is_lost(&folder, &folder.strain(&few), &charts);
    let seen =
        |name: &str| report["judgements"].as_array().and_then(|all| all.iter().find(|it| it["name"] == name));
    let cheap = seen("waiting orders cost the others less than 10 %").expect("it was judged");
    assert!(cheap["seen"].as_str().is_some_and(|seen| seen.contains("beside 40 that wait")), "{cheap}");
}

#[test]
fn tables_that_grow_are_measured_at_their_beginning_and_their_end() {
    let folder = Folder::new("growth");
    let charts = ["delivered per second, by orders stored", "CPU of the workers per order, by orders stored"];
    let charts = [&charts[..], &["per second", "orders on their way", "memory of the workers"]].concat();
    let output = folder.strain(&["growth", "--orders", "1000", "--in-hand", "100", "--turn", "100"]);
    let report = nothing_is_lost(&folder, &output, &charts);
    assert_eq!(report["books"]["accepted"], 1_300, "those of the three turns too");
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
