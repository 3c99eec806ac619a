//! What `test` and `ci` consist of, in order, and how one step is done.
//! A step either runs well or badly; no step may decide that another is not needed.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use clap::Args;

use crate::audit::{self, Audit};
use crate::bench;
use crate::cargo::{self, Profile, cargo};
use crate::deployment;
use crate::fuzz::{self, Fuzz};
use crate::published;
use crate::schemathesis::{self, Schemathesis};
use crate::tidy;
use crate::versions::{self, Versions};

/// Steps that find most mistakes soonest.
pub(crate) const FAST: &[Step] = &[Step::Tidy, Step::Format, Step::Lint, Step::Packages];

/// The servers that the tests start for themselves are there; without them no test of theirs would say so half as well.
pub(crate) const NEEDED: &[Step] = &[Step::Servers];

/// Steps that take minutes; `--quick` leaves them out.
pub(crate) fn long() -> Vec<Step> {
    let chaos = |args: &str| {
        let args = format!("{args} --seconds 240 --orders 600");
        Step::Chaos(args.split_whitespace().map(str::to_owned).collect())
    };
    vec![
        Step::Simulation(Simulation { seeds: 1_000, from: 0, release: false }),
        chaos("--faults 8"),
        chaos("--postgres --faults 8"),
        chaos("--postgres --rabbitmq --faults 12"),
        Step::Fuzz(Fuzz { seconds: 2, parser: None }),
        Step::Schemathesis(Schemathesis { examples: 15, seed: 1 }),
        Step::Audit(Audit { without_advisories: true }),
        Step::Deployment,
    ]
}

/// The test runner comes last: its summaries end the output.
pub(crate) const LAST: &[Step] = &[Step::Tests];

/// One thing to check or measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Tidy,
    Format,
    Lint,
    Packages,
    Documentation,
    Servers,
    Simulation(Simulation),
    Chaos(Vec<String>),
    Fuzz(Fuzz),
    Schemathesis(Schemathesis),
    Versions(Versions),
    Audit(Audit),
    Deployment,
    Bench(Vec<String>),
    Stress(Vec<String>),
    Tests,
}

/// How much to simulate.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Simulation {
    /// How many seeds to try.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) seeds: u64,
    /// The first seed; the others follow it.
    #[arg(long, default_value_t = 0)]
    pub(crate) from: u64,
    /// Optimise fully: slower to build, faster per seed.
    #[arg(long)]
    pub(crate) release: bool,
}

/// How a step, or all of them, went; why it went badly has been printed by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    Well,
    Badly,
}

/// Runs the steps in order and stops at the first that goes badly.
pub(crate) fn run_all(root: &Path, steps: &[Step]) -> Result<Ran> {
    for (index, step) in steps.iter().enumerate() {
        println!("==> {}/{} {}", index + 1, steps.len(), step.name());
        let started = Instant::now();
        if run(root, step, started)? == Ran::Badly {
            return Ok(Ran::Badly);
        }
    }
    Ok(Ran::Well)
}

fn run(root: &Path, step: &Step, started: Instant) -> Result<Ran> {
    if *step == Step::Tests {
        return run_tests(root, started);
    }
    let ran = perform(root, step)?;
    report(step, ran, started);
    Ok(ran)
}

fn perform(root: &Path, step: &Step) -> Result<Ran> {
    match step {
        Step::Tidy => tidy::run(root),
        Step::Format => cargo(root, ["fmt", "--all", "--check"]),
        Step::Lint => {
            cargo(root, ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])
        }
        Step::Packages => published::run(root),
        Step::Documentation => cargo::document(root),
        Step::Servers => servers(root),
        Step::Simulation(simulation) => simulate(root, simulation),
        Step::Chaos(args) => {
            let (is_release, args) = without(args, "--release");
            load(root, Profile::from_flag(is_release), "chaos", &args)
        }
        Step::Fuzz(asked) => fuzz::run(root, asked),
        Step::Schemathesis(asked) => schemathesis::run(root, asked),
        Step::Versions(asked) => versions::run(root, asked),
        Step::Bench(args) => bench::run(root, args),
        Step::Stress(args) => {
            let (is_dev, args) = without(args, "--dev");
            load(root, Profile::from_flag(!is_dev), "stress", &args)
        }
        Step::Audit(asked) => audit::run(root, asked),
        Step::Deployment => deployment::run(root),
        Step::Tests => cargo::test(root).map(|(ran, _)| ran),
    }
}

/// The time is told before the tally, because the tally has to be the last line of all.
fn run_tests(root: &Path, started: Instant) -> Result<Ran> {
    let (ran, tally) = cargo::test(root)?;
    report(&Step::Tests, ran, started);
    println!("{tally}");
    Ok(ran)
}

fn report(step: &Step, ran: Ran, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    match ran {
        Ran::Well => println!("    {}: well, {seconds:.1} s", step.name()),
        Ran::Badly => println!("    {}: FAILED after {seconds:.1} s", step.name()),
    }
}

fn servers(root: &Path) -> Result<Ran> {
    if cargo::build_programs(root, Profile::Dev)? == Ran::Badly {
        return Ok(Ran::Badly);
    }
    cargo::run_program::<&str>(root, Profile::Dev, "servers", &[])
}

fn simulate(root: &Path, simulation: &Simulation) -> Result<Ran> {
    let seeds = simulation.seeds.to_string();
    let from = simulation.from.to_string();
    let profile = Profile::from_flag(simulation.release);
    if cargo::build_programs(root, profile)? == Ran::Badly {
        return Ok(Ran::Badly);
    }
    cargo::run_program(root, profile, "simulate", &["--seeds", &seeds, "--from", &from])
}

/// Runs a command of `orderwright-load` on the program beside it.
pub(crate) fn load(root: &Path, profile: Profile, command: &str, args: &[String]) -> Result<Ran> {
    if cargo::build_programs(root, profile)? == Ran::Badly {
        return Ok(Ran::Badly);
    }
    let args: Vec<&str> = std::iter::once(command).chain(args.iter().map(String::as_str)).collect();
    cargo::run_program(root, profile, "orderwright-load", &args)
}

/// Whether a flag of ours is among the words, and the other words.
fn without(args: &[String], flag: &str) -> (bool, Vec<String>) {
    let (ours, others): (Vec<_>, Vec<_>) = args.iter().cloned().partition(|arg| arg == flag);
    (!ours.is_empty(), others)
}

impl Step {
    fn name(&self) -> String {
        let name = match self {
            Step::Tidy => "tidy",
            Step::Format => "format",
            Step::Lint => "lint",
            Step::Packages => "packages",
            Step::Documentation => "documentation",
            Step::Servers => "servers",
            Step::Simulation(_) => "simulation",
            Step::Chaos(args) => return format!("chaos {}", args.join(" ")),
            Step::Fuzz(_) => "fuzz",
            Step::Schemathesis(_) => "schemathesis",
            Step::Versions(_) => "versions",
            Step::Audit(_) => "audit",
            Step::Deployment => "deployment",
            Step::Bench(_) => "bench",
            Step::Stress(_) => "stress",
            Step::Tests => "tests",
        };
        name.to_owned()
    }
}
