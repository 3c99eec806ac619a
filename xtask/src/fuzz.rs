//! Searches for bytes that break a parser, guided by the code that they reach. Only crates of ours are compiled so that they tell
//! which code that is; all others are those of the tests, so that little is built. Must never leave a find untold.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::cargo;
use crate::packages;
use crate::steps::Ran;

/// Set where this program stands in for the compiler.
const STANDS_IN: &str = "ORDERWRIGHT_XTASK_COMPILES";

/// Has the compiler put a counter at every edge, and tell what values are compared. Stable, since these are flags of LLVM.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Bytes of one input; what breaks a parser is mostly short.
const INPUT_BYTES_MAX: u32 = 4_096;

/// Lines of a search's own report that are shown when it found something.
const LINES_MAX: usize = 40;

/// How long to search.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fuzz {
    /// Seconds for each parser.
    #[arg(long, default_value_t = 30)]
    pub(crate) seconds: u32,
    /// Only this parser, by the name of its folder in `crates/fuzz/seeds`.
    #[arg(long)]
    pub(crate) parser: Option<String>,
}

/// A search of one parser.
struct Search {
    parser: String,
    command: Command,
    found: PathBuf,
}

/// Whether this process was started as the compiler of our crates.
pub(crate) fn stands_in_for_the_compiler() -> bool {
    std::env::var_os(STANDS_IN).is_some()
}

/// Becomes the compiler that cargo has named, with the flags of a search added.
pub(crate) fn compile() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let compiler = arguments.next().unwrap_or_else(|| OsString::from("rustc"));
    let arguments: Vec<OsString> = arguments.collect();
    // The compiler itself loads a macro crate, and has nobody to report coverage to.
    let is_macro = arguments.iter().any(|argument| argument == "proc-macro");
    let coverage = if is_macro { &[] } else { COVERAGE };
    let error = Command::new(&compiler).args(arguments).args(coverage).env_remove(STANDS_IN).exec();
    eprintln!("error: cannot start {}: {error}", compiler.display());
    ExitCode::FAILURE
}

/// Builds the search and lets it run for each parser, as many at once as there are cores.
pub(crate) fn run(root: &Path, asked: &Fuzz) -> Result<Ran> {
    packages::program(&["c++", "g++", "clang++"], "g++")?;
    let Some(program) = built(root)? else { return Ok(Ran::Badly) };
    let target = program.ancestors().nth(3).context("the program lies inside a target folder")?;
    let searches = searches(root, &program, &target.join("fuzz"), asked)?;
    let waiting = Mutex::new(searches.into_iter().rev().collect::<Vec<_>>());
    let next = || waiting.lock().ok()?.pop();
    let lane = || {
        let mut ran = Ran::Well;
        while let Some(search) = next() {
            if search.run()? == Ran::Badly {
                ran = Ran::Badly;
            }
        }
        Ok(ran)
    };
    let lanes = std::thread::available_parallelism()?.get();
    let ends: Vec<Result<Ran>> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
        let end = |thread: std::thread::ScopedJoinHandle<'_, Result<Ran>>| {
            thread.join().unwrap_or_else(|_| bail!("a search broke off"))
        };
        started.into_iter().map(end).collect()
    });
    let ends = ends.into_iter().collect::<Result<Vec<Ran>>>()?;
    Ok(if ends.contains(&Ran::Badly) { Ran::Badly } else { Ran::Well })
}

/// The program that searches; none if it cannot be built, which cargo has told.
fn built(root: &Path) -> Result<Option<PathBuf>> {
    let own = std::env::current_exe().context("cannot find this program's own path")?;
    let mut command = cargo::command(root);
    command
        .args(["test", "--workspace", "--no-run", "--quiet", "--message-format=json-render-diagnostics"])
        .args(["--test", "search", "--features", "orderwright-fuzz/libfuzzer"])
        .env("RUSTC_WORKSPACE_WRAPPER", own)
        .env(STANDS_IN, "1")
        .env("CARGO_INCREMENTAL", "0")
        .stderr(Stdio::inherit());
    let output = command.output().context("cannot start cargo")?;
    if !output.status.success() {
        return Ok(None);
    }
    let told = String::from_utf8_lossy(&output.stdout);
    let program = told.lines().filter(|line| line.contains(r#""name":"search""#)).find_map(cargo::executable);
    program.context("cargo names no program that searches").map(Some)
}

fn searches(root: &Path, program: &Path, home: &Path, asked: &Fuzz) -> Result<Vec<Search>> {
    let seeds = root.join("crates/fuzz/seeds");
    let mut searches = Vec::new();
    for entry in fs::read_dir(&seeds).with_context(|| format!("cannot list {}", seeds.display()))? {
        let folder = entry.context("cannot list the seeds")?.path();
        let parser = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if asked.parser.as_ref().is_none_or(|wanted| *wanted == parser) {
            searches.push(Search::of(parser, &folder, program, home, asked.seconds)?);
        }
    }
    searches.sort_by(|a, b| a.parser.cmp(&b.parser));
    match (searches.is_empty(), &asked.parser) {
        (true, Some(wanted)) => bail!("{} has no folder '{wanted}'", seeds.display()),
        (true, None) | (false, _) => Ok(searches),
    }
}

impl Search {
    fn of(parser: String, seeds: &Path, program: &Path, home: &Path, seconds: u32) -> Result<Self> {
        let (corpus, found) = (home.join("corpus").join(&parser), home.join("found").join(&parser));
        fs::create_dir_all(&corpus).and_then(|()| fs::create_dir_all(&found)).context("making folders")?;
        let mut command = Command::new(program);
        command
            .arg(&corpus)
            .arg(seeds)
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={INPUT_BYTES_MAX}"))
            .arg(format!("-artifact_prefix={}/", found.display()))
            .args(["-timeout=10", "-rss_limit_mb=1024", "-seed=1", "-print_final_stats=1"])
            .env("ORDERWRIGHT_PARSER", &parser)
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null());
        Ok(Self { parser, command, found })
    }

    fn run(mut self) -> Result<Ran> {
        let output = self.command.output().context("cannot start the search")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let (inputs, edges) = (inputs(&said), edges(&said));
        if output.status.success() && edges > 0 {
            println!("    {}: {inputs} inputs, {edges} edges, nothing found", self.parser);
            return Ok(Ran::Well);
        }
        let lines: Vec<&str> = said.lines().collect();
        let shown = lines[lines.len().saturating_sub(LINES_MAX)..].join("\n");
        println!(
            "    {}: BROKEN after {inputs} inputs and {edges} edges; what broke it lies in {}, and belongs to crates/fuzz/seeds/{} once it is mended\n{shown}",
            self.parser,
            self.found.display(),
            self.parser,
        );
        Ok(Ran::Badly)
    }
}

/// How many inputs were tried, by the report's end.
fn inputs(said: &str) -> u64 {
    let told = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    told.and_then(|number| number.trim().parse().ok()).unwrap_or_default()
}

/// How many edges were reached, by the last line that tells.
fn edges(said: &str) -> u64 {
    let told = said.lines().rev().find_map(|line| line.split_once(" cov: ").map(|(_, rest)| rest));
    told.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_inputs_and_edges() {
        let said = "#2\tINITED cov: 12 ft: 13\n#9\tDONE   cov: 345 ft: 400 corp: 7/9b\nstat::number_of_executed_units: 901\n";
        assert_eq!((inputs(said), edges(said)), (901, 345));
        assert_eq!((inputs(""), edges("")), (0, 0));
    }
}
