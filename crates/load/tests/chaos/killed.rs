//! A process that starts workers and providers, and is killed at once, leaves none of them behind: a test that runs chaos, and a
//! measurement.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testkit::servers::family::{self, Family};

use crate::PROGRAM;

/// How long it may take until a process runs, or is gone.
const SOON: Duration = Duration::from_secs(60);

async fn until(what: &str, mut happens: impl FnMut() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(2));
    let happened = async {
        while !happens() {
            looks.tick().await;
        }
    };
    assert!(tokio::time::timeout(SOON, happened).await.is_ok(), "{what}");
}

/// Kills what was started as soon as it has started such a process itself; nothing of it may be left.
async fn leaves_nothing_once_it_has(started: &str, mut child: Child) {
    let pid = child.id();
    until(started, || Family::of(pid).runs(started)).await;
    let family = Family::of(pid);
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
    until(&format!("to be gone: {family:?}"), || family.left().is_empty()).await;
    let mark = format!("-{pid}-");
    until(&format!("to be gone: what has {mark} in its name"), || family::named(&mark).is_empty()).await;
}

#[tokio::test]
async fn chaos_leaves_neither_workers_nor_provider_nor_server_nor_folder_when_its_test_is_killed() {
    for started in ["program-under-test sandbox", "program-under-test serve"] {
        let mut test = Command::new(std::env::current_exe().expect("it is this one"));
        test.args(["--exact", "postgres::orders_that_are_posted_to_one_worker_are_delivered"]);
        let test = test.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it can be started");
        leaves_nothing_once_it_has(started, test).await;
    }
}

#[tokio::test]
async fn a_measurement_leaves_neither_workers_nor_provider_when_it_is_killed() {
    let folder = std::env::temp_dir().join(format!("orderwright-killed-bench-{}", std::process::id()));
    for started in ["program-under-test sandbox", "program-under-test serve"] {
        std::fs::create_dir_all(&folder).expect("a folder for the test");
        let mut bench = Command::new(env!("CARGO_BIN_EXE_orderwright-load"));
        for name in ["PROFILE", "CONFIG", "DATABASE", "BROKER"] {
            bench.env_remove(format!("ORDERWRIGHT_{name}"));
        }
        bench.args(["bench", "--orderwright", PROGRAM, "--orders", "100000", "--data"]).arg(&folder);
        let bench = bench.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        leaves_nothing_once_it_has(started, bench.expect("it can be started")).await;
        std::fs::remove_dir_all(&folder).expect("the folder is ours");
    }
}
