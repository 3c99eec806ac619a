//! Starting cargo and the programs it builds, with their output passed through as it comes.
//! Nothing here interprets output beyond the test runner's own summary lines.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result};

use crate::steps::Ran;
use crate::tally::Tally;

/// How much the compiler optimises what is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    /// What is measured and shipped; see `Cargo.toml`.
    Dist,
}

impl Profile {
    /// The profile that a `--release` flag asks for.
    pub(crate) fn from_flag(release: bool) -> Self {
        if release { Profile::Dist } else { Profile::Dev }
    }

    fn folder(self) -> &'static str {
        match self {
            Profile::Dev => "debug",
            Profile::Dist => "dist",
        }
    }
}

/// Runs cargo in the workspace; fails only if it cannot be started at all.
pub(crate) fn cargo<A: AsRef<OsStr>>(root: &Path, args: impl IntoIterator<Item = A>) -> Result<Ran> {
    let mut command = command(root);
    finish(command.args(args))
}

/// Builds the documentation of our own crates; a broken link is an error.
pub(crate) fn document(root: &Path) -> Result<Ran> {
    let mut command = command(root);
    command.args(["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"]);
    finish(command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Runs every test of the workspace, passing the output on and adding up its summary lines.
pub(crate) fn test(root: &Path) -> Result<(Ran, Tally)> {
    let mut command = command(root);
    command.args(["test", "--workspace", "--no-fail-fast"]);
    if std::io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    tallied(&mut command)
}

/// Runs what runs tests, passing the output on and adding up its summary lines.
pub(crate) fn tallied(command: &mut Command) -> Result<(Ran, Tally)> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start the tests")?;
    let output = child.stdout.take().context("the output of the tests was asked for")?;
    let tally = pass_through(BufReader::new(output), std::io::stdout().lock())?;
    let status = child.wait().context("cannot wait for the tests")?;
    Ok((judge(status), tally))
}

/// Runs a program of ours that was built before.
pub(crate) fn run_program<A: AsRef<OsStr>>(
    root: &Path,
    profile: Profile,
    program: &str,
    args: &[A],
) -> Result<Ran> {
    let mut command = Command::new(program_path(profile, program)?);
    finish(command.current_dir(root).args(args))
}

/// Programs that are also built with full optimisation.
const PROGRAMS: [&str; 3] = ["orderwright", "orderwright-load", "simulate"];

/// Builds every program. Without optimisation the tests are built with them: they share all they depend on, and building
/// either alone would build most of that twice, with other features.
pub(crate) fn build_programs(root: &Path, profile: Profile) -> Result<Ran> {
    match profile {
        Profile::Dev => cargo(root, ["test", "--workspace", "--no-run", "--quiet"]),
        Profile::Dist => {
            let programs = PROGRAMS.iter().flat_map(|name| ["--bin", name]);
            cargo(root, ["build", "--workspace", "--quiet", "--profile", "dist"].into_iter().chain(programs))
        }
    }
}

/// Where cargo has put a program.
pub(crate) fn program_path(profile: Profile, program: &str) -> Result<String> {
    let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    let path = target_folder()?.join(profile.folder()).join(name);
    path.into_os_string().into_string().ok().context("the path of the target folder is not UTF-8")
}

/// The folder of what is built: this program lies in it.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this program's own path")?;
    Ok(own.ancestors().nth(2).context("this program lies inside a target folder")?.to_owned())
}

/// What a message of cargo says was built.
pub(crate) fn executable(message: &str) -> Option<PathBuf> {
    let (_, rest) = message.split_once(r#""executable":""#)?;
    rest.split_once('"').map(|(path, _)| PathBuf::from(path))
}

/// Cargo, as it was started here, in the workspace.
pub(crate) fn command(root: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(root);
    command
}

fn finish(command: &mut Command) -> Result<Ran> {
    let status = command.status().context("cannot start cargo")?;
    Ok(judge(status))
}

fn judge(status: ExitStatus) -> Ran {
    if status.success() { Ran::Well } else { Ran::Badly }
}

fn pass_through(mut from: impl BufRead, mut to: impl Write) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).context("cannot read the tests' output")? > 0 {
        to.write_all(&line).context("cannot write the tests' output")?;
        tally.add_line(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_passed_on_byte_for_byte_while_its_summaries_are_added_up() {
        let output = b"running 2 tests\nbad \xff byte\ntest result: ok. 2 passed; 0 failed; 0 ignored\n\
            test result: FAILED. 1 passed; 3 failed; 0 ignored";
        let mut seen = Vec::new();
        let tally = pass_through(&output[..], &mut seen).expect("memory can be read and written");
        assert_eq!(seen, output);
        assert_eq!(tally, Tally { passed: 3, failed: 3 });
    }

    #[test]
    fn cargo_s_message_tells_what_was_built() {
        let message = r#"{"reason":"compiler-artifact","target":{"name":"search"},"executable":"/a/b"}"#;
        assert_eq!(executable(message), Some(PathBuf::from("/a/b")));
        assert_eq!(executable(r#"{"executable":null}"#), None);
    }
}
