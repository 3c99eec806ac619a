//! The commands people type: `cargo xtask test`, `ci`, `tidy`, `packages`, `simulate`, `chaos`, `fuzz`, `schemathesis`,
//! `audit`, `deployment`, `versions`, `bench`, `stress`.
//! It starts programs and reads files; it must never know how orders are processed.

mod audit;
mod bench;
mod cargo;
mod deployment;
mod fuzz;
mod packages;
mod published;
mod python;
mod schemathesis;
mod steps;
mod tally;
mod tidy;
mod tree;
mod versions;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::audit::Audit;
use crate::fuzz::Fuzz;
use crate::schemathesis::Schemathesis;
use crate::steps::{Ran, Simulation, Step};
use crate::versions::Versions;

/// Checks, simulations and measurements of the Orderwright workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything that must hold before a change is done, ending with a count of passed and failed tests.
    Test(TestArgs),
    /// The same as `test`, and the documentation must build without a warning.
    Ci(TestArgs),
    /// The rules of the house that no compiler checks; takes about a second.
    Tidy,
    /// The crates of the bus, packed as for a registry; nothing is built or uploaded.
    Packages,
    /// The whole pipeline in virtual time, one seeded world after the other.
    Simulate(Simulation),
    /// The real program under load, killed and restarted: `orderwright-load chaos` with the flags that follow, on the
    /// development build, or with `--release` on the one that is shipped.
    #[command(disable_help_flag = true)]
    Chaos(LoadArgs),
    /// Bytes that break a parser, looked for by what they reach in the code.
    Fuzz(Fuzz),
    /// Dependencies: licences, sources, bans, and what is known to be wrong with them; installs cargo-deny the first time.
    Audit(Audit),
    /// The files in `deploy` against Compose's schema and Hadolint; installs both the first time.
    Deployment,
    /// A running service against its own OpenAPI document; installs Schemathesis the first time.
    Schemathesis(Schemathesis),
    /// Releases of PostgreSQL and RabbitMQ: the laws and tests of the adapters and a short chaos on each; fetches them the first
    /// time, and writes what it saw into `docs/engines.md`.
    Versions(Versions),
    /// Measures the build that is shipped: `orderwright-load bench` with the flags that follow; `bench floor` beside the same
    /// rows written by SQL alone.
    #[command(disable_help_flag = true)]
    Bench(LoadArgs),
    /// Asks too much of the build that is shipped, or with `--dev` of the development build: `orderwright-load stress` with the
    /// flags that follow.
    #[command(disable_help_flag = true, visible_alias = "strain")]
    Stress(LoadArgs),
}

#[derive(Args)]
struct TestArgs {
    /// Leave out the long steps, simulation and chaos.
    #[arg(long)]
    quick: bool,
}

#[derive(Args)]
struct LoadArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

fn main() -> ExitCode {
    if fuzz::stands_in_for_the_compiler() {
        return fuzz::compile();
    }
    match run(Cli::parse().task) {
        Ok(Ran::Well) => ExitCode::SUCCESS,
        Ok(Ran::Badly) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<Ran> {
    let root = workspace_root()?;
    let steps = match task {
        Task::Test(args) => test_steps(&args, &[]),
        Task::Ci(args) => test_steps(&args, &[Step::Documentation]),
        Task::Tidy => vec![Step::Tidy],
        Task::Packages => vec![Step::Packages],
        Task::Simulate(simulation) => vec![Step::Simulation(simulation)],
        Task::Chaos(chaos) => vec![Step::Chaos(chaos.args)],
        Task::Fuzz(asked) => vec![Step::Fuzz(asked)],
        Task::Audit(asked) => vec![Step::Audit(asked)],
        Task::Deployment => vec![Step::Deployment],
        Task::Schemathesis(asked) => vec![Step::Schemathesis(asked)],
        Task::Versions(asked) => vec![Step::Versions(asked)],
        Task::Bench(bench) => vec![Step::Bench(bench.args)],
        Task::Stress(stress) => vec![Step::Stress(stress.args)],
    };
    steps::run_all(&root, &steps)
}

fn test_steps(args: &TestArgs, more: &[Step]) -> Vec<Step> {
    let long = if args.quick { Vec::new() } else { steps::long() };
    [steps::FAST, more, steps::NEEDED, &long, steps::LAST].concat()
}

fn workspace_root() -> Result<PathBuf> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").context("start this as `cargo xtask`")?;
    let folder = PathBuf::from(manifest);
    Ok(folder.parent().context("the xtask folder lies inside the workspace")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn load_commands_hand_on_everything_after_their_names() {
        let cli = Cli::parse_from(["xtask", "bench", "--orders", "10", "--help"]);
        let Task::Bench(bench) = cli.task else { panic!("not bench") };
        assert_eq!(bench.args, ["--orders", "10", "--help"]);
        let cli = Cli::parse_from(["xtask", "strain", "--postgres", "growth", "--dev"]);
        let Task::Stress(stress) = cli.task else { panic!("not stress") };
        assert_eq!(stress.args, ["--postgres", "growth", "--dev"]);
    }

    #[test]
    fn quick_leaves_out_exactly_the_long_steps() {
        let quick = test_steps(&TestArgs { quick: true }, &[]);
        let whole = test_steps(&TestArgs { quick: false }, &[]);
        assert_eq!(whole.len(), quick.len() + steps::long().len());
        assert!(quick.iter().all(|step| !steps::long().contains(step)));
    }

    #[test]
    fn the_tests_themselves_run_last_so_that_their_summaries_end_the_output() {
        let whole = test_steps(&TestArgs { quick: false }, &[]);
        assert_eq!(whole.last(), Some(&Step::Tests));
    }
}
