//! Small measurements and stress tests of the real program, each scenario once. Speed and latency cannot be judged on a machine that
//! runs other tests as well: what is checked is that nothing is lost, that a verdict can fail, and that the reports are whole.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use testkit::servers::{Durability, Postgres};

/// A folder of a test's own, gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("orderwright-stress-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }

    fn stress(&self, arguments: &[&str]) -> Output {
        self.command(&[&["stress"], arguments].concat()).output().expect("the program can be started")
    }

    fn stress_on(&self, server: &Postgres, arguments: &[&str]) -> Output {
        let database = server.database().expect("a database of our own");
        let mut command = self.command(&[&["stress"], arguments].concat());
        command.env("ORDERWRIGHT_DATABASE", database).output().expect("the program can be started")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orderwright-load"));
        for name in ["PROFILE", "CONFIG", "DATABASE", "BROKER", "LISTEN", "WEBHOOK_SECRET"] {
            command.env_remove(format!("ORDERWRIGHT_{name}"));
        }
        let program = env!("CARGO_BIN_EXE_program-under-test");
        let places = ["--json", "--data", "data", "--connections", "64", "--orderwright", program];
        command.args(arguments).args(places).current_dir(&self.0);
        command
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

/// Everything that was accepted is delivered, and the exit code is the verdict.
#[track_caller]
fn nothing_is_lost(output: &Output) -> Value {
    let report = json(output);
    assert!(judgement(&report, "nothing accepted is lost"), "{report}");
    let books = &report["books"];
    assert!(books["accepted"].as_u64() > Some(0), "{report}");
    assert_eq!(books["accepted"], books["stored"]["delivered"], "{report}");
    assert_eq!(report["holds"].as_bool(), Some(output.status.success()), "{report}");
    assert!(report["series"].as_array().is_some_and(|samples| samples.len() > 1), "{report}");
    report
}

#[test]
fn a_backlog_is_worked_off_and_everything_of_it_delivered() {
    let folder = Folder::new("backlog");
    let report = nothing_is_lost(&folder.stress(&["backlog", "--orders", "1500"]));
    assert_eq!(report["books"]["accepted"], 1_500);
}

#[test]
fn a_ramp_goes_beyond_saturation_and_loses_nothing_and_a_verdict_that_fails_is_the_exit_code() {
    let folder = Folder::new("ramp");
    let ramp = ["ramp", "--seconds", "0.3", "--burst", "200", "--peak", "8", "--memory-mib", "0"];
    let output = folder.stress(&ramp);
    let report = nothing_is_lost(&output);
    for name in ["the peak was beyond saturation", "what was due was sent", "sheds or queues, never fails"] {
        assert!(judgement(&report, name), "{name}: {report}");
    }
    assert!(!judgement(&report, "memory is bounded"), "no process needs nothing: {report}");
    assert!(report["holds"] == false && !output.status.success(), "{report}");
    assert_eq!(report["steps"].as_array().map(Vec::len), Some(14), "{report}");
}

#[test]
fn two_connections_to_the_database_are_enough_to_lose_nothing() {
    let folder = Folder::new("pool");
    let server = Postgres::start(Durability::None).expect("a server of our own");
    let pool = ["pool-of-two", "--seconds", "0.3", "--burst", "200", "--peak", "4"];
    let report = nothing_is_lost(&folder.stress_on(&server, &pool));
    assert!(judgement(&report, "sheds or queues, never fails"), "{report}");
    let settings = report["settings"].as_array().expect("settings");
    assert!(settings.contains(&serde_json::json!(["postgres.pool_max", "2"])), "{settings:?}");
}

#[test]
fn a_gateway_that_is_slow_for_a_while_is_felt_and_loses_nothing() {
    let folder = Folder::new("gateway");
    let slow = ["slow-gateway", "--seconds", "1", "--slow-seconds", "3", "--load", "0.1", "--burst", "200"];
    let report = nothing_is_lost(&folder.stress(&slow));
    assert!(judgement(&report, "the slowness was felt"), "{report}");
}

#[test]
fn a_disk_that_is_slow_for_a_while_is_felt_and_loses_nothing() {
    let folder = Folder::new("disk");
    let server = Postgres::start(Durability::Fsync).expect("a server of our own");
    let (slow, fair) = (server.slow_flushes().expect("a command"), server.fair_flushes().expect("a command"));
    let short = ["slow-disk", "--seconds", "1", "--slow-seconds", "3", "--load", "0.1", "--burst", "200"];
    let commands = ["--slow", &slow, "--fair", &fair];
    let output = folder.stress_on(&server, &[&short[..], &commands].concat());
    let report = nothing_is_lost(&output);
    assert!(judgement(&report, "the slowness was felt"), "{report}");
}

#[test]
fn people_who_look_at_every_page_lose_no_order_and_each_page_is_timed() {
    let folder = Folder::new("pages");
    let short = ["pages", "--orders", "1000", "--people", "6", "--stay-seconds", "1", "--seconds", "8"];
    let report = nothing_is_lost(&folder.stress(&[&short[..], &["--load", "0.1", "--turn", "200"]].concat()));
    assert!(judgement(&report, "no page is larger than 30 kB"), "{report}");
    let judgements = report["judgements"].as_array().expect("judgements");
    let quick = judgements.iter().find(|one| one["name"].as_str().is_some_and(|name| name.contains("50 ms")));
    let seen = quick.and_then(|quick| quick["seen"].as_str()).expect("a verdict on every page");
    assert!(seen.starts_with("17 of 17 pages were looked at"), "{seen}");
}

#[test]
fn orders_that_wait_on_timers_are_delivered_when_those_are_due() {
    let folder = Folder::new("endurance");
    let few = ["endurance", "--waiting", "40", "--wait-seconds", "15", "--round", "50", "--seconds", "1"];
    let report = nothing_is_lost(&folder.stress(&few));
    let seen =
        |name: &str| report["judgements"].as_array().and_then(|all| all.iter().find(|it| it["name"] == name));
    let cheap = seen("waiting orders cost the others less than 10 %").expect("it was judged");
    assert!(cheap["seen"].as_str().is_some_and(|seen| seen.contains("beside 40 that wait")), "{cheap}");
}

#[test]
fn tables_that_grow_are_measured_at_their_beginning_and_their_end() {
    let folder = Folder::new("growth");
    let output = folder.stress(&["growth", "--orders", "1000", "--in-hand", "100", "--turn", "100"]);
    let report = nothing_is_lost(&output);
    assert_eq!(report["books"]["accepted"], 1_300, "those of the three turns too");
}

#[test]
fn what_cannot_be_done_here_is_refused_with_what_to_do() {
    let folder = Folder::new("told");
    for (scenario, told) in [("slow-disk", "--slow and --fair"), ("pool-of-two", "--database postgres://")] {
        let output = folder.stress(&[scenario]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(told), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

/// The criteria that no other test on the same machine can spoil.
#[track_caller]
fn throttled_holds(output: &Output) {
    let report = nothing_is_lost(output);
    for name in ["no provider is asked twice", "the oldest are charged first"] {
        assert!(judgement(&report, name), "{name}: {}", report["judgements"]);
    }
}

#[test]
fn orders_before_providers_that_throttle_are_charged_once_and_by_age() {
    let folder = Folder::new("throttled");
    throttled_holds(&folder.stress(&["throttled", "--orders", "1000", "--per-second", "200"]));
}

#[test]
fn orders_before_providers_that_throttle_are_charged_once_and_by_age_on_a_server_too() {
    let folder = Folder::new("throttled-server");
    let server = Postgres::start(Durability::None).expect("a server of our own");
    throttled_holds(&folder.stress_on(&server, &["throttled", "--orders", "1000", "--per-second", "200"]));
}

#[test]
fn a_measurement_wants_an_empty_database_and_counts_the_servers_share() {
    let folder = Folder::new("bench");
    let server = Postgres::start(Durability::None).expect("a server of our own");
    let (database, pid) =
        (server.database().expect("a database"), server.pid().expect("it runs").to_string());
    let bench = || {
        let mut command = folder.command(&["bench", "--server-pid", &pid, "--orders", "300"]);
        command.env("ORDERWRIGHT_DATABASE", &database).output().expect("the program can be started")
    };
    let report = json(&bench());
    assert!(report["delivered_per_s"].as_f64().is_some_and(|rate| rate > 0.0), "{report}");
    let shares = report["cpu_ms_per_order"].as_array().expect("a list");
    assert!(shares.iter().any(|share| share[0] == "database"), "{report}");
    let told = String::from_utf8_lossy(&bench().stderr).into_owned();
    assert!(told.contains("300 orders are in it") && told.contains("createdb"), "{told}");
}
