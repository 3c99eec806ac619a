//! Packages of Python's registry for a test, in an environment of their own that is made once. Never touches the system's own.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// A Python that has exactly these packages, each with its release (`name==release`); it is kept in this folder.
///
/// # Errors
/// If there is no Python with venv, or its registry is away.
pub fn with(cache: &Path, packages: &[&str]) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    packages.hash(&mut hasher);
    let home = cache.join(format!("python-{:016x}", hasher.finish()));
    if !home.exists() {
        // Another test may make the same; the first that is done is taken.
        let making = cache.join(format!("python-making-{}", std::process::id()));
        let mut venv = Command::new("python3");
        let made = venv.args(["-m", "venv", "--clear"]).arg(&making).stdin(Stdio::null()).status();
        ensure!(made.is_ok_and(|ended| ended.success()), "Python with venv is needed (Debian: python3-venv)");
        let mut pip = Command::new(making.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]);
        let installed = pip.args(packages).stdin(Stdio::null()).status().context("starting pip")?;
        ensure!(installed.success(), "{packages:?} cannot be fetched");
        if fs::rename(&making, &home).is_err() {
            fs::remove_dir_all(&making).context("tidying up")?;
        }
    }
    Ok(home.join("bin/python"))
}
