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

/// Steps that find most mistakes soonest.
pub(crate) const FAST: &[Step] = &[Step::Tidy, Step::Format, Step::Lint, Step::Packages];

/// The servers that the tests start for themselves are there; without them no test of theirs would say so half as well.
pub(crate) const NEEDED: &[Step] = &[Step::Servers];

/// Steps that take minutes; `--quick` leaves them out.
pub(crate) const LONG: &[Step] = &[
    Step::Simulation(Simulation { seeds: 1_000, from: 0, release: false }),
    Step::Chaos(Chaos { postgres: false, ..SHORT }),
    Step::Chaos(Chaos { postgres: true, ..SHORT }),
    Step::Chaos(Chaos { postgres: true, rabbitmq: true, faults: Some(12), ..SHORT }),
    Step::Fuzz(Fuzz { seconds: 2, parser: None }),
    Step::Schemathesis(Schemathesis { examples: 15, seed: 1 }),
    Step::Audit(Audit { without_advisories: true }),
    Step::Deployment,
];

const SHORT: Chaos = Chaos {
    postgres: false,
    rabbitmq: false,
    rolling: false,
    workers: None,
    faults: Some(8),
    seconds: Some(240),
    orders: Some(600),
    release: false,
};

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
    Chaos(Chaos),
    Fuzz(Fuzz),
    Schemathesis(Schemathesis),
    Audit(Audit),
    Deployment,
    Bench(Vec<String>),
    Strain(Strain),
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

/// How hard to shake the real program; what is not given is the chaos program's own choice.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chaos {
    /// Two workers on a PostgreSQL server of its own, which is killed as well.
    #[arg(long)]
    pub(crate) postgres: bool,
    /// A RabbitMQ node of its own between the workers, which is killed as well; the ways to all servers stall, lose bytes and
    /// break, and the payment gateway hangs.
    #[arg(long)]
    pub(crate) rabbitmq: bool,
    /// Only tell one worker after the other to stop, as for an upgrade.
    #[arg(long, requires = "postgres")]
    pub(crate) rolling: bool,
    /// How many workers there are [default: 2].
    #[arg(long, requires = "postgres")]
    pub(crate) workers: Option<u32>,
    /// How many times something is killed, stalled or broken [default: 120].
    #[arg(long, visible_alias = "kills")]
    pub(crate) faults: Option<u32>,
    /// Give up after so many seconds [default: 1200].
    #[arg(long)]
    pub(crate) seconds: Option<u32>,
    /// How many orders are sent in meanwhile, the last of them when all is well again [default: 8000].
    #[arg(long)]
    pub(crate) orders: Option<u32>,
    /// Optimise fully: slower to build, more load.
    #[arg(long)]
    pub(crate) release: bool,
}

/// On which servers, and what.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Strain {
    /// On a PostgreSQL server of its own, with full durability.
    #[arg(long)]
    pub(crate) postgres: bool,
    /// With a RabbitMQ node of its own between the workers.
    #[arg(long)]
    pub(crate) rabbitmq: bool,
    /// The development build: no figures, but sooner there.
    #[arg(long)]
    pub(crate) dev: bool,
    /// The scenario and its flags, as for `orderwright strain`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    pub(crate) scenario: Vec<String>,
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
        Step::Chaos(chaos) => shake(root, chaos),
        Step::Fuzz(asked) => fuzz::run(root, asked),
        Step::Schemathesis(asked) => schemathesis::run(root, asked),
        Step::Bench(args) => bench::run(root, args),
        Step::Strain(asked) => strain(root, asked),
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

fn shake(root: &Path, chaos: &Chaos) -> Result<Ran> {
    let profile = Profile::from_flag(chaos.release);
    if cargo::build_programs(root, profile)? == Ran::Badly {
        return Ok(Ran::Badly);
    }
    let program = cargo::program_path(profile, "orderwright")?;
    let mut args = vec!["--orderwright".to_owned(), program];
    for (flag, wanted) in
        [("--postgres", chaos.postgres), ("--rabbitmq", chaos.rabbitmq), ("--rolling", chaos.rolling)]
    {
        args.extend(wanted.then(|| flag.to_owned()));
    }
    for (flag, value) in [
        ("--workers", chaos.workers),
        ("--faults", chaos.faults),
        ("--seconds", chaos.seconds),
        ("--orders", chaos.orders),
    ] {
        args.extend(value.into_iter().flat_map(|number| [flag.to_owned(), number.to_string()]));
    }
    cargo::run_program(root, profile, "chaos", &args)
}

fn strain(root: &Path, asked: &Strain) -> Result<Ran> {
    let profile = Profile::from_flag(!asked.dev);
    if cargo::build_programs(root, profile)? == Ran::Badly {
        return Ok(Ran::Badly);
    }
    let mut args = vec!["--orderwright".to_owned(), cargo::program_path(profile, "orderwright")?];
    for (flag, wanted) in [("--postgres", asked.postgres), ("--rabbitmq", asked.rabbitmq)] {
        args.extend(wanted.then(|| flag.to_owned()));
    }
    args.extend(asked.scenario.iter().cloned());
    cargo::run_program(root, profile, "strain", &args)
}

impl Step {
    fn name(&self) -> &'static str {
        match self {
            Step::Tidy => "tidy",
            Step::Format => "format",
            Step::Lint => "lint",
            Step::Packages => "packages",
            Step::Documentation => "documentation",
            Step::Servers => "servers",
            Step::Simulation(_) => "simulation",
            Step::Chaos(Chaos { postgres: false, rabbitmq: false, .. }) => "chaos",
            Step::Chaos(Chaos { postgres: true, rabbitmq: false, .. }) => "chaos on PostgreSQL",
            Step::Chaos(Chaos { postgres: false, rabbitmq: true, .. }) => "chaos over RabbitMQ",
            Step::Chaos(Chaos { postgres: true, rabbitmq: true, .. }) => {
                "chaos on PostgreSQL and over RabbitMQ"
            }
            Step::Fuzz(_) => "fuzz",
            Step::Schemathesis(_) => "schemathesis",
            Step::Audit(_) => "audit",
            Step::Deployment => "deployment",
            Step::Bench(_) => "bench",
            Step::Strain(_) => "strain",
            Step::Tests => "tests",
        }
    }
}
