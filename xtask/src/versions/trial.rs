//! What is tried on a release, by the programs of the tests themselves. They start the engine and know what must hold.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::engines::{Engine, Engines};
use crate::cargo::{self, Profile};
use crate::steps::Ran;
use crate::tally::Tally;

/// Test programs of a crate: those with this name, or with a `*` those whose names begin so; and of each the tests whose names
/// contain something.
struct Suite {
    of: &'static str,
    name: &'static str,
    only: Option<&'static str>,
}

const POSTGRESQL: &[Suite] = &[
    Suite { of: "testkit", name: "conformance", only: Some("postgresql::") },
    Suite { of: "bus-postgres", name: "laws", only: None },
    Suite { of: "infrastructure", name: "postgres_queue_law", only: None },
    Suite { of: "infrastructure", name: "postgres_keeper", only: None },
    Suite { of: "infrastructure", name: "postgres_migrations", only: None },
    Suite { of: "infrastructure", name: "postgres_tls", only: None },
];

const RABBITMQ: &[Suite] = &[
    Suite { of: "testkit", name: "conformance_rabbitmq", only: None },
    Suite { of: "bus-rabbitmq", name: "laws", only: None },
    Suite { of: "bus-rabbitmq", name: "rabbitmq_*", only: None },
    Suite { of: "testkit", name: "rabbitmq_*", only: None },
];

/// Programs of ours that are not tests.
const OTHERS: &[&str] = &["orderwright", "orderwright-load", "servers"];

const CHAOS: &str = "chaos --postgres --faults 8 --orders 600 --seconds 300";
const CHAOS_WITH_BROKER: &str = "chaos --postgres --rabbitmq --faults 12 --orders 600 --seconds 300";

/// Test programs and others, in a folder of their own: whoever builds meanwhile does not change them.
pub(super) struct Programs {
    folder: PathBuf,
}

/// What was seen on a release.
pub(super) struct Seen {
    /// What the server says that it is.
    pub(super) release: String,
    pub(super) tests: Tally,
    pub(super) chaos: Ran,
    pub(super) seconds: u64,
}

impl Seen {
    pub(super) fn is_well(&self) -> bool {
        self.tests.failed == 0 && self.chaos == Ran::Well
    }
}

impl Programs {
    /// Builds them, unless those of the last time are to do; none if they cannot be built, which cargo has told.
    pub(super) fn ready(root: &Path, folder: &Path, built: bool) -> Result<Option<Self>> {
        let programs = Self { folder: folder.to_owned() };
        if built {
            ensure!(folder.is_dir(), "there are no programs of an earlier run; leave out --built");
            return Ok(Some(programs));
        }
        let mut command = cargo::command(root);
        command.args([
            "test",
            "--workspace",
            "--no-run",
            "--quiet",
            "--message-format=json-render-diagnostics",
        ]);
        let said = command.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
        if !said.status.success() {
            return Ok(None);
        }
        let _ = fs::remove_dir_all(folder);
        let said = String::from_utf8_lossy(&said.stdout);
        for (place, program) in said.lines().filter_map(test_program) {
            programs.keep(&program, &place)?;
        }
        for name in OTHERS {
            programs.keep(Path::new(&cargo::program_path(Profile::Dev, name)?), name)?;
        }
        Ok(Some(programs))
    }

    /// A program that is built anew is another file, so a link keeps this one.
    fn keep(&self, program: &Path, place: &str) -> Result<()> {
        let place = self.folder.join(place);
        let folder = place.parent().context("programs are kept in a folder")?;
        fs::create_dir_all(folder).context("making a folder for programs")?;
        fs::hard_link(program, &place).with_context(|| format!("keeping {}", program.display()))
    }

    /// Runs everything that there is for the engine, whatever fails.
    pub(super) fn try_on(&self, root: &Path, engine: Engine, on: &Engines) -> Result<Seen> {
        let started = Instant::now();
        let release = self.release(engine, on)?;
        println!("    it says that it is {release}");
        let suites = match engine {
            Engine::PostgreSql => POSTGRESQL,
            Engine::RabbitMq => RABBITMQ,
        };
        let mut tests = Tally::default();
        for suite in suites {
            for name in self.tests_of(suite)? {
                let tally = self.test(root, suite, &name, on)?;
                tests.passed += tally.passed;
                tests.failed += tally.failed;
            }
        }
        let chaos = self.chaos(root, engine, on)?;
        Ok(Seen { release, tests, chaos, seconds: started.elapsed().as_secs() })
    }

    /// Asks a server, not its programs.
    fn release(&self, engine: Engine, on: &Engines) -> Result<String> {
        let name = match engine {
            Engine::PostgreSql => "postgresql",
            Engine::RabbitMq => "rabbitmq",
        };
        let mut servers = self.program("servers", on);
        let said = servers.args(["--ask", name]).stderr(Stdio::inherit()).output();
        let said = said.context("cannot start a server")?;
        ensure!(said.status.success(), "the server does not say which release it is");
        Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
    }

    fn tests_of(&self, suite: &Suite) -> Result<Vec<String>> {
        let folder = self.folder.join(suite.of);
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names = names.collect::<Result<Vec<_>>>()?;
        names.retain(|name| suite.has(name));
        names.sort();
        ensure!(!names.is_empty(), "there is no test program {} of {}", suite.name, suite.of);
        Ok(names)
    }

    fn test(&self, root: &Path, suite: &Suite, name: &str, on: &Engines) -> Result<Tally> {
        println!("    {} {name}", suite.of);
        let mut command = self.program(&format!("{}/{name}", suite.of), on);
        command.args(suite.only).current_dir(root.join("crates").join(suite.of));
        let (ran, mut tally) = cargo::tallied(&mut command)?;
        // One that ended before it could count has failed as well.
        if ran == Ran::Badly && tally.failed == 0 {
            tally.failed = 1;
        }
        ensure!(tally != Tally::default(), "{} {name} ran no test", suite.of);
        Ok(tally)
    }

    fn chaos(&self, root: &Path, engine: Engine, on: &Engines) -> Result<Ran> {
        let words = match engine {
            Engine::PostgreSql => CHAOS,
            Engine::RabbitMq => CHAOS_WITH_BROKER,
        };
        let mut load = self.program("orderwright-load", on);
        let status =
            load.args(words.split(' ')).current_dir(root).status().context("cannot start the chaos")?;
        Ok(if status.success() { Ran::Well } else { Ran::Badly })
    }

    /// A program that starts these engines and no others.
    fn program(&self, name: &str, on: &Engines) -> Command {
        let mut command = Command::new(self.folder.join(name));
        command.env("ORDERWRIGHT_POSTGRES_PROGRAMS", &on.postgres);
        if let Some(rabbitmq) = &on.rabbitmq {
            command.env("ORDERWRIGHT_RABBITMQ_PROGRAMS", rabbitmq);
        }
        command
    }
}

impl Suite {
    fn has(&self, name: &str) -> bool {
        self.name.strip_suffix('*').map_or(name == self.name, |start| name.starts_with(start))
    }
}

/// Of a message of cargo about a test program of a crate: the crate with the program's name, and the program.
fn test_program(message: &str) -> Option<(String, PathBuf)> {
    let (_, source) = message.split_once(r#""src_path":""#)?;
    let (source, _) = source.split_once('"')?;
    let (_, below) = source.rsplit_once("/crates/")?;
    let (of, file) = below.split_once("/tests/")?;
    let name = file.strip_suffix("/main.rs").or_else(|| file.strip_suffix(".rs"))?;
    Some((format!("{of}/{name}"), cargo::executable(message)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_s_messages_tell_of_test_programs() {
        let message = |source: &str| {
            format!(
                r#"{{"target":{{"kind":["test"],"src_path":"/a/crates/{source}"}},"executable":"/t/x-1"}}"#
            )
        };
        let told = |source: &str| test_program(&message(source)).map(|(place, _)| place);
        assert_eq!(told("bus-postgres/tests/laws.rs").as_deref(), Some("bus-postgres/laws"));
        assert_eq!(told("testkit/tests/conformance/main.rs").as_deref(), Some("testkit/conformance"));
        assert_eq!(told("testkit/src/lib.rs"), None);
    }

    #[test]
    fn a_suite_has_one_program_or_all_that_begin_alike() {
        let suite = |name| Suite { of: "testkit", name, only: None };
        assert!(suite("conformance").has("conformance") && !suite("conformance").has("conformance_rabbitmq"));
        assert!(suite("rabbitmq_*").has("rabbitmq_pipeline") && !suite("rabbitmq_*").has("laws"));
    }
}
