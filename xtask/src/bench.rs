//! `bench`: measures the program as it is shipped, and beside the floor: the same rows written by set-based SQL alone.
//! Computes one ratio; everything else that is printed is what the measured programs say of themselves.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::cargo::{self, Profile, cargo};
use crate::steps::{self, Ran};

/// Runs what was asked for behind `bench`.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<Ran> {
    match args.split_first() {
        Some((first, rest)) if first == "floor" => beside_the_floor(root, rest),
        Some(_) | None => steps::load(root, Profile::Dist, "bench", args),
    }
}

/// The pipeline, then the floor, each on a server of its own, and how they compare.
fn beside_the_floor(root: &Path, args: &[String]) -> Result<Ran> {
    let floor_args = ["build", "--profile", "dist", "--quiet", "--workspace", "--example", FLOOR];
    if cargo::build_programs(root, Profile::Dist)? == Ran::Badly || cargo(root, floor_args)? == Ran::Badly {
        return Ok(Ran::Badly);
    }
    let own = ["bench", "--postgres"].map(str::to_owned).into_iter().chain(args.iter().cloned());
    let pipeline = said(root, "orderwright-load", &own.collect::<Vec<_>>())?;
    let floor = said(root, &format!("examples/{FLOOR}"), &[])?;
    let (pipeline_ms, floor_ms) = (pipeline_ms(&pipeline), floor_ms(&floor));
    ensure!(pipeline_ms > 0.0 && floor_ms > 0.0, "what was measured did not say what it cost");
    println!(
        "service and database {pipeline_ms:.3} ms of processor time per order, the floor {floor_ms:.3} ms: {:.2} times",
        pipeline_ms / floor_ms
    );
    Ok(Ran::Well)
}

/// The example that writes the rows alone.
const FLOOR: &str = "postgres_rows";

/// Runs a program and passes on what it says.
fn said(root: &Path, program: &str, args: &[String]) -> Result<String> {
    let mut command = Command::new(cargo::program_path(Profile::Dist, program)?);
    let output = command.current_dir(root).args(args).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot start {program}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{text}");
    ensure!(output.status.success(), "{program} failed");
    Ok(text)
}

/// What the workers and the database cost, of a report of `orderwright-load bench`.
fn pipeline_ms(report: &str) -> f64 {
    let lines = report.lines().filter_map(|line| line.strip_prefix("CPU of "));
    let counted = lines.filter(|line| line.starts_with("service") || line.starts_with("database"));
    counted.filter_map(|line| number_before(line, "ms per order")).sum()
}

/// What either side of the floor costs.
fn floor_ms(report: &str) -> f64 {
    let line = report.lines().find_map(|line| line.strip_prefix("floor: ")).unwrap_or_default();
    line.split(',').filter_map(|part| number_before(part, "ms")).sum()
}

/// The number in front of these words.
fn number_before(text: &str, words: &str) -> Option<f64> {
    text.split(words).next()?.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_workers_and_database_is_added_up_and_nobody_elses() {
        let report = "delivered       2000 orders/s end to end\nCPU of service      0.300 ms per order\n\
            CPU of service 2    0.050 ms per order\nCPU of load         9.000 ms per order\n\
            CPU of database     0.400 ms per order\nmemory of service      28 MiB at first\n";
        assert!((pipeline_ms(report) - 0.75).abs() < 1e-9);
        let floor =
            "9 orders in 1 s\nfloor: client 0.0250 ms, server 0.2250 ms of processor time for each order\n";
        assert!((floor_ms(floor) - 0.25).abs() < 1e-9);
    }
}
