//! A program that starts servers and is killed at once, whatever it is just doing: of its servers nothing is left, neither
//! processes nor folders.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use orderwright_testkit::servers::family::{Family, named};

/// How long it may take until a server runs, or is gone.
const SOON: Duration = Duration::from_secs(60);

/// A program that starts one server after the other.
struct Program(Child);

impl Program {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_servers"));
        Self(command.arg("--start").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    }

    fn runs(&self, server: &str) -> bool {
        Family::of(self.0.id()).runs(server)
    }

    /// Kills it, and waits until nothing is left of what it had started.
    async fn leaves_nothing(mut self) {
        let family = Family::of(self.0.id());
        let mark = format!("-{}-", self.0.id());
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        let left = || [family.left(), named(&mark)].concat();
        until(|| left().is_empty(), || format!("left behind: {:#?}", left())).await;
    }
}

async fn until(mut happens: impl FnMut() -> bool, otherwise: impl FnOnce() -> String) {
    let mut looks = tokio::time::interval(Duration::from_millis(2));
    let happened = async {
        while !happens() {
            looks.tick().await;
        }
    };
    if tokio::time::timeout(SOON, happened).await.is_err() {
        panic!("{}", otherwise());
    }
}

#[tokio::test]
async fn servers_that_run_go_with_the_program_that_started_them() {
    let mut program = Program::start();
    let mut said = String::new();
    BufReader::new(program.0.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "all are there\n");
    for server in ["/postgres -D", "prometheus", "aiosmtpd", "epmd", "beam.smp"] {
        assert!(program.runs(server), "no {server}");
    }
    program.leaves_nothing().await;
}

#[tokio::test]
async fn servers_that_only_just_start_go_with_it_too() {
    for server in ["initdb", "/postgres -D", "prometheus", "aiosmtpd", "epmd", "beam.smp"] {
        let program = Program::start();
        until(|| program.runs(server), || format!("no {server} was started")).await;
        program.leaves_nothing().await;
    }
}
