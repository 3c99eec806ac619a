//! Runs every test of the workspace. Most test programs wait for servers more than they compute, so several run at once;
//! the output of each is printed whole when it has ended.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::cargo;
use crate::steps::Ran;
use crate::tally::Tally;

/// Test programs that run at once.
const AT_ONCE: usize = 2;

/// Begun first, so that the last to end is a short one.
const LONGEST: [&str; 7] =
    ["chaos", "rabbitmq_quorum", "laws", "postgres_laws", "sweep", "api", "cli_program"];

/// A test program, as cargo has built it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Program {
    name: String,
    executable: PathBuf,
    /// Where cargo would run it: the folder of its package.
    folder: PathBuf,
}

/// What cargo tells about each thing that it has built, as far as it matters here.
#[derive(Deserialize)]
struct Artifact {
    executable: Option<PathBuf>,
    manifest_path: PathBuf,
    target: Target,
    profile: BuiltFor,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
struct BuiltFor {
    test: bool,
}

/// What came of one program.
struct Outcome {
    name: String,
    ran: Ran,
}

/// Builds all, runs the programs and then the examples in the documentation; adds up what the runner says of them.
pub(crate) fn run(root: &Path) -> Result<(Ran, Tally)> {
    let programs = built(root)?;
    let mut tally = Tally::default();
    let mut failed = run_all(programs, &mut tally)?;
    let (documented, of_documents) = cargo::test_documents(root)?;
    tally += of_documents;
    if documented == Ran::Badly {
        failed.push("the examples in the documentation".to_owned());
    }
    for name in &failed {
        println!("FAILED: {name}");
    }
    Ok((if failed.is_empty() { Ran::Well } else { Ran::Badly }, tally))
}

fn built(root: &Path) -> Result<Vec<Program>> {
    let mut command = cargo::command(root);
    command.args(["test", "--workspace", "--no-run", "--quiet", "--message-format=json-render-diagnostics"]);
    let output = command.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "the tests cannot be built");
    let told = String::from_utf8(output.stdout).context("cargo wrote something that is not UTF-8")?;
    let mut programs: Vec<Program> = told.lines().filter_map(program).collect();
    ensure!(!programs.is_empty(), "cargo tells of no test program");
    programs.sort_by_key(|program| {
        LONGEST.iter().position(|name| *name == program.name).unwrap_or(LONGEST.len())
    });
    Ok(programs)
}

/// The test program that a line tells of, if it does.
fn program(line: &str) -> Option<Program> {
    let artifact: Artifact = serde_json::from_str(line).ok()?;
    let executable = artifact.executable.filter(|_| artifact.profile.test)?;
    Some(Program {
        name: artifact.target.name,
        executable,
        folder: artifact.manifest_path.parent()?.to_owned(),
    })
}

/// Runs all, [`AT_ONCE`] at a time; returns the names of those that failed.
fn run_all(programs: Vec<Program>, tally: &mut Tally) -> Result<Vec<String>> {
    let waiting = Mutex::new(VecDeque::from(programs));
    let printing = Mutex::new(tally);
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let lane = || -> Result<Vec<Outcome>> {
        std::iter::from_fn(next).map(|program| run_one(&program, &printing)).collect()
    };
    let outcomes: Result<Vec<Vec<Outcome>>> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().map(|lane| lane.join().expect("a lane does not panic")).collect()
    });
    let failed = outcomes?.into_iter().flatten().filter(|outcome| outcome.ran == Ran::Badly);
    Ok(failed.map(|outcome| outcome.name).collect())
}

fn run_one(program: &Program, printing: &Mutex<&mut Tally>) -> Result<Outcome> {
    let started = Instant::now();
    let (mut reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    let mut command = Command::new(&program.executable);
    command.current_dir(&program.folder).env("CARGO_MANIFEST_DIR", &program.folder).stdin(Stdio::null());
    command.stdout(writer.try_clone().context("cannot make a pipe")?).stderr(writer);
    let mut child =
        command.spawn().with_context(|| format!("cannot start {}", program.executable.display()))?;
    // The ends of the pipe that the command holds must go, or the output never ends.
    drop(command);
    let mut output = Vec::new();
    reader.read_to_end(&mut output).context("cannot read the tests' output")?;
    let status = child.wait().context("cannot wait for a test program")?;
    let mut tally = printing.lock().unwrap_or_else(PoisonError::into_inner);
    let seconds = started.elapsed().as_secs_f64();
    println!("\n     Ran {} of {} in {seconds:.1} s", program.name, program.folder.display());
    std::io::stdout().lock().write_all(&output).context("cannot write the tests' output")?;
    String::from_utf8_lossy(&output).lines().for_each(|line| tally.add_line(line));
    let ran = if status.success() { Ran::Well } else { Ran::Badly };
    Ok(Outcome { name: program.name.clone(), ran })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = r#"{"reason":"compiler-artifact","manifest_path":"/x/crates/a/Cargo.toml",
        "target":{"kind":["test"],"name":"laws"},"profile":{"opt_level":"1","test":true},"executable":"/t/laws-1"}"#;

    #[test]
    fn only_what_cargo_has_built_to_test_is_a_test_program() {
        let found = program(TOLD).expect("it is one");
        let folder = PathBuf::from("/x/crates/a");
        assert_eq!(found, Program { name: "laws".to_owned(), executable: "/t/laws-1".into(), folder });
        assert_eq!(program(&TOLD.replace("\"test\":true", "\"test\":false")), None);
        assert_eq!(program(&TOLD.replace("\"/t/laws-1\"", "null")), None);
        assert_eq!(program("{\"reason\":\"build-finished\",\"success\":true}"), None);
    }
}
