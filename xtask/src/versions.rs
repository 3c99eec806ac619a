//! Tries the service on the releases of PostgreSQL and RabbitMQ that packages give: the laws of its stores and transports, the
//! tests of each adapter, and a short chaos. Writes what it saw into one table. A release that was not tried must never look
//! as if it had been.

mod debian;
mod engines;
mod releases;
mod table;
mod trial;
mod wheel;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use clap::builder::PossibleValuesParser;

use self::releases::{RELEASES, Release};
use self::trial::Programs;
use crate::cargo::target_folder;
use crate::steps::Ran;

/// Where the table stands.
const PAGE: &str = "docs/engines.md";

/// Which releases to try, and with what.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    /// Only this release; may be given several times. The others keep their lines in the table.
    #[arg(long, value_parser = names())]
    pub(crate) only: Vec<String>,
    /// Build nothing: take the test programs that the last run took.
    #[arg(long)]
    pub(crate) built: bool,
}

fn names() -> PossibleValuesParser {
    RELEASES.iter().map(|release| release.name).collect::<Vec<_>>().into()
}

/// Tries one release after the other, and writes the table after each, so that what was seen is not lost.
pub(crate) fn run(root: &Path, asked: &Versions) -> Result<Ran> {
    let home = target_folder()?.join("versions");
    let Some(programs) = Programs::ready(root, &home.join("programs"), asked.built)? else {
        return Ok(Ran::Badly);
    };
    let wanted =
        |release: &&Release| asked.only.is_empty() || asked.only.iter().any(|name| *name == release.name);
    let mut ran = Ran::Well;
    for release in RELEASES.iter().filter(wanted) {
        if try_one(root, &home, &programs, release)? == Ran::Badly {
            ran = Ran::Badly;
        }
    }
    Ok(ran)
}

/// One that cannot be fetched or does not start keeps no other from its turn.
fn try_one(root: &Path, home: &Path, programs: &Programs, release: &Release) -> Result<Ran> {
    println!("--> {}", release.title());
    match seen_on(root, home, programs, release) {
        Ok((line, ran)) => {
            println!("    {line}");
            write(root, release, &line)?;
            Ok(ran)
        }
        Err(error) => {
            println!("    not tried: {error:#}");
            Ok(Ran::Badly)
        }
    }
}

/// The release's line of the table.
fn seen_on(root: &Path, home: &Path, programs: &Programs, release: &Release) -> Result<(String, Ran)> {
    let Some(engines) = release.fetched(home)? else { return Ok((table::absent(release), Ran::Well)) };
    let seen = programs.try_on(root, release.engine, &engines)?;
    let ran = if seen.is_well() { Ran::Well } else { Ran::Badly };
    Ok((table::tried(release, &seen, &today()?), ran))
}

fn write(root: &Path, release: &Release, line: &str) -> Result<()> {
    let path = root.join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("reading {PAGE}"))?;
    let page = table::with_line(&page, release, line)?;
    fs::write(&path, page).with_context(|| format!("writing {PAGE}"))
}

fn today() -> Result<String> {
    let said = Command::new("date").arg("+%F").output().context("cannot ask for the date")?;
    ensure!(said.status.success(), "nobody tells the date");
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}
